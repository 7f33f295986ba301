"""A release's folder to engines, and engines to an assistant: one way for the service and replays.

Parts that are absent are replaced by what stands in for them, and named. What only the service has
(clock, keys, journal, offers as pages show them) is not made here.
"""

import functools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from components.assistant.classifier import IntentClassifier
from components.assistant.engine import Assistant
from components.assistant.offers import Offers, read_offers
from components.assistant.sentiment import Sentiment
from components.contracts.errors import ArtefactError
from components.contracts.records import Review
from components.data.catalogue import Catalogue
from components.merchandise.feed import Community
from components.recommend.engine import RecommendEngine
from components.search.engine import SearchEngine
from components.state.store import Store
from components.text.packaged import packaged_folder
from components.text.ratings import RatingModel

logger = logging.getLogger(__name__)
_REMEMBERED = 50_000  # texts whose vectors are kept


@dataclass(frozen=True)
class Parts:
    """What answers requests, from one release; `degraded` names what something stands in for."""

    catalogue: Catalogue
    search: SearchEngine
    recommend: RecommendEngine
    classify: Callable[[str], tuple[str, float]] | None
    offers: Offers
    data_end: datetime
    currency: str
    degraded: tuple[str, ...] = ()
    community: Community = field(default_factory=Community)
    ratings: RatingModel | None = None


def load_parts(folder: Path) -> Parts:
    """Load a release's engines, classifier and offers.

    Raises:
        ArtefactError: the folder has no catalogue, or an altered one.
    """
    degraded: list[str] = []
    catalogue = Catalogue.load(folder)

    def part(name: str, make: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        try:
            return make()
        except ArtefactError as error:
            logger.warning("%s without %s: %s", folder.name, name, error)
            degraded.append(name)
            return otherwise()

    search = part(
        "index",
        lambda: SearchEngine.load(folder, catalogue=catalogue),
        lambda: SearchEngine.from_products(catalogue),
    )
    recommend = part(
        "recommend",
        lambda: RecommendEngine.load(folder, catalogue=catalogue, table=search.table),
        lambda: RecommendEngine.from_catalogue(catalogue, table=search.table),
    )
    ratings = part("ratings", lambda: RatingModel.load(folder), lambda: None)
    clock = json.loads((folder / "catalogue" / "clock.json").read_text(encoding="utf-8"))
    return Parts(
        catalogue=catalogue,
        search=search,
        recommend=recommend,
        classify=part(
            "classifier",
            lambda: IntentClassifier.load(folder, getattr(search.encoder, "encode", None)).classify,
            lambda: None,
        ),
        offers=Offers(read_offers(folder)),
        data_end=datetime.fromisoformat(clock["data_end"]),
        currency=catalogue.get(catalogue.ids[0]).currency if len(catalogue) else "USD",
        degraded=tuple(degraded),
        community=Community.load(folder),
        ratings=ratings,
    )


@functools.lru_cache(maxsize=1)
def packaged_encode() -> Callable[[Sequence[str]], Any] | None:
    """Return the packaged encoder, for shops without artefacts; None where it is not installed."""
    folder = packaged_folder()
    if folder is None:
        return None
    from components.text.encoder import TextEncoder, torch_threads

    encoder = TextEncoder.from_folder(folder, max_tokens=64)
    made: dict[str, Any] = {}

    def encode(texts: Sequence[str]) -> Any:
        fresh = [t for t in dict.fromkeys(texts) if t not in made]
        if fresh:
            with torch_threads(1):
                made.update(zip(fresh, encoder.encode(fresh), strict=True))
        rows = np.stack([made[t] for t in texts])
        if len(made) > _REMEMBERED:
            made.clear()
        return rows

    return encode


def sentiment_of(ratings: RatingModel | None) -> Sentiment | None:
    """Return what reads reviews; None where the release has no review model."""
    if ratings is None or ratings.reader is None:
        return None
    return Sentiment(ratings.reader.predict, ratings.state.mean)


def assistant_of(
    parts: Any,
    store: Store,
    *,
    release_id: str,
    now: Callable[[], datetime],
    recommend: Any = None,
    language_model: Any = None,
) -> Assistant:
    """Make the assistant over a release's parts.

    Args:
        parts: `Parts`, or the service's engines, which have the same fields.
        store: the visitors' state.
        release_id: told in every answer.
        now: the shop's clock.
        recommend: the recommender as the assistant may see it; that of `parts` by default.
        language_model: the optional one; None = what the environment names, if anything.
    """

    def reviews(product_id: str) -> list[Review]:
        return [
            r
            for r in parts.community.of(product_id)
            if r.visitor_id is None or store.forgotten_at(r.visitor_id) is None
        ]

    return Assistant(
        parts.catalogue,
        parts.search,
        parts.recommend if recommend is None else recommend,
        store,
        model_version=release_id,
        currency=parts.currency,
        rates={},
        now=now,
        offers=parts.offers,
        reviews=reviews,
        classify=parts.classify,
        language_model=language_model,
        sentiment=sentiment_of(parts.ratings),
    )

"""The trained sequential model over product ids: what the service loads. Imports no torch.

In: `artefacts/train_sasrec`. Out: scores per product id for a visitor's events, and sequences cut
from an events table in the same way for training and serving.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.recommend.sequence_scorer import SequenceScorer

FloatArray = NDArray[np.float32]
PRODUCTS_NAME = "products.json"
EVENT_KINDS = ("click", "basket_add", "purchase", "rating")


@dataclass(frozen=True)
class EventSequences:
    """Per visitor, oldest first: product indices, event kinds, hours and basket numbers.

    Attributes:
        visitor_ids: sorted.
        items: (T,) product indices each.
        kinds: (T,) index into `EVENT_KINDS` each.
        hours: (T,) hours since 1970 each.
        steps: (T,) basket numbers each, non-decreasing.
    """

    visitor_ids: list[str]
    items: list[NDArray[np.int64]]
    kinds: list[NDArray[np.int64]]
    hours: list[NDArray[np.float64]]
    steps: list[NDArray[np.int64]]

    def last(self, n: int) -> "EventSequences":
        """Return the last `n` events of each visitor."""
        return EventSequences(
            self.visitor_ids,
            items=[row[-n:] for row in self.items],
            kinds=[row[-n:] for row in self.kinds],
            hours=[row[-n:] for row in self.hours],
            steps=[row[-n:] for row in self.steps],
        )


def event_sequences(events: pl.DataFrame, product_ids: Sequence[str]) -> EventSequences:
    """Cut an events table into sequences.

    Events are ordered by time and event id, so late arrivals take their right place; a repeated
    event id counts once; events of other kinds or products are left out. Events of one order are
    one basket; without an order, those of one session and moment.

    Args:
        events: canonical events, any order.
        product_ids: position gives the dense index.
    """
    index = pl.DataFrame(
        {"product_id": list(product_ids), "item": np.arange(len(product_ids))},
        schema={"product_id": pl.String, "item": pl.Int64},
    )
    kinds = pl.DataFrame({"kind": list(EVENT_KINDS), "kind_index": np.arange(len(EVENT_KINDS))})
    frame = (
        events.unique("event_id", keep="first", maintain_order=True)
        .join(index, on="product_id", how="inner")
        .join(kinds, on="kind", how="inner")
        .sort("visitor_id", "at", "event_id")
        .with_columns(
            hours=pl.col("at").dt.epoch("s") / 3600.0,
            basket=pl.coalesce("order_id", pl.col("at").dt.epoch("us").cast(pl.String)),
        )
    )
    if frame.is_empty():
        return EventSequences([], [], [], [], [])
    frame = frame.with_columns(
        step=(pl.col("basket") != pl.col("basket").shift(1)).fill_null(value=True)
        .cast(pl.Int64).cum_sum().over("visitor_id")
    )  # fmt: skip
    visitors = frame["visitor_id"].to_numpy()
    cuts = np.flatnonzero(visitors[1:] != visitors[:-1]) + 1
    starts = np.r_[0, cuts]

    def split(name: str) -> list[Any]:
        return np.split(frame[name].to_numpy(), cuts)

    return EventSequences(
        [str(visitors[start]) for start in starts],
        split("item"), split("kind_index"), split("hours"), split("step"),
    )  # fmt: skip


class SequenceModel:
    """Scores by product id: trained products, and products known by text alone."""

    name = "sasrec"

    def __init__(self, scorer: SequenceScorer, product_ids: Sequence[str]) -> None:
        """Join a scorer with the ids of its table's rows."""
        if scorer.n_products != len(product_ids):
            raise ArtefactError(
                f"the sequential model has {scorer.n_products} products, {len(product_ids)} ids."
            )
        self.scorer = scorer
        self.product_ids = list(product_ids)
        self.index: Mapping[str, int] = {name: row for row, name in enumerate(self.product_ids)}

    @classmethod
    def load(cls, artefacts: Path) -> Self:
        """Read `artefacts/train_sasrec`.

        Raises:
            ArtefactError: absent or not whole.
        """
        folder = artefacts / "train_sasrec"
        path = folder / PRODUCTS_NAME
        if not path.is_file():
            raise ArtefactError(f"{path}: absent. Run `shelfwise stage train_sasrec`.")
        return cls(SequenceScorer.load(folder), json.loads(path.read_text(encoding="utf-8")))

    def score(
        self,
        sequences: Sequence[Sequence[str]],
        *,
        kinds: Sequence[Sequence[str]] | None = None,
        hours: Sequence[Any] | None = None,
    ) -> FloatArray:
        """Return (B, V) float32 over `product_ids`; zeros where nothing of a history is known.

        Args:
            sequences: per visitor product ids, oldest first; unknown ids are left out.
            kinds: per visitor the events' kinds.
            hours: per visitor the events' times in hours.
        """
        items, kind_rows, hour_rows = [], [], []
        for row, names in enumerate(sequences):
            known = [place for place, name in enumerate(names) if name in self.index]
            items.append(np.array([self.index[names[place]] for place in known], np.int64))
            if kinds is not None:
                given = kinds[row]
                kind_rows.append(np.array([_kind_index(given[place]) for place in known], np.int64))
            if hours is not None:
                hour_rows.append(np.asarray(hours[row], np.float64)[known])
        return self.scorer.score(
            items, kinds=kind_rows if kinds is not None else None,
            hours=hour_rows if hours is not None else None,
        )  # fmt: skip

    def with_products(self, product_ids: Sequence[str], vectors: FloatArray) -> Self:
        """Return a model that also knows new products by their encoder vectors (N, E').

        Ids already known keep their trained rows.

        Raises:
            ValueError: the model was trained without text.
        """
        new = [row for row, name in enumerate(product_ids) if name not in self.index]
        if not new:
            return self
        return type(self)(
            self.scorer.with_new_products(np.asarray(vectors)[new]),
            [*self.product_ids, *(product_ids[row] for row in new)],
        )


def _kind_index(kind: str) -> int:
    return EVENT_KINDS.index(kind) if kind in EVENT_KINDS else EVENT_KINDS.index("click")

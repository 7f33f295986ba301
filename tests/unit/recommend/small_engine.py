"""A whole engine over the small shop: trained, saved and loaded as the service does it."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from components.contracts.artefacts import writing_artefact
from components.contracts.params import TrainRankerParams
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.recommend.engine import HistoryStore, RecommendEngine, save_history
from components.recommend.shop import save_state
from components.recommend.shop_data import state_at
from components.recommend.train_ranker import collect_rows, train
from tests.unit.recommend.small_shop import FIRST_DAY, GROUPS, PRODUCTS, WEEKS, small_shop

PARAMS = TrainRankerParams(
    trees=30,
    leaves=7,
    learning_rate=0.07,
    new_learning_rate=0.07,
    windows=5,
    window_weeks=3,
    neighbours=6,
    svd_dimensions=6,
)
NOW = datetime(1970, 1, 1, 10, tzinfo=UTC) + timedelta(days=FIRST_DAY + 7 * WEEKS + 6)
NAMES = ("tea", "bread", "soap", "cheese")


def product(number: int, **changes: object) -> Product:
    """Return product p`number` of the small shop."""
    group = NAMES[number % GROUPS]
    fields = {
        "product_id": f"p{number:02d}",
        "title": f"{group} number {number}",
        "category": ("Food", group),
        "type": f"{group} {number % 8}",
        "brand": "Acme" if number % 2 else "Own",
        "price_minor": 100 + 10 * number,
    }
    return Product.model_validate({**fields, **changes})


@cache
def artefacts() -> Path:
    """Train once and return the folder with a catalogue's clock and `train_ranker`."""
    root = Path(mkdtemp(prefix="small-engine-"))
    shop = small_shop()
    rows = collect_rows(shop, WEEKS + 1, PARAMS, 1, 3)
    ranker = train(rows, PARAMS, threads=1)
    state = state_at(shop, WEEKS + 1, PARAMS, 1)
    with writing_artefact(
        root / "train_ranker", kind="ranker", stage="train_ranker", seed=7, params={}
    ) as folder:
        ranker.save(folder)
        save_state(folder, state, shop.columns.product_ids)
        save_history(folder, HistoryStore.of(shop.visitor_ids, shop.log))
    (root / "catalogue").mkdir()
    clock = {
        "data_end": NOW.isoformat(), "timezone": "UTC",
        "first_monday": str((NOW - timedelta(days=7 * WEEKS + 6)).date()), "last_week": WEEKS,
    }  # fmt: skip
    (root / "catalogue" / "clock.json").write_text(json.dumps(clock))
    return root


def catalogue() -> Catalogue:
    """Return the small shop's products."""
    return Catalogue.from_products(product(number) for number in range(PRODUCTS))


def engine(**kwargs: object) -> RecommendEngine:
    """Load the engine over a fresh catalogue."""
    return RecommendEngine.load(artefacts(), catalogue=catalogue(), **kwargs)  # type: ignore[arg-type]

"""Protocol P4, cold products: who will buy what nobody has bought yet?

In: accepted tables. Launches are the products first sold in weeks `cold_from_week` to
`cold_to_week`, whatever became of them; everything is fitted on the weeks before. For each visitor
who bought a launch within its first 13 weeks, all launches are ranked from text, attributes and
price alone. Out: `reports/p4_cold_products.json`. The trees learn on earlier launches of the same
kind, so what a launch sold is never seen.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import Layout
from components.contracts.params import Params
from components.data.parquet import read_table
from components.data.trees import read_trees
from components.evaluate.bootstrap import paired_interval
from components.evaluate.metrics import hit_matrix, ndcg_at_k, recall_at_k
from components.evaluate.report import metric_row, write_report
from components.recommend.cold_content import (
    CONTENT_FEATURES,
    Launches,
    cold_facts,
    content_features,
    find_launches,
)
from components.recommend.history import FloatArray
from components.recommend.shop_data import ShopData


def train_content_ranker(
    launches: Launches, features: FloatArray, seed: int, *, negatives: int = 40, threads: int = 2
) -> str:
    """Fit a LambdaMART model on earlier launches and return its LightGBM text."""
    import lightgbm

    rng = np.random.default_rng(seed)
    rows, labels, sizes = [], [], []
    n_items = len(launches.items)
    for row, bought in enumerate(launches.bought):
        drawn = rng.choice(n_items, size=min(negatives, n_items), replace=False)
        chosen = np.r_[bought, np.setdiff1d(drawn, bought)]
        rows.append(features[row, chosen])
        labels.append(np.isin(chosen, bought))
        sizes.append(len(chosen))
    data = lightgbm.Dataset(
        np.concatenate(rows), np.concatenate(labels).astype(np.float32), group=sizes,
        feature_name=list(CONTENT_FEATURES),
    )  # fmt: skip
    booster = lightgbm.train(
        {
            "objective": "lambdarank", "lambdarank_truncation_level": 20, "num_leaves": 15,
            "learning_rate": 0.05, "feature_fraction": 0.6, "min_data_in_leaf": 50,
            "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed, "deterministic": True,
            "force_row_wise": True, "num_threads": threads, "verbose": -1,
        },
        data,
        150,
    )  # fmt: skip
    return booster.model_to_string()


def score_launches(model: str, features: FloatArray, *, threads: int = 2) -> FloatArray:
    """Return (B, L) scores."""
    booster = read_trees(model, origin="model of launches")
    b, n, f = features.shape
    flat = booster.predict(features.reshape(b * n, f), num_threads=threads)
    return np.asarray(flat, dtype=np.float32).reshape(b, n)


def judged(
    scores: FloatArray, launches: Launches, ties: Sequence[str], k: int
) -> dict[str, NDArray[np.float64]]:
    """Return per-visitor NDCG and recall; ties by product id."""
    by_id = np.argsort(np.argsort(np.array(ties)))
    order = np.stack([np.lexsort((by_id, -line))[:k] for line in scores])
    hits = hit_matrix(order.tolist(), [frozenset(b.tolist()) for b in launches.bought], k)
    sizes = [len(b) for b in launches.bought]
    return {f"ndcg@{k}": ndcg_at_k(hits, sizes, k), f"recall@{k}": recall_at_k(hits, sizes, k)}


def evaluate_cold_products(shop: ShopData, params: Params, layout: Layout) -> None:
    """Run protocol P4 and write its report; data too short for it give a report without rows."""
    section = params.evaluate
    products = read_table("products", layout.tables)
    first, last = int(shop.log.week.min()), int(shop.log.week.max())
    from_week, to_week = section.cold_from_week, section.cold_to_week
    if not first + 8 <= from_week <= to_week < last:
        from_week, to_week = first + (last - first + 1) // 2, first + 3 * (last - first + 1) // 4
    launches = find_launches(shop.log, shop.n_products, from_week, to_week, last + 1)
    earlier_from = first + (from_week - first) // 2
    earlier = find_launches(
        launches.before, shop.n_products, earlier_from, from_week - 1, from_week
    )
    head = {
        "protocol": "P4 cold products",
        "dataset": params.ingest.source,
        "split": "launches by first sale; everything fitted on the weeks before",
        "cut_off": f"week {from_week}",
        "n": len(launches.visitors),
        "seed": section.seed,
    }
    path = layout.reports / "p4_cold_products.json"
    if not len(launches.visitors) or not len(earlier.visitors):
        write_report(path, rows=[], launches=len(launches.items), **head)
        return
    facts = cold_facts(shop, products)
    n_visitors, k = len(shop.visitor_ids), section.k
    model = train_content_ranker(
        earlier, content_features(earlier, facts, n_visitors, earlier.visitors), section.seed
    )
    features = content_features(launches, facts, n_visitors, launches.visitors)
    rng = np.random.default_rng(section.seed)
    shape = features.shape[:2]
    scores = {
        "random": rng.random(shape).astype(np.float32),
        "category_popularity": features[:, :, CONTENT_FEATURES.index("category_popularity")],
        "own_category_frequency": features[:, :, CONTENT_FEATURES.index("category_lines")],
        "content_likeness": features[:, :, CONTENT_FEATURES.index("likeness_mean")],
        "shelfwise": score_launches(model, features),
    }
    ids = [shop.columns.product_ids[item] for item in launches.items]
    values = {name: judged(score, launches, ids, k) for name, score in scores.items()}
    rows = []
    for name, value in values.items():
        row = metric_row(value, bootstrap=section.bootstrap, seed=section.seed, model=name,
                         shipped=name == "shelfwise", slice="all")  # fmt: skip
        if name != "shelfwise":
            gain = paired_interval(values["shelfwise"][f"ndcg@{k}"], value[f"ndcg@{k}"],
                                   n=section.bootstrap, seed=section.seed)  # fmt: skip
            row |= {"shipped_gain": gain.mean, "shipped_gain_low": gain.low,
                    "shipped_gain_high": gain.high}  # fmt: skip
        rows.append(row)
    write_report(path, rows=rows, launches=len(launches.items), **head)

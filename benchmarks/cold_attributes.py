"""Do a new visitor's attributes tell what she will buy? Asked of visitors whose history is hidden.

Run: python -m benchmarks.cold_attributes --out reports/cold_attributes.json

For every visitor with attributes and a basket in the validation weeks, her purchases are taken out
of all counts, and the whole catalogue is ranked by the last month's sales alone, and by these times
how much more often visitors with her attributes buy a product, at several strengths. The test weeks
are not read: this decides whether serving should use attributes at all.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from components.contracts.artefacts import Layout
from components.contracts.params import load_params
from components.data.parquet import read_table
from components.data.split import read_cut_offs
from components.evaluate.bootstrap import paired_interval
from components.evaluate.metrics import hit_matrix, ndcg_at_k
from components.evaluate.report import metric_row, write_report
from components.recommend.popularity import ranked_indices, tie_order
from components.recommend.shop_data import first_baskets, read_shop

RECENT_DAYS = 28
HALF_LIFE_DAYS = 182.0
FEW = 0.05  # lines a product without sales counts with
STRENGTHS = (0.25, 0.5, 1.0)
SETTINGS = tuple((damping, strength) for damping in (300.0, 5000.0) for strength in STRENGTHS)


def main() -> None:
    """Rank and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/cold_attributes.json"))
    parser.add_argument("--root", type=Path, default=Path())
    options = parser.parse_args()
    layout, params = Layout(options.root), load_params(Path("params.yaml"))
    shop, cut = read_shop(layout.tables), read_cut_offs(layout)
    table = read_table("visitors", layout.tables)
    told = dict(zip(table["visitor_id"], map(json.loads, table["attributes"]), strict=True))
    log, n = shop.log.before(cut.valid_from_week), shop.n_products
    lines = np.bincount(log.group, log.amount, n)
    rankable = lines >= params.split.min_purchases
    baskets = first_baskets(
        shop.log, cut.valid_from_week, cut.test_from_week, rankable, params.split.min_basket
    )
    age = int(log.day.max()) + 1 - log.day
    weight = log.amount * np.exp2(-age / HALF_LIFE_DAYS)
    recent = log.amount * (age <= RECENT_DAYS)
    total, month = np.bincount(log.group, weight, n), np.bincount(log.group, recent, n)
    mine = [told.get(visitor, {}) for visitor in shop.visitor_ids]
    counts = {}
    for pair in sorted({pair for held in mine for pair in held.items()}):
        of_pair = np.array([pair in held.items() for held in mine])[log.visitor]
        counts[pair] = np.bincount(log.group[of_pair], weight[of_pair], n)
    ties = tie_order(lines, shop.columns.product_ids)
    k = params.evaluate.k
    heads: dict[str, list[list[int]]] = {}
    targets = []
    for visitor, products in zip(baskets.visitor, baskets.products, strict=True):
        if not mine[visitor]:
            continue
        targets.append(frozenset(products.tolist()))
        rows = slice(*np.searchsorted(log.visitor, [visitor, visitor + 1]))
        own = np.bincount(log.group[rows], weight[rows], n)
        others = total - own + FEW
        usual = others / others.sum()
        sold = np.log(month - np.bincount(log.group[rows], recent[rows], n) + FEW)
        scores = {"popularity": sold}
        for damping, strength in SETTINGS:
            lifts = []
            for pair in mine[visitor].items():
                held = counts[pair] - own
                share = (held + damping * usual) / (held.sum() + damping)
                lifts.append(np.log(np.maximum(share, 1e-12) / usual))
            name = f"attributes, damping {damping:g}, strength {strength:g}"
            scores[name] = sold + strength * np.mean(lifts, axis=0)
        for name, score in scores.items():
            (head,) = ranked_indices(score[None, :], ties, k, allowed=rankable[None, :])
            heads.setdefault(name, []).append(head.tolist())
    sizes = [len(wanted) for wanted in targets]
    values = {
        name: ndcg_at_k(hit_matrix(ranked, targets, k), sizes, k) for name, ranked in heads.items()
    }
    rows = []
    for name, ndcg in values.items():
        labels = {"model": name, "slice": "visitors without history"}
        if name != "popularity":
            gain = paired_interval(
                ndcg, values["popularity"], n=params.evaluate.bootstrap, seed=params.evaluate.seed
            )
            labels |= {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
        rows.append(
            metric_row({f"ndcg@{k}": ndcg}, bootstrap=params.evaluate.bootstrap,
                       seed=params.evaluate.seed, **labels)
        )  # fmt: skip
    write_report(
        options.out, protocol="New visitors by their attributes, on validation",
        dataset=params.ingest.source, split="validation weeks; histories hidden",
        cut_off=f"week {cut.valid_from_week}", n=len(targets), seed=params.evaluate.seed, rows=rows,
    )  # fmt: skip
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()

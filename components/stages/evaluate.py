"""Stage `evaluate`: the protocols of the pipeline, their reports and the shipped slates.

In: accepted tables, the split, and the trained artefacts. Out: `artefacts/evaluate`,
`reports/p1_next_basket.json`, `p1_beyond_accuracy.json`, `p1_trade_offs.json`,
`p4_cold_products.json` and `text_ablation.json`.
Nothing is chosen here; everything was chosen on weeks before the test cut-off.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from components.contracts.artefacts import Layout, read_manifest, writing_artefact
from components.contracts.params import Params
from components.data.catalogue import Catalogue
from components.data.split import CutOffs, read_cut_offs
from components.data.workers import worker_processes
from components.evaluate.binary import reliability
from components.evaluate.report import write_report
from components.recommend.engine import ARTEFACT as RANKER_ARTEFACT
from components.recommend.goals import gains
from components.recommend.history import BoolArray, FloatArray, IntArray
from components.recommend.item_text import catalogue_vectors
from components.recommend.ranker import Ranker, Ranking
from components.recommend.sequence_source import SequenceSource
from components.recommend.shop_data import Baskets, ShopData, read_shop, state_at
from components.recommend.train_ranker import FLOOR_FOLDER, bought_among
from components.stages.cold_products import evaluate_cold_products
from components.stages.next_basket import (
    Answer,
    Heads,
    Question,
    answer_of_ranker,
    answer_of_scores,
    ask,
    baselines,
    beyond_rows,
    next_basket_rows,
    slates_frame,
    visitors_frame,
    write_slates,
)
from components.stages.text_ablation import run as evaluate_text
from components.stages.trade_offs import Pools, trade_off_rows

ARTEFACT = "evaluate"
SHIPPED = "shelfwise"
log = logging.getLogger(__name__)


def sequence_scores(
    shop: ShopData, question: Question, artefacts: Path, cut: CutOffs
) -> Callable[[slice], Mapping[str, FloatArray]] | None:
    """Return the Transformer's scores of a block of visitors, as serving computes them; or None."""
    source = SequenceSource.load(artefacts)
    if source is None:
        return None
    before = shop.log.before(cut.test_from_week)

    def scores(part: slice) -> Mapping[str, FloatArray]:
        log = before.of_visitors(question.baskets.visitor[part], len(shop.visitor_ids))
        size = part.stop - part.start
        return {"sasrec": source.scores_of_log(log, size, shop.columns.product_ids)}

    return scores


def one_hot(labels: IntArray) -> FloatArray:
    """Return unit rows by which products of one label are alike and all others are not."""
    return np.eye(int(labels.max(initial=0)) + 1, dtype=np.float32)[labels]


class Chances:
    """Stated chances beside what was bought, over all candidates."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stated: list[FloatArray] = []
        self._bought: list[BoolArray] = []

    def add(self, stated: FloatArray, bought: BoolArray) -> None:
        """Keep the pairs of one block."""
        self._stated.append(stated)
        self._bought.append(bought)

    def table(self) -> list[dict[str, float]]:
        """Return foretold beside observed shares; see `reliability`."""
        return reliability(np.concatenate(self._stated), np.concatenate(self._bought))


def evaluate_next_basket(shop: ShopData, params: Params, layout: Layout, cut: CutOffs) -> None:
    """Run protocol P1 and write its reports and slates.

    Raises:
        ArtefactError: the ranker has not been trained, or was altered.
    """
    k = params.evaluate.k
    folder = layout.artefact(RANKER_ARTEFACT)
    read_manifest(folder)
    state = state_at(shop, cut.test_from_week, params.train_ranker, params.split.min_purchases)
    question = ask(shop, state, cut, params.split.min_basket)
    answers: dict[str, Answer] = {}
    for name, score in baselines(question, cut).items():
        answers[name] = answer_of_scores(question, score, k)
    # The floor's trees rank the same candidates: what it lacks is features.
    floor = Ranker.load(folder / FLOOR_FOLDER) if (folder / FLOOR_FOLDER).is_dir() else None
    floor_heads = Heads(question, k)
    extra = sequence_scores(shop, question, layout.artefacts, cut)
    catalogue = Catalogue.load(layout.artefacts).products
    listed = [catalogue.get(product_id) for product_id in shop.columns.product_ids]
    pools, chances = Pools(gains(listed)), Chances()

    def watch(baskets: Baskets, ranking: Ranking) -> None:
        pools.add(len(baskets), ranking)
        chances.add(ranking.probability, bought_among(ranking.candidates, baskets, shop.n_products))
        if floor is not None and ranking.features is not None:
            score = floor.score(ranking.features, threads=2)
            floor_heads.add(len(baskets), replace(ranking, score=score))

    answers[SHIPPED], deep, recall = answer_of_ranker(
        question, Ranker.load(folder), k, extra=extra, watch=watch
    )
    if floor is not None:
        answers["floor"] = floor_heads.answer()
    head = {
        "dataset": f"{params.ingest.source}; {int(state.rankable.sum())} products with at least "
        f"{params.split.min_purchases} purchase lines before the cut-off",
        "split": "one global time cut-off by shop week",
        "cut_off": f"week {cut.test_from_week}",
        "n": len(question.baskets),
        "seed": params.evaluate.seed,
    }
    rows = next_basket_rows(question, answers, SHIPPED, cut, params)
    write_report(
        layout.reports / "p1_next_basket.json",
        protocol="P1 next basket",
        rows=rows,
        products=int(state.rankable.sum()),
        products_per_basket=float(np.mean([len(p) for p in question.baskets.products])),
        **({} if question.sought() is question else {"compared_on": "sought"}),
        **head,
    )
    write_report(
        layout.reports / "p1_beyond_accuracy.json",
        protocol="P1 beyond accuracy",
        rows=beyond_rows(question, answers, SHIPPED),
        candidate_recall=recall,
        calibration=chances.table(),
        **head,
    )
    vectors, _ = catalogue_vectors(layout.artefacts, shop.columns.product_ids)
    if vectors is None:
        vectors = one_hot(state.type_of)
    write_report(
        layout.reports / "p1_trade_offs.json",
        protocol="P1 next basket under several goals",
        rows=trade_off_rows(
            pools, question.targets("all"), question.owned, vectors, state.category_of,
            k=k, n_products=int(state.rankable.sum()), bootstrap=params.evaluate.bootstrap,
            seed=params.evaluate.seed,
        ),
        **head,
    )  # fmt: skip
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="evaluation",
        stage="evaluate",
        seed=params.evaluate.seed,
        params=params.evaluate.model_dump(),
    ) as target:
        write_slates(slates_frame(question, deep), target)
        visitors = visitors_frame(question, answers[SHIPPED], k)
        visitors.write_parquet(target / "p1_visitors.parquet", compression="zstd")


def measured_now(folder: Path, params: Params, layout: Layout) -> pl.DataFrame:
    """Return P1 per visitor, see `visitors_frame`, of a release's trees on the tables of now.

    State and test week are those of the tables; trees and Transformer are the release's. It must
    not have been trained on that week.

    Raises:
        ArtefactError: the release has no ranker, or an altered one.
        ValueError: its trees know other features.
    """
    shop, cut = read_shop(layout.tables), read_cut_offs(layout)
    state = state_at(shop, cut.test_from_week, params.train_ranker, params.split.min_purchases)
    question = ask(shop, state, cut, params.split.min_basket)
    read_manifest(folder / RANKER_ARTEFACT)
    ranker = Ranker.load(folder / RANKER_ARTEFACT)
    extra = sequence_scores(shop, question, folder, cut)
    answer, _, _ = answer_of_ranker(question, ranker, params.evaluate.k, extra=extra)
    return visitors_frame(question, answer, params.evaluate.k)


def evaluate_cold_start(params: Params, layout: Layout) -> None:
    """Run P4 and report the text ablation."""
    evaluate_cold_products(read_shop(layout.tables), params, layout)
    evaluate_text(params, layout)


def run(params: Params, layout: Layout) -> None:
    """Run the pipeline's protocols.

    Raises:
        ArtefactError: a trained artefact is absent or altered.
    """
    # Two processes: the protocols share nothing but what they read, and P1 takes half of the time.
    with worker_processes(1) as pool:
        others = pool.submit(evaluate_cold_start, params, layout)
        evaluate_next_basket(read_shop(layout.tables), params, layout, read_cut_offs(layout))
        others.result()

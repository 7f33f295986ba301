"""What the ranker's choices are worth, on the weeks before the test cut-off alone.

Trains on windows that end before `split.valid_from_week` and asks protocol P1 of the valid weeks.
The test weeks are not read. One row per variant and slice; the default parameters are `default`.

    python benchmarks/ranker_choices.py --out reports/ranker_choices.json default windows_6
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from components.contracts.artefacts import Layout
from components.contracts.params import Params, TrainRankerParams, load_params
from components.data.split import read_cut_offs
from components.evaluate.report import metric_row, read_report, write_report
from components.recommend.features import FEATURES
from components.recommend.ranker import Ranker
from components.recommend.shop_data import ShopData, read_shop, state_at
from components.recommend.train_ranker import FLOOR_FEATURES, collect_rows, train
from components.stages.next_basket import (
    SLICES,
    Answer,
    answer_of_ranker,
    answer_of_scores,
    ask,
    baselines,
    measured,
)


def changed(**values: object) -> Callable[[TrainRankerParams], TrainRankerParams]:
    """Return a change of the ranker's parameters."""
    return lambda params: params.model_copy(update=values)


VARIANTS: dict[str, tuple[Callable[[TrainRankerParams], TrainRankerParams], tuple[str, ...]]] = {
    "default": (changed(), FEATURES),
    "floor": (changed(), FLOOR_FEATURES),
    "windows_6": (changed(windows=6, stride_weeks=4), FEATURES),
    "trees_500": (changed(trees=500), FEATURES),
    "leaves_63": (changed(leaves=63), FEATURES),
    "leaves_15": (changed(leaves=15), FEATURES),
    "no_exposures": (changed(), tuple(f for f in FEATURES if not f.startswith("exposure"))),
    "no_place": (changed(), tuple(f for f in FEATURES if not f.startswith("place"))),
    "no_types": (changed(), tuple(f for f in FEATURES if not f.startswith("type"))),
    "no_affinity": (changed(), tuple(f for f in FEATURES if not f.startswith("affinity"))),
}


def main() -> None:
    """Run the named variants and add their rows to the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+", choices=sorted(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("reports/ranker_choices.json"))
    parser.add_argument("--root", type=Path, default=Path())
    options = parser.parse_args()
    layout = Layout(options.root)
    params: Params = load_params(Path("params.yaml"))
    shop: ShopData = read_shop(layout.tables)
    cut = read_cut_offs(layout)
    valid = replace(cut, test_from_week=cut.valid_from_week, last_week=cut.test_from_week - 1)
    k = params.evaluate.k
    split = params.split
    state = state_at(shop, valid.test_from_week, params.train_ranker, split.min_purchases)
    question = ask(shop, state, valid, split.min_basket)
    answers: dict[str, Answer] = {}
    for name in ("popularity", "own_frequency_decay"):
        score = baselines(question, valid)[name]
        answers[name] = answer_of_scores(question, score, k)
    for name in options.variants:
        change, features = VARIANTS[name]
        section = change(params.train_ranker)
        rows = collect_rows(
            shop, valid.test_from_week, section, split.min_purchases, split.min_basket
        )
        ranker: Ranker = train(rows, section, features=features)
        answers[name], _, _ = answer_of_ranker(question, ranker, k)
        for slice_ in SLICES:
            values = measured(question, answers[name], slice_, k)
            print(
                name, slice_, {m: round(float(v.mean()), 4) for m, v in values.items()}, flush=True
            )
    held = read_report(options.out)["rows"] if options.out.exists() else []
    rows_out = [row for row in held if row["model"] not in answers]
    for name, answer in answers.items():
        for slice_ in SLICES:
            rows_out.append(
                metric_row(
                    measured(question, answer, slice_, k),
                    bootstrap=params.evaluate.bootstrap,
                    seed=params.evaluate.seed,
                    model=name,
                    slice=slice_,
                )
            )
    write_report(
        options.out, protocol="P1 next basket, on validation", dataset=params.ingest.source,
        split="valid weeks; trained on windows before them", cut_off=f"week {valid.test_from_week}",
        n=len(question.baskets), seed=params.train_ranker.seed,
        rows=sorted(rows_out, key=lambda row: (row["slice"], row["model"])),
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""What text buys in next-product prediction: identifier only, text only, fused, blend.

Run: python -m benchmarks.office_text --data FOLDER --out reports/p2_office_text.json

FOLDER holds `items.parquet` and `next_item.parquet` (split, user_id, history, target; a split by
time). Weights and epochs are chosen on the valid rows with models that learnt from what came before
them; the test rows are then ranked by models that also learnt from the valid rows. A visitor who
appears in the test rows only gives the history of the first of them, which holds no test target.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import polars as pl
import torch

from components.contracts.artefacts import Layout
from components.evaluate.report import metric_row, write_report
from components.recommend.blend import WeightedBlend, make_pool, ranked
from components.recommend.train_sasrec import SASRecRecommender, next_step_ndcg
from components.recommend.training import TrainOptions
from components.stages.bench_sequences import (
    SETTINGS_NAME,
    SequenceFile,
    describe_products,
    read_settings,
    sequence_generators,
)

TEXT_ONLY = ("words", "words_last", "encoder", "encoder_last")
IDENTIFIER = ("item_knn", "item_knn_last", "graph")


def rows_of(frame: pl.DataFrame, split: str, index: dict[int, int]):
    """Return histories, targets and visitors of one split, with dense indices."""
    part = frame.filter(pl.col("split") == split).sort("row")
    histories = [np.array([index[i] for i in h], np.int64) for h in part["history"].to_list()]
    target = np.array([index[i] for i in part["target"]], np.int64)
    return histories, target, part["user_id"].to_list()


def known_sequences(parts, *, with_targets: bool) -> tuple[list[np.ndarray], set[str]]:
    """Return one sequence per visitor, and who they are.

    With targets: the last history and its target; without: the first history.
    """
    out: dict[str, np.ndarray] = {}
    histories, target, visitors = parts
    for history, wanted, visitor in zip(histories, target, visitors, strict=True):
        if with_targets:
            out[visitor] = np.append(history, wanted)
        else:
            out.setdefault(visitor, history)
    return list(out.values()), set(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    layout = Layout(os.environ.get("SHELFWISE_ROOT", "."))
    settings = read_settings(layout.root / SETTINGS_NAME)
    seed = settings.seeds[0]
    items = pl.read_parquet(arguments.data / "items.parquet").sort("item_id")
    frame = pl.read_parquet(arguments.data / "next_item.parquet")
    index = {item: row for row, item in enumerate(items["item_id"].to_list())}
    file = SequenceFile([], pl.Series(), items["item_id"], items)
    v = file.n_products
    text = describe_products(file, settings, layout.var / "cache" / "texts")
    valid, test = rows_of(frame, "valid", index), rows_of(frame, "test", index)

    first, seen = known_sequences(valid, with_targets=False)
    later, _ = known_sequences(test, with_targets=False)
    newcomers = [s for s, u in zip(later, dict.fromkeys(test[2]), strict=True) if u not in seen]
    grown, _ = known_sequences(valid, with_targets=True)
    order = np.random.default_rng(seed).permutation(len(valid[0]))
    stop, fit = np.sort(order[:1500]), np.sort(order[1500:])

    def transformer(name: str, sequences, epochs: int | None) -> SASRecRecommender:
        t = settings.transformer
        steps = max(sum(len(s) > 1 for s in sequences) // t.batch_size, 1)
        planned = epochs or min(max(t.epochs, -(-t.min_steps // steps)), t.max_epochs)
        model = SASRecRecommender(
            width=t.width, layers=t.layers, heads=t.heads, dropout=t.dropout,
            id_dropout=t.id_dropout, text_width=t.text_width, frequency=t.frequency,
            options=TrainOptions(
                seed=seed, epochs=planned, patience=t.patience, learning_rate=t.learning_rate
            ),
        )  # fmt: skip

        def validate(current) -> float:
            histories = [valid[0][row] for row in stop]
            wanted = valid[1][stop][:, None]
            return float(np.mean(next_step_ndcg(current, histories, wanted, remove_seen=True)))

        vectors = text.vectors if name == "fused" and text is not None else None
        return model.fit(sequences, v, text=vectors, validate=validate if epochs is None else None)

    chosen: dict[str, int] = {}
    generators = {"early": {}, "late": {}}
    for stage, sequences in (("early", first), ("late", grown + newcomers)):
        for name in ("identifier", "fused"):
            model = transformer(name, sequences, chosen.get(name))
            chosen.setdefault(name, max(model.progress.best_epoch + 1, 1))
            generators[stage][name] = model.score
        generators[stage] |= sequence_generators(sequences, v, text, settings)
    groups = {
        "identifier_only": ("identifier",),
        "text_only": TEXT_ONLY,
        "fused": ("fused",),
        "blend": ("fused", "identifier", "text_knn", *IDENTIFIER, *TEXT_ONLY),
        "item_knn": ("item_knn",),
    }
    rows = []
    for name, members in groups.items():
        early = {m: generators["early"][m] for m in members if m in generators["early"]}
        late = {m: generators["late"][m] for m in early}
        pool = make_pool(early, [valid[0][row] for row in fit], target=valid[1][fit])
        pool = pool.take(np.flatnonzero(~pool.seen))
        join = WeightedBlend().fit(pool, valid[1][fit])
        asked = make_pool(late, test[0])
        asked = asked.take(np.flatnonzero(~asked.seen))
        hits = ranked(asked, join.score(asked), 10) == test[1][:, None]
        gain = (hits / np.log2(np.arange(2, 12))).sum(axis=1)
        values = {"ndcg@10": gain, "recall@10": hits.any(axis=1).astype(float)}
        labels = {"model": name, "shipped": name == "blend", "slice": "all", "seen": "removed"}
        rows.append(metric_row(values, bootstrap=settings.bootstrap, seed=seed, **labels))
    write_report(
        arguments.out, protocol="P2 with text", dataset=arguments.data.name,
        split="valid and test rows by time", cut_off="first valid row", n=len(test[0]), seed=seed,
        rows=rows, epochs=chosen,
    )  # fmt: skip


if __name__ == "__main__":
    main()

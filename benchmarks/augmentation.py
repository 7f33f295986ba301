"""What augmentation brings the Transformer: cropped histories, masked events, hidden texts.

Run: python -m benchmarks.augmentation --data FOLDER --out reports/augmentation.json

FOLDER as for `benchmarks.office_text`. Each way is trained alone with the same steps and seeds on
what came before the valid rows, and judged on the valid rows (seen products removed); the test rows
are not read, since this is a choice of settings. Gains are paired over visitors, seeds averaged.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.office_text import known_sequences, rows_of
from components.contracts.artefacts import Layout
from components.evaluate.bootstrap import paired_interval
from components.evaluate.report import metric_row, write_report
from components.recommend.train_sasrec import SASRecRecommender, next_step_ndcg
from components.recommend.training import TrainOptions
from components.stages.bench_sequences import (
    SETTINGS_NAME,
    SequenceFile,
    describe_products,
    read_settings,
)

PLAIN = {"crop": 0.0, "id_dropout": 0.0, "text_dropout": 0.0, "mask": 0.0}
WAYS: dict[str, dict[str, float]] = {
    "none": {},
    "crop": {"crop": 0.3},
    "mask": {"mask": 0.15},
    "identifier dropout": {"id_dropout": 0.1},
    "text dropout": {"text_dropout": 0.1},
    "all": {"crop": 0.3, "mask": 0.15, "id_dropout": 0.1, "text_dropout": 0.1},
}
SERVED = "identifier dropout"


def main() -> None:
    """Train every way and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8])
    options = parser.parse_args()
    torch.set_num_threads(1)
    layout = Layout(os.environ.get("SHELFWISE_ROOT", "."))
    settings = read_settings(layout.root / SETTINGS_NAME)
    t = settings.transformer
    items = pl.read_parquet(options.data / "items.parquet").sort("item_id")
    frame = pl.read_parquet(options.data / "next_item.parquet")
    index = {item: row for row, item in enumerate(items["item_id"].to_list())}
    file = SequenceFile([], pl.Series(), items["item_id"], items)
    text = describe_products(file, settings, layout.var / "cache" / "texts")
    vectors = text.vectors if text is not None else None
    valid = rows_of(frame, "valid", index)
    sequences, _ = known_sequences(valid, with_targets=False)
    per_epoch = max(sum(len(part) > 1 for part in sequences) // t.batch_size, 1)
    epochs = max(1, round(options.steps / per_epoch))
    values: dict[str, np.ndarray] = {}
    for name, way in WAYS.items():
        chosen = PLAIN | way
        runs = []
        for seed in options.seeds:
            model = SASRecRecommender(
                width=64, layers=t.layers, heads=t.heads, dropout=t.dropout,
                id_dropout=chosen["id_dropout"], text_dropout=chosen["text_dropout"],
                mask=chosen["mask"], text_width=t.text_width, frequency=t.frequency,
                options=TrainOptions(
                    seed=seed, epochs=epochs, learning_rate=t.learning_rate, crop=chosen["crop"]
                ),
            )  # fmt: skip
            model.fit(sequences, file.n_products, text=vectors)
            runs.append(next_step_ndcg(model, valid[0], valid[1][:, None], remove_seen=True))
        values[name] = np.mean(runs, axis=0)
        print(name, float(values[name].mean()), flush=True)
    rows = []
    for name, ndcg in values.items():
        labels = {"model": name, "shipped": name == SERVED, "slice": "all", "seen": "removed"}
        labels |= WAYS[name]
        if name != "none":
            gain = paired_interval(ndcg, values["none"], n=settings.bootstrap, seed=7)
            labels |= {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
        rows.append(metric_row({"ndcg@10": ndcg}, bootstrap=settings.bootstrap, seed=7, **labels))
    write_report(
        options.out, protocol="Augmentation of sequences, on validation",
        dataset=options.data.name, split="valid rows by time", cut_off="first valid row",
        n=len(valid[0]), seed=options.seeds[0], seeds=options.seeds, epochs=epochs, rows=rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()

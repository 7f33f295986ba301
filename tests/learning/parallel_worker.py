"""Train a small model as one of several processes; the first one writes weights and curve."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from components.recommend.sasrec import SASRec, SASRecConfig
from components.recommend.training import TrainingData, TrainOptions, process_group, train


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    ring = [(rng.integers(20) + np.arange(rng.integers(2, 9))) % 20 for _ in range(101)]
    with process_group() as rank:
        torch.manual_seed(0)
        model = SASRec(SASRecConfig(20, width=16, layers=2, heads=2, dropout=0.0))
        options = TrainOptions(epochs=3, batch_size=16, learning_rate=0.01, warmup=2)
        done = train(model, TrainingData.of(ring, 20), options, show=False)
        if rank == 0:
            weights = {name: value.detach() for name, value in model.named_parameters()}
            save_file(weights, folder / "weights.safetensors")
            (folder / "curve.json").write_text(json.dumps([row["loss"] for row in done.curve]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

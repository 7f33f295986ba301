"""CPU seconds per epoch: this project's sequential Transformer beside plain references.

Run: OMP_NUM_THREADS=1 python -m benchmarks.sasrec_speed --interactions F --out R.json [--share .1]
    [--recbole PYTHON]

All have the same width, layers, heads and data, on one thread. References:
- `recbole`: RecBole's own SASRec, in the environment whose interpreter is named by `--recbole`
  (`python -m venv V && V/bin/pip install recbole`); see `benchmarks/recbole_epoch.py`.
- `prefix_ce`: what RecBole's SASRec does: every prefix is a training row padded to 50 events, full
  softmax at its last place, fresh logits, 2,048 rows a step.
- `position_bce`: the original's recipe: whole sequences padded to 50, one drawn negative per place,
  128 sequences a step.
Each is timed on a share of its steps, after two steps of warm-up, and scaled to an epoch.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from components.contracts.artefacts import write_json
from components.recommend.sasrec import SASRec, SASRecConfig
from components.recommend.sequences import leave_out, pad_left
from components.recommend.training import TrainingData, TrainOptions, train
from components.stages.bench_sequences import read_sequences

LENGTH = 50


class PlainSASRec(nn.Module):
    """Absolute positions, post-norm encoder layers, a padded product table."""

    def __init__(self, n_products: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.item = nn.Embedding(n_products + 1, width, padding_idx=n_products)
        self.place = nn.Embedding(LENGTH, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.3, activation="gelu", batch_first=True
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        t = items.shape[1]
        x = self.norm(self.item(items) + self.place(torch.arange(t)))
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        return self.body(x, mask=mask, is_causal=True)


def timed_steps(steps, total: int, share: float) -> float:
    """Return processor seconds for `total` steps, from a share of them."""
    wanted = max(3, round(total * share))
    begun = 0.0
    for number in range(wanted + 2):
        if number == 2:
            begun = time.process_time()
        next(steps)
    return (time.process_time() - begun) / wanted * total


def prefix_ce(
    sequences, n_products: int, width: int, layers: int, heads: int, share: float
) -> float:
    model = PlainSASRec(n_products, width, layers, heads)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    ends = [(row, cut) for row, s in enumerate(sequences) for cut in range(1, len(s))]
    order = np.random.default_rng(0).permutation(len(ends))
    batch = 2048

    def steps():
        at = 0
        while True:
            rows = [ends[i] for i in np.take(order, range(at, at + batch), mode="wrap")]
            at += batch
            inputs = np.full((batch, LENGTH), n_products)
            for b, (row, cut) in enumerate(rows):
                tail = sequences[row][max(cut - LENGTH, 0) : cut]
                inputs[b, : len(tail)] = tail
            last = torch.tensor([min(cut, LENGTH) - 1 for _, cut in rows])
            target = torch.tensor([int(sequences[row][cut]) for row, cut in rows])
            state = model(torch.from_numpy(inputs))[torch.arange(batch), last]
            loss = nn.functional.cross_entropy(state @ model.item.weight[:-1].t(), target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield

    return timed_steps(steps(), -(-len(ends) // batch), share)


def position_bce(
    sequences, n_products: int, width: int, layers: int, heads: int, share: float
) -> float:
    model = PlainSASRec(n_products, width, layers, heads)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    usable = [s for s in sequences if len(s) > 1]
    rng = np.random.default_rng(0)
    batch = 128

    def steps():
        while True:
            rows = [usable[i] for i in rng.integers(0, len(usable), batch)]
            inputs = torch.from_numpy(pad_left([s[:-1] for s in rows], LENGTH, padding=n_products))
            wanted = torch.from_numpy(pad_left([s[1:] for s in rows], LENGTH, padding=n_products))
            drawn = torch.from_numpy(rng.integers(0, n_products, (batch, LENGTH)))
            states = model(inputs)
            right = (states * model.item(wanted)).sum(-1)
            wrong = (states * model.item(drawn)).sum(-1)
            real = (wanted < n_products).float()
            loss = nn.functional.softplus(-right) + nn.functional.softplus(wrong)
            loss = (loss * real).sum() / real.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield

    return timed_steps(steps(), -(-len(usable) // batch), share)


def ours(sequences, n_products: int, width: int, layers: int, heads: int, share: float) -> float:
    model = SASRec(SASRecConfig(n_products, width=width, layers=layers, heads=heads, dropout=0.3))
    data = TrainingData.of(sequences, n_products)
    options = TrainOptions(epochs=1)
    total = -(-int((data.usable > 0).sum()) // options.batch_size)
    wanted = max(3, round(total * share))
    train(model, data, options, stop_after=2, show=False)
    begun = time.process_time()
    train(model, data, options, stop_after=wanted, show=False)
    return (time.process_time() - begun) / wanted * total


def recbole(
    python: Path, sequences, n_products: int, width: int, layers: int, heads: int, share: float
) -> float:
    """Time RecBole's SASRec in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        held, shape = Path(folder) / "sequences.npz", Path(folder) / "shape.json"
        cuts = np.cumsum([len(part) for part in sequences])[:-1]
        np.savez(held, items=np.concatenate(sequences), cuts=cuts)
        write_json(shape, {"width": width, "layers": layers, "heads": heads, "share": share,
                           "products": n_products})  # fmt: skip
        driver = Path(__file__).with_name("recbole_epoch.py")
        done = subprocess.run(
            [str(python), str(driver), str(held), str(shape)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--recbole", type=Path, help="interpreter of RecBole's environment")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = read_sequences(arguments.interactions, None)
    sequences = leave_out(file.sequences, 2)
    shape = (arguments.width, arguments.layers, arguments.heads, arguments.share)
    seconds = {
        kind.__name__: round(kind(sequences, file.n_products, *shape), 1)
        for kind in (ours, prefix_ce, position_bce)
    }
    if arguments.recbole is not None:
        found = recbole(arguments.recbole, sequences, file.n_products, *shape)
        seconds["recbole"] = round(found, 1)
    write_json(
        arguments.out,
        {
            "cpu_seconds_per_epoch": seconds,
            "times_fewer": {
                name: round(value / seconds["ours"], 2)
                for name, value in seconds.items() if name != "ours"
            },
            "width": arguments.width, "layers": arguments.layers, "heads": arguments.heads,
            "share_of_steps": arguments.share,
        },
    )  # fmt: skip
    print(seconds)


if __name__ == "__main__":
    main()

"""CPU seconds per epoch of RecBole's own SASRec. Run by the interpreter RecBole is installed in.

Run: PYTHON benchmarks/recbole_epoch.py SEQUENCES.npz SHAPE.json

Needs numpy, torch and RecBole alone, nothing of this project: RecBole pins other versions than this
project does, so it lives in an environment of its own. Prints one JSON line. The model, its loss
and its optimiser's settings are RecBole's; the batches are what its sequential dataset makes: every
prefix is a training row, padded to 50 events, 2,048 rows a step.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recbole.model.sequential_recommender.sasrec import SASRec

LENGTH = 50
BATCH = 2048


class Dataset:
    """What the model asks of RecBole's dataset: how many products there are, padding included."""

    def __init__(self, n: int) -> None:
        self.n = n

    def num(self, field: str) -> int:
        """Return the size of a field's vocabulary."""
        return self.n


def main() -> None:
    """Time a share of an epoch's steps."""
    held = np.load(sys.argv[1])
    shape = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = {
        "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "item_length", "NEG_PREFIX": "neg_",
        "MAX_ITEM_LIST_LENGTH": LENGTH, "device": torch.device("cpu"),
        "n_layers": shape["layers"], "n_heads": shape["heads"], "hidden_size": shape["width"],
        "inner_size": 4 * shape["width"], "hidden_dropout_prob": 0.5, "attn_dropout_prob": 0.5,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12, "initializer_range": 0.02,
        "loss_type": "CE",
    }  # fmt: skip
    model = SASRec(config, Dataset(shape["products"] + 1))
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    sequences = np.split(held["items"] + 1, held["cuts"])  # RecBole pads with 0
    ends = [(row, cut) for row, part in enumerate(sequences) for cut in range(1, len(part))]
    order = np.random.default_rng(0).permutation(len(ends))
    total = -(-len(ends) // BATCH)
    wanted = max(3, round(total * shape["share"]))
    begun = 0.0
    for step in range(wanted + 2):
        if step == 2:  # two steps of warm-up
            begun = time.process_time()
        rows = [
            ends[i] for i in np.take(order, range(step * BATCH, (step + 1) * BATCH), mode="wrap")
        ]
        inputs = np.zeros((BATCH, LENGTH), np.int64)
        for b, (row, cut) in enumerate(rows):
            tail = sequences[row][max(cut - LENGTH, 0) : cut]
            inputs[b, : len(tail)] = tail
        batch = {
            "item_id_list": torch.from_numpy(inputs),
            "item_length": torch.tensor([min(cut, LENGTH) for _, cut in rows]),
            "item_id": torch.tensor([int(sequences[row][cut]) for row, cut in rows]),
        }
        optimiser.zero_grad()
        loss = model.calculate_loss(batch)
        loss.backward()
        optimiser.step()
    seconds = (time.process_time() - begun) / wanted * total
    print(json.dumps({"seconds": seconds, "steps": total, "timed_steps": wanted}))


if __name__ == "__main__":
    main()

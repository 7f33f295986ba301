"""What training must achieve, and that two processes achieve what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from components.recommend.item_knn import ItemKNN
from components.recommend.train_sasrec import SASRecRecommender, next_step_ndcg
from components.recommend.training import TrainOptions

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("parallel_worker.py")
pytestmark = pytest.mark.slow


def two_back(n, size, seed):
    """Walks whose next product depends on the one before the last: order alone tells it."""
    rng = np.random.default_rng(seed)
    rule = rng.permutation(size)
    walks = []
    for _ in range(n):
        walk = list(rng.integers(0, size, 2))
        while len(walk) < 10:
            walk.append(int(rule[walk[-2]]) if rng.random() < 0.9 else int(rng.integers(size)))
        walks.append(np.array(walk))
    return walks


def test_a_small_batch_can_be_learnt_by_heart():
    rng = np.random.default_rng(0)
    walks = [rng.integers(0, 30, 6) for _ in range(50)]
    options = TrainOptions(epochs=120, batch_size=50, learning_rate=0.01, warmup=1)
    model = SASRecRecommender(width=32, heads=2, dropout=0.0, id_dropout=0.0, options=options)
    model.fit(walks, 30)
    losses = [row["loss"] for row in model.progress.curve]
    assert losses[-1] < 0.3 < 2.0 < losses[0]


def test_attention_learns_an_order_that_neighbours_cannot():
    walks = two_back(600, 40, 1)
    known, asked = walks[:500], walks[500:]
    options = TrainOptions(epochs=25, batch_size=32, learning_rate=0.005, warmup=20)
    model = SASRecRecommender(width=32, heads=2, dropout=0.1, id_dropout=0.0, options=options)
    model.fit(known, 40)
    histories, targets = [w[:-1] for w in asked], [w[-1:] for w in asked]
    ours = next_step_ndcg(model, histories, targets, remove_seen=False).mean()
    knn = ItemKNN().fit(known, 40)
    theirs = next_step_ndcg(knn, histories, targets, remove_seen=False).mean()
    assert ours > theirs + 0.1


def run_worker(folder: Path, processes: int) -> None:
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    subprocess.run([*start, str(WORKER), str(folder)], env=environment, check=True, timeout=400)


def test_two_processes_take_the_steps_of_one(tmp_path):
    run_worker(tmp_path / "one", 1)
    run_worker(tmp_path / "two", 2)
    one, two = (json.loads((tmp_path / name / "curve.json").read_text()) for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-3)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, value in first.items():
        other = second[name]
        if name.endswith("query_key_value.bias"):
            # Adding one vector to all keys moves no attention weight: its gradient is rounding
            # noise, and the optimiser scales noise up to full steps.
            width = len(value) // 3
            value, other = (np.delete(part, np.s_[width : 2 * width]) for part in (value, other))
        assert other == pytest.approx(value, abs=2e-3), name

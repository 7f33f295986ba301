"""How long ranking takes: a thousand visitors in one batch, and one visitor, its two stages apart.

Run: python -m benchmarks.recommend_speed --out var/recommend_speed.json

Reads a release's folder (`artefacts` by default). Generation is the visitor's view, the affinities,
the Transformer's scores and the union of candidates; ranking is the features, the trees and the
calibration; `slate` is the whole call behind `/v1/recommend`. One thread. Times are of this machine
and this moment: they are printed and written where no report is committed.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from components.contracts.artefacts import write_json
from components.recommend.engine import RecommendEngine
from components.recommend.features import feature_rows, view_visitors
from components.recommend.history import IntArray, day_of
from components.recommend.ranker import propose


def stages(engine: RecommendEngine, visitors: IntArray, now: datetime) -> tuple[float, float, int]:
    """Return the seconds of generation and of ranking, and the pairs scored."""
    store, state, ranker = engine.history_store, engine.state, engine.ranker
    assert store is not None
    assert state is not None
    assert ranker is not None
    begun = time.perf_counter()
    log = store.log.of_visitors(visitors, len(store.visitor_ids))
    n = len(visitors)
    days, weeks = np.full(n, day_of(now)), np.full(n, engine.week_of(now))
    view = view_visitors(log, days, weeks, state, ident=visitors)
    extra = None
    if engine.sequence is not None:
        ids = engine.product_ids[: state.n_products]
        extra = {"sasrec": engine.sequence.scores_of_log(log, n, ids)}
    candidates, affinity = propose(view, state, quotas=ranker.quotas, extra=extra)
    between = time.perf_counter()
    rows = feature_rows(view, state, candidates.visitor, candidates.product, affinity)
    ranker.calibration(ranker.score(rows, threads=1))
    return between - begun, time.perf_counter() - between, len(candidates)


def spread(seconds: list[float]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds."""
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"p50_ms": round(1000 * float(p50), 2), "p99_ms": round(1000 * float(p99), 2)}


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"))
    parser.add_argument("--out", type=Path, default=Path("var/recommend_speed.json"))
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--single", type=int, default=200, help="visitors asked one by one")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    engine = RecommendEngine.load(options.artefacts)
    assert engine.history_store is not None
    clock = json.loads((options.artefacts / "catalogue" / "clock.json").read_text())
    now = datetime.fromisoformat(clock["data_end"])
    known = np.flatnonzero(np.diff(engine.history_store.bounds) > 0)
    drawn = np.random.default_rng(options.seed).permutation(known)
    batch = np.sort(drawn[: options.batch])
    stages(engine, batch[:50], now)  # warm caches
    cpu = time.process_time()
    generation, ranking, pairs = stages(engine, batch, now)
    cpu = time.process_time() - cpu
    singles = [stages(engine, drawn[at : at + 1], now) for at in range(options.single)]
    ids = [engine.history_store.visitor_ids[at] for at in drawn[: options.single]]
    slates = [timed(lambda v=v: engine.recommend(v, [], now=now)) for v in ids]
    found = {
        "batch": {
            "visitors": len(batch), "pairs": pairs, "generation_seconds": round(generation, 2),
            "ranking_seconds": round(ranking, 2), "cpu_seconds": round(cpu, 2),
        },
        "one_visitor": {
            "visitors": len(singles),
            "generation": spread([single[0] for single in singles]),
            "ranking": spread([single[1] for single in singles]),
            "slate": spread(slates),
        },
    }  # fmt: skip
    write_json(options.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

"""Latency of assistant turns in process over a release, as it is served, without a language model.

Encoder, search engine, recommender and classifier are the release's own; retrieval and the state's
database are included. Closed-loop clients in threads, each with its own visitor and session;
`words_*` is when a streamed reply has its first words. CPU time per turn stands beside wall time,
to which other work on the machine adds.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from components.assistant.assemble import assistant_of, load_parts
from components.contracts.artefacts import write_json
from components.contracts.messages import TurnRequest
from components.state.store import Store

SCRIPT = (
    "kids cereal under $4, not chocolate",
    "cheaper",
    "add the second one twice",
    "milk",
    "store brand only",
    "compare the first two",
    "why the first one?",
    "frozen pizza",
    "recommend something",
    "牛奶",
    "a breakfast basket for 20 dollars",
    "what is in my basket?",
    "undo",
    "toothpaste",
    "tell me about the first one",
)


def main() -> None:
    """Measure p50 and p99 in milliseconds by number of clients, print and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("reports/assistant_latency.json"))
    options = parser.parse_args()
    parts = load_parts(options.artefacts)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/state.db")
        made = assistant_of(parts, store, release_id="bench", now=lambda: parts.data_end)
        for message in SCRIPT:  # what is made on the first use is made now
            made.turn(TurnRequest(session_id="warm", visitor_id="warm", message=message))
        for clients in (1, 4):
            whole: list[float] = []
            words: list[float] = []

            def talk(name: str, whole: list[float] = whole, words: list[float] = words) -> None:
                for n in range(options.rounds):
                    for message in SCRIPT:
                        start = time.perf_counter()
                        made.turn(
                            TurnRequest(session_id=f"{name}-{n}", visitor_id=name, message=message),
                            say=lambda _, start=start: words.append(time.perf_counter() - start),
                        )
                        whole.append(time.perf_counter() - start)

            cpu = time.process_time()
            threads = [
                threading.Thread(target=talk, args=(f"c{clients}-{i}",)) for i in range(clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            worked = time.process_time() - cpu
            rows.append(
                {
                    "model": "assistant",
                    "shipped": True,
                    "clients": clients,
                    "n": len(whole),
                    **quantiles("", whole),
                    **quantiles("words_", words),
                    "cpu_per_turn_ms": round(worked * 1000 / len(whole), 1),
                }
            )
        store.close()
    report = {
        "protocol": "assistant latency",
        "dataset": f"{len(parts.catalogue)} products",
        "cores": os.cpu_count(),
        "rows": rows,
    }
    write_json(options.out, report)
    print(json.dumps(report, indent=1))


def quantiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds."""
    p50, p99 = np.percentile(np.asarray(seconds) * 1000, [50, 99])
    return {f"{name}p50_ms": round(float(p50), 1), f"{name}p99_ms": round(float(p99), 1)}


if __name__ == "__main__":
    main()

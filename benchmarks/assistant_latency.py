"""Latency of assistant turns in process over a release, as it is served, without a language model.

Encoder, search engine, recommender and classifier are the release's own; retrieval and the state's
database are included. Closed-loop clients in threads, each with its own visitor and session;
timings go to standard output only. CPU time per turn stands beside wall time, to which other work
on the machine adds.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

from components.assistant.assemble import assistant_of, load_parts
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
    """Measure and print p50 and p99 in milliseconds by number of clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"))
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    parts = load_parts(options.artefacts)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/state.db")
        made = assistant_of(parts, store, release_id="bench", now=lambda: parts.data_end)
        for message in SCRIPT:  # what is made on the first use is made now
            made.turn(TurnRequest(session_id="warm", visitor_id="warm", message=message))
        for clients in (1, 4):
            times: list[float] = []

            def talk(name: str, times: list[float] = times) -> None:
                for n in range(options.rounds):
                    for message in SCRIPT:
                        start = time.perf_counter()
                        made.turn(
                            TurnRequest(session_id=f"{name}-{n}", visitor_id=name, message=message)
                        )
                        times.append((time.perf_counter() - start) * 1000)

            cpu = time.process_time()
            threads = [
                threading.Thread(target=talk, args=(f"c{clients}-{i}",)) for i in range(clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            times.sort()
            rows.append(
                {
                    "clients": clients,
                    "turns": len(times),
                    "p50_ms": round(times[len(times) // 2], 1),
                    "p99_ms": round(times[int(len(times) * 0.99)], 1),
                    "cpu_ms_per_turn": round((time.process_time() - cpu) * 1000 / len(times), 1),
                }
            )
        store.close()
    print(json.dumps({"products": len(parts.catalogue), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

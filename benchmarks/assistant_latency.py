"""Latency of assistant turns in process over the default catalogue, retrieval and state included.

Closed-loop clients in threads, each with its own visitor and session; timings go to standard
output only. CPU time per turn stands beside wall time, to which other work on the machine adds.
"""

import argparse
import json
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from components.assistant.classifier import default_classifier
from components.assistant.engine import Assistant
from components.contracts.messages import TurnRequest
from components.data.catalogue import Catalogue
from components.recommend.engine import RecommendEngine
from components.search.engine import SearchEngine
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
    catalogue = Catalogue.load(options.artefacts)
    search = SearchEngine.from_products(catalogue)
    recommend = RecommendEngine.from_catalogue(catalogue, history=())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/state.db")
        made = Assistant(
            catalogue,
            search,
            recommend,
            store,
            currency="USD",
            classify=default_classifier(),
            now=lambda: datetime(2018, 1, 1, 5, tzinfo=UTC),
        )
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
    print(json.dumps({"products": len(catalogue), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

# ruff: noqa: E501
"""P10: latency of each endpoint under closed-loop clients on loopback.

Beside each figure stand the empty endpoint of the same framework and the bare call in-process, all
from one run on one machine: the differences mean something, the absolute numbers are this machine's.
The service serves the champion of SHELFWISE_ROOT (the checkout by default), on a state of its own.

    python -m benchmarks.latency --out reports/p10_latency.json
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from components.contracts.artefacts import Layout, write_json

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 2, 4, 8, 16)
SEED = 7
Call = tuple[str, str, dict[str, Any]]


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a server until the block ends; yields when it is ready."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 180
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(log.read().decode(errors="replace")[-2000:])
                try:
                    link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                    link.request("GET", "/readyz")
                    if link.getresponse().status == 200:
                        break
                except OSError:
                    time.sleep(0.3)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def press(
    port: int, calls: Callable[[int, int], Call], clients: int, seconds: float
) -> dict[str, Any]:
    """Let `clients` ask one after the other for `seconds`; return what each of them waited."""
    waited: list[float] = []
    failed: list[int] = []
    stop = time.monotonic() + seconds

    def ask(number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        turn = 0
        while time.monotonic() < stop or turn < 5:
            method, path, body = calls(number, turn)
            started = time.perf_counter()
            link.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = link.getresponse()
            if path.endswith("/stream"):
                while not answer.readline().startswith((b"event: words", b"event: turn")):
                    pass
            else:
                answer.read()
            if turn >= 2:  # the first two warm the connection
                waited.append(1000 * (time.perf_counter() - started))
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)
            turn += 1

    began = time.monotonic()
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.monotonic() - began
    return {**spread(waited), "per_second": round(len(waited) / lasted, 1), "failed": len(failed)}


def spread(waited: list[float]) -> dict[str, Any]:
    """Return count, median and 99th percentile in milliseconds."""
    return {
        "n": len(waited),
        "p50_ms": round(float(np.percentile(waited, 50)), 2),
        "p99_ms": round(float(np.percentile(waited, 99)), 2),
    }


def plans(
    queries: list[str], products: list[str], visitors: list[str]
) -> dict[str, Callable[[int, int], Call]]:
    """Return what is asked of each endpoint; seeded, other words in every turn."""

    def pick(values: list[str], number: int, turn: int) -> str:
        return random.Random(f"{SEED}-{number}-{turn}").choice(values)

    talk = (
        "{q}",
        "under $5",
        "cheaper",
        "add the first one",
        "what is in my basket",
        "show me {q}",
    )
    return {
        "/v1/search": lambda n, t: ("POST", "/v1/search", {
            "query": pick(queries, n, t) + ("", " under $4", " not organic")[t % 3],
            "visitor_id": pick(visitors, n, t)}),
        "/v1/suggest": lambda n, t: ("POST", "/v1/suggest", {"prefix": pick(queries, n, t)[: 2 + t % 6]}),
        "/v1/recommend": lambda n, t: ("POST", "/v1/recommend", {"visitor_id": pick(visitors, n, t)}),
        "/v1/similar": lambda n, t: ("POST", "/v1/similar", {"product_id": pick(products, n, t)}),
        "/v1/events": lambda n, t: ("POST", "/v1/events", {"events": [{
            "event_id": f"{os.getpid()}-{time.monotonic_ns()}-{n}-{t}", "kind": "click",
            "visitor_id": f"bench-{n}", "product_id": pick(products, n, t)}]}),
        "/v1/assistant/turn": lambda n, t: ("POST", "/v1/assistant/turn", {
            "session_id": f"bench-{n}-{t // 6}", "visitor_id": f"bench-{n}",
            "message": talk[t % 6].format(q=pick(queries, n, t // 6))}),
        # Timed until the first words are there.
        "/v1/assistant/turn/stream": lambda n, t: ("POST", "/v1/assistant/turn/stream", {
            "session_id": f"stream-{n}-{t // 6}", "visitor_id": f"stream-{n}",
            "message": talk[t % 6].format(q=pick(queries, n, t // 6))}),
    }  # fmt: skip


def bare(shop: Any, plan: Callable[[int, int], Call], path: str, seconds: float) -> dict[str, Any]:
    """Return what the same calls cost in-process, one after the other, without HTTP."""
    from components.contracts import messages as m

    kinds = {
        "/v1/search": (m.SearchRequest, shop.search),
        "/v1/suggest": (m.SuggestRequest, shop.suggest),
        "/v1/recommend": (m.RecommendRequest, shop.recommend),
        "/v1/similar": (m.SimilarRequest, shop.similar),
        "/v1/events": (m.EventsRequest, shop.events),
        "/v1/assistant/turn": (m.TurnRequest, shop.turn),
    }
    kind, call = kinds[path]
    waited: list[float] = []
    stop = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < stop or turn < 5:
        request = kind.model_validate(plan(99, turn)[2])
        started = time.perf_counter()
        call(request)
        if turn >= 2:
            waited.append(1000 * (time.perf_counter() - started))
        turn += 1
    return spread(waited)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/p10_latency.json"))
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="per endpoint and number of clients"
    )
    given = parser.parse_args()

    from bentos.shop import Shop
    from components.state.store import Store

    layout = Layout(os.environ.get("SHELFWISE_ROOT", "."))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(layout, store=Store(f"sqlite:///{folder}/bare.db"), follow=False)
        products = shop.current.champion.catalogue.ids
        held = shop.current.champion.catalogue.products
        queries = sorted({held[p].type or held[p].title for p in products[:4000]})
        visitors = shop.visitors(100) or [f"visitor-{n}" for n in range(100)]
        asked = plans(queries, list(products), visitors)
        release, degraded = shop.current.champion.release_id, shop.current.champion.degraded
        for path, plan in asked.items():
            if path.endswith("/stream"):  # in-process it is the turn itself
                continue
            rows.append(
                {
                    "model": "in-process",
                    "endpoint": path,
                    "clients": 1,
                    **bare(shop, plan, path, given.seconds),
                }
            )
        shop.close()

        port = free_port()
        home = {"BENTOML_HOME": f"{folder}/bentoml", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.empty_service:Empty",
                   "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
        with running(command, port, home):
            for clients in CLIENTS:
                made = press(
                    port, lambda n, t: ("POST", "/empty", {"query": "milk"}), clients, given.seconds
                )
                rows.append(
                    {"model": "empty endpoint", "endpoint": "/empty", "clients": clients, **made}
                )

        port = free_port()
        environment = {
            **home,
            "SHELFWISE_API_PORT": str(port),
            "SHELFWISE_AUTH": "off",
            "SHELFWISE_STATE_URL": f"sqlite:///{folder}/state.db",
        }
        with running([sys.executable, "-m", "bentos.serve"], port, environment):
            for path, plan in asked.items():
                for clients in CLIENTS:
                    made = press(port, plan, clients, given.seconds)
                    rows.append(
                        {
                            "model": "served",
                            "endpoint": path,
                            "clients": clients,
                            "shipped": True,
                            **made,
                        }
                    )
                    print(
                        f"{path} x{clients}: p50 {made['p50_ms']} ms, p99 {made['p99_ms']} ms",
                        flush=True,
                    )
    write_json(
        given.out,
        {
            "protocol": "P10",
            "dataset": f"{len(products)} products",
            "split": "none",
            "cut_off": None,
            "n": sum(row["n"] for row in rows),
            "seed": SEED,
            "release": release,
            "degraded": list(degraded),
            "cores": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
            "rows": rows,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

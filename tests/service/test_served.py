"""The service as users start it: BentoML processes over HTTP, killed, swapped and pressed."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import httpx
import psutil
import pytest

from components.registry.store import Registry
from components.state.store import Store
from tests.service.conftest import ROOT, Served, free_port


def client(served, **options):
    return httpx.Client(base_url=served.url, timeout=30, trust_env=False, **options)


def click(event_id, visitor_id="load"):
    return {"event_id": event_id, "kind": "click", "visitor_id": visitor_id, "product_id": "p01"}


def test_probes_metrics_and_pages(served, releases):
    with client(served) as http:
        for path in ("/healthz", "/livez", "/readyz", "/", "/docs", "/openapi.json"):
            assert http.get(path).status_code == 200, path
        answer = http.post("/v1/search", json={"query": "tea"}).json()
        assert answer["model_version"] == releases[1]
        metrics = http.get("/metrics").text
        assert "shelfwise_request_seconds_bucket" in metrics
        assert 'shelfwise_answers_total{endpoint="/v1/search",status="200"}' in metrics
        assert "bentoml_service_request" in metrics
        for path in ("/", "/docs"):
            page = http.get(path).text
            assert "<script" not in page
            assert "https://" not in page
        assert http.get("/nowhere").headers["content-type"] == "application/problem+json"
        assert http.get("/static_content/index.html").status_code == 404


def test_a_turn_is_streamed(served):
    body = {"session_id": "s", "visitor_id": "stream", "message": "coffee"}
    with client(served) as http, http.stream("POST", "/v1/assistant/turn/stream", json=body) as r:
        lines = list(r.iter_lines())
    assert lines[0] == "event: start"
    assert "event: turn" in lines


def test_a_hundred_posts_at_once_lose_nothing(served):
    ids = [f"burst-{n}-{uuid.uuid4().hex[:6]}" for n in range(100)]
    with client(served, limits=httpx.Limits(max_connections=100)) as http:

        def post(event_id):
            body = {"events": [click(event_id), click(f"{event_id}-b")]}
            return http.post("/v1/events", json=body).json()["accepted"]

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            assert list(pool.map(post, ids)) == [2] * 100
    kept = {e.event_id for e in Store(served.state_url).visitor_events("load", limit=10_000)}
    assert {f"{i}{end}" for i in ids for end in ("", "-b")} <= kept


def test_releases_change_under_load_without_a_failed_request(served, releases):
    layout, first, second = releases
    registry = Registry(layout.registry)
    stop, seen, failures = threading.Event(), [], []

    def press(number):
        with client(served) as http:
            while not stop.is_set():
                try:
                    answer = http.post(
                        "/v1/search", json={"query": "milk", "visitor_id": f"l{number}"}
                    )
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                body = answer.json()
                seen.append((body["model_version"], body["products"][0]["price_minor"] % 25))

    def until(release_id):
        deadline = time.monotonic() + 60
        while not seen or seen[-1][0] != release_id:
            assert time.monotonic() < deadline, failures[:3]
            time.sleep(0.05)

    threads = [threading.Thread(target=press, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(first)
        registry.promote(second, reason="better", by="test")
        until(second)
        registry.rollback(reason="worse after all", by="test")
        until(first)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    # An answer is of one release: its prices are those of the version it names.
    assert {(version, remainder) for version, remainder in seen} == {(first, 0), (second, 7)}


def test_a_damaged_champion_is_not_served(served, releases):
    layout, first, second = releases
    registry = Registry(layout.registry)
    damaged = layout.registry / "releases" / second / "catalogue" / "clock.json"
    before = damaged.read_bytes()
    registry.promote(second, reason="better", by="test")
    with client(served) as http:
        deadline = time.monotonic() + 30
        while http.post("/v1/search", json={"query": "tea"}).json()["model_version"] != second:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        registry.rollback(reason="back", by="test")
        while http.post("/v1/search", json={"query": "tea"}).json()["model_version"] != first:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        try:
            damaged.write_bytes(b"{}")
            (layout.registry / "champion.json").write_text(f'{{"release_id": "{second}"}}')
            time.sleep(2)
            assert http.post("/v1/search", json={"query": "tea"}).json()["model_version"] == first
            assert http.get("/readyz").status_code == 200
        finally:
            damaged.write_bytes(before)
            (layout.registry / "champion.json").write_text(f'{{"release_id": "{first}"}}')


def test_a_killed_worker_comes_back(served):
    worker = max(psutil.Process(served.process.pid).children(recursive=True), key=lambda p: p.pid)
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(1)
    served.wait()
    with client(served) as http:
        assert http.get("/readyz").status_code == 200
    assert not worker.is_running()


def test_a_worker_leaves_with_its_supervisor(releases, tmp_path):
    running = Served(releases[0], tmp_path).wait()
    workers = psutil.Process(running.process.pid).children(recursive=True)
    running.process.kill()
    running.process.wait()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    with pytest.raises(httpx.ConnectError), client(running) as http:
        http.get("/healthz")


def test_kill_9_loses_no_acknowledged_event(releases, tmp_path):
    acknowledged = []
    for round_number in range(2):
        running = Served(releases[0], tmp_path).wait()
        stop = threading.Event()

        def post(n, running=running, stop=stop, round_number=round_number):
            with client(running) as http:
                for i in range(100_000):
                    if stop.is_set():
                        return
                    event_id = f"k{round_number}-{n}-{i}"
                    try:
                        answer = http.post("/v1/events", json={"events": [click(event_id)]})
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 200 and answer.json()["accepted"] == 1:
                        acknowledged.append(event_id)

        threads = [threading.Thread(target=post, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        running.kill_all()
        stop.set()
        for thread in threads:
            thread.join()
    kept = {e.event_id for e in Store(running.state_url).visitor_events("load", limit=10**6)}
    assert len(acknowledged) > 50
    assert set(acknowledged) <= kept


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SHELFWISE_API_PORT": "busy"}, "is in use"),
        ({"SHELFWISE_API_PORT": "many"}, "is no port"),
        ({"SHELFWISE_API_HOST": "0.0.0.0"}, "loopback only"),
        ({"SHELFWISE_ROOT": "empty"}, "run `make pipeline`"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(releases, tmp_path, served, environment, words):
    values = {"busy": str(served.port), "empty": str(tmp_path)}
    environment = {name: values.get(value, value) for name, value in environment.items()}
    done = subprocess.run(
        [sys.executable, "-m", "bentos.serve"],
        cwd=ROOT,
        env={
            **os.environ,
            "SHELFWISE_AUTH": "off",
            "SHELFWISE_API_PORT": str(free_port()),
            "SHELFWISE_ROOT": str(releases[0].root),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1

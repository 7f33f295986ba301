"""Random kills under load: pipeline, flow worker, service and registry, all by SIGKILL.

On the synthetic shop in a temporary copy of the checkout. Clients post events and ask for slates
all the time; meanwhile processes are killed at random moments and started again. Then it is asked:

- is every acknowledged event in the store, once? - did only whole, verified releases answer?
- did every next run proceed (no lock stuck)? - is the history one chain, with no promotion twice?

    python -m benchmarks.chaos [--kills 100] [--seed 1] [--keep FOLDER] [--out var/chaos.json]

With `--keep` the copy stays, and the next trial in the same folder goes on where this one ended: a
hundred kills may be had in slices. `--add` adds a slice's figures to those in `--out`. Exits 1 if
any answer is no.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.deployments import Stack, TrialError, answers, hold_schedules, pointed_at, wait_for
from benchmarks.shoppers import Link
from benchmarks.story import Service, set_params
from components.contracts.artefacts import Layout, read_manifest, write_json
from components.contracts.errors import ArtefactError, RegistryError
from components.contracts.params import load_params
from components.registry.store import Registry, fold
from components.state.store import Store

# How often each kind is drawn; a service kill is quick, a pipeline kill is not.
KINDS = {
    "service": 30,
    "service worker": 20,
    "promotion": 15,
    "registration": 10,
    "pipeline": 15,
    "flow worker": 10,
}
CLIENTS = 3
# Short stages; and no shopper decides here who is champion.
CHANGES: dict[str, dict[str, Any]] = {
    "mutate": {"every_visitor": 100},
    "promote": {"max_loss": 0.05, "keep_releases": 50},
}
RELEASES = 4
OF_THE_REGISTRY = (
    "artefacts_broken", "history_entries", "promotions", "double_promotions", "last_runs"
)  # fmt: skip
PROMOTE = """
import sys
from pathlib import Path
from components.registry.store import Registry
registry, names = Registry(Path("var/registry")), sys.argv[1:]
print("begun", flush=True)
for turn in range(10**6):
    registry.promote(names[turn % len(names)], reason="chaos", by="chaos")
"""
REGISTER = """
import sys
from pathlib import Path
from components.registry.store import Registry
registry = Registry(Path("var/registry"))
print("begun", flush=True)
for turn in range(10**6):
    made = registry.register(Path("artefacts"), reports=Path("reports"),
        params={"chaos": f"{sys.argv[1]}-{turn % 3}"}, by="chaos")
"""


class Load:
    """Clients that never rest; what was acknowledged to them is what must be found."""

    def __init__(self, port: int, products: list[str], mark: str) -> None:
        """Remember whom to ask and about what; `mark` keeps one trial's events from another's."""
        self.port, self.products, self.mark = port, products, mark
        self.acknowledged: list[str] = []
        self.sent = 0
        self.statuses: Counter[str] = Counter()
        self.releases: Counter[str] = Counter()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    def start(self) -> None:
        """Begin."""
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        """Stop and wait."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, number: int) -> None:
        link, draw, turn = Link(self.port, self.stop), random.Random(number), 0
        while not self.stop.is_set():
            turn += 1
            ids = [f"{self.mark}-{number}-{turn}-{n}" for n in range(3)]
            events = [
                {"kind": "click", "event_id": name, "visitor_id": f"v{draw.randrange(300):04d}",
                 "product_id": draw.choice(self.products)}
                for name in ids
            ]  # fmt: skip
            try:
                status, told = link.post("/v1/events", {"events": events})
                asked, answer = link.post(
                    "/v1/recommend", {"visitor_id": events[0]["visitor_id"], "limit": 5}
                )
            except ConnectionError:
                continue
            with self.lock:
                self.sent += len(ids)
                self.statuses[f"events {status}"] += 1
                self.statuses[f"recommend {asked}"] += 1
                # A batch sent again after a kill: its events are duplicates, and acknowledged.
                if status == 200 and told["accepted"] + told["duplicates"] == len(ids):
                    self.acknowledged += ids
                if asked == 200:
                    self.releases[answer["model_version"]] += 1
            self.stop.wait(0.02)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all below it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL, by pid."""
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


class Chaos:
    """One trial."""

    def __init__(self, root: Path, seed: int) -> None:
        """Set up what kills need."""
        self.root, self.layout = root, Layout(root)
        self.random = random.Random(seed)
        self.registry = Registry(self.layout.registry)
        self.service, self.stack = Service(root), Stack(root)
        self.environment = {**os.environ, "PYTHONPATH": str(root), "PREFECT_HOME": str(
            root / "var" / "prefect"), "DVC_SITE_CACHE_DIR": str(root / "var" / "dvc")}  # fmt: skip
        self.kills: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.names: list[str] = []
        self.deployments: dict[str, dict[str, Any]] = {}

    def child(self, *command: str) -> "subprocess.Popen[str]":
        """Start a process of the project in the checkout."""
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.root, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def prepare(self) -> None:
        """Run the line once and register four releases of it, unless an earlier trial has."""
        params = [
            (release, json.loads((release.folder / "params.json").read_text(encoding="utf-8")))
            for release in self.registry.releases()
        ]
        made = [r.release_id for r, chosen in params if isinstance(chosen.get("chaos"), int)]
        if len(made) >= RELEASES and self.registry.champion() is not None:
            self.names = made
            return
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "repro"], cwd=self.root, capture_output=True, text=True,
            env={**self.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        if done.returncode:
            raise TrialError(done.stdout[-1500:] + done.stderr[-1500:])
        for number in range(RELEASES):
            release = self.registry.register(
                self.layout.artefacts, reports=self.layout.reports, params={"chaos": number}
            )
            self.names.append(release.release_id)
        self.registry.promote(self.names[0], reason="the first", by="chaos")

    # -- the kills

    def strike(self, kind: str) -> None:
        """Kill once, start again, and check that the next one proceeds."""
        began = time.monotonic()
        acts = {
            "service": self.strike_service,
            "service worker": self.strike_service_worker,
            "promotion": lambda: self.strike_registry(PROMOTE, *self.names),
            "registration": lambda: self.strike_registry(REGISTER, str(len(self.kills))),
            "pipeline": self.strike_pipeline,
            "flow worker": self.strike_flow_worker,
        }
        after, killed = acts[kind]()
        seconds = round(time.monotonic() - began, 1)
        self.kills.append({"kind": kind, "after": round(after, 2), "killed": killed,
                           "seconds": seconds})  # fmt: skip
        self.check_registry(f"kill {len(self.kills)} ({kind})")
        print(f"kill {len(self.kills)}: {kind} after {after:.1f} s, {seconds} s", flush=True)

    def pause(self, low: float, high: float) -> float:
        """Wait for a random time; return it."""
        seconds = self.random.uniform(low, high)
        time.sleep(seconds)
        return seconds

    def strike_service(self) -> tuple[float, int]:
        """Kill server and workers, start them again."""
        after = self.pause(0.1, 1.5)
        assert self.service.child is not None
        processes = family(self.service.child.pid)
        kill(processes)
        self.service.child.wait()
        self.service.start()
        return after, len(processes)

    def strike_service_worker(self) -> tuple[float, int]:
        """Kill one worker; its supervisor starts another."""
        after = self.pause(0.1, 1.5)
        assert self.service.child is not None
        before = {p.pid for p in workers_of(self.service.child.pid)}
        kill([self.random.choice(workers_of(self.service.child.pid))])

        def another() -> bool:
            now = {p.pid for p in workers_of(self.service.child.pid)}  # type: ignore[union-attr]
            return bool(now - before) and self.service.is_ready()

        wait_for("another service worker", another, time.monotonic() + 60)
        return after, 1

    def strike_registry(self, script: str, *words: str) -> tuple[float, int]:
        """Kill a process that promotes or registers without pause; the next change must work."""
        child = self.child("-c", script, *words)
        assert child.stdout is not None
        child.stdout.readline()
        after = self.pause(0.0, 1.0)
        processes = family(child.pid)
        kill(processes)
        child.wait()
        child.stdout.close()
        now = time.monotonic()
        self.registry.promote(self.random.choice(self.names), reason="after a kill", by="chaos")
        if time.monotonic() - now > 10:
            self.problems.append("the registry's lock was held for over 10 s after a kill")
        return after, len(processes)

    def change(self) -> None:
        """Give the pipeline something to do."""
        set_params(self.root, {"train_ranker": {"seed": 100 + len(self.kills)}})

    def strike_pipeline(self) -> tuple[float, int]:
        """Kill a training flow with its server, DVC and stage."""
        self.change()
        child = self.child("-m", "flows.run", "training", "--packaged", "false")
        after = self.pause(4.0, 30.0)
        processes = family(child.pid)
        kill(processes)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
        return after, len(processes)

    def strike_flow_worker(self) -> tuple[float, int]:
        """Kill Prefect's worker and the run it has started, then start a worker again."""
        from prefect.deployments import run_deployment

        self.change()
        run_deployment(
            self.deployments["training"]["name"], parameters={"packaged": False}, timeout=0,
            as_subflow=False,
        )  # fmt: skip
        after = self.pause(3.0, 20.0)
        worker = self.stack.children.pop()
        processes = family(worker.pid)
        kill(processes)
        worker.wait()
        self.stack.start("worker", "start", "--pool", "local", "--type", "process")
        return after, len(processes)

    # -- the questions

    def check_registry(self, when: str) -> None:
        """The pointer is what the history adds up to, and no decision stands there twice."""
        try:
            state = self.registry.state()
            pointer = json.loads(self.registry.pointer.read_text(encoding="utf-8"))
            self.registry.verify(state.line[-1])
        except (RegistryError, OSError, json.JSONDecodeError) as error:
            self.problems.append(f"{when}: {error}")
            return
        if pointer["release_id"] != state.line[-1]:
            self.problems.append(f"{when}: the pointer is not what the history says")
        self.problems += [f"{when}: {text}" for text in double_promotions(self.registry)]

    def last_runs(self) -> dict[str, Any]:
        """After all kills a run must end, in the foreground and on the worker."""
        from prefect.client.orchestration import get_client
        from prefect.deployments import run_deployment

        self.change()
        began = time.monotonic()
        child = self.child("-m", "flows.run", "training", "--packaged", "false")
        try:
            said, _ = child.communicate(timeout=900)
        except subprocess.TimeoutExpired:
            kill(family(child.pid))
            said = "no end in 900 s"
            self.problems.append("the foreground run did not end: a lock is stuck")
        if child.returncode:
            self.problems.append(f"the last foreground run failed: {said[-500:]}")
        foreground = round(time.monotonic() - began, 1)
        began = time.monotonic()
        run = run_deployment(
            self.deployments["training"]["name"], parameters={"packaged": False}, timeout=0,
            as_subflow=False,
        )  # fmt: skip

        def final() -> Any:
            with get_client(sync_client=True) as client:
                seen = client.read_flow_run(run.id)
            return seen if seen.state is not None and seen.state.is_final() else None

        try:
            seen = wait_for("the last worker run", final, time.monotonic() + 900)
            if not seen.state.is_completed():
                self.problems.append(f"the last worker run: {seen.state.message}")
        except TrialError as error:
            self.problems.append(f"{error}: a lock is stuck")
        return {
            "foreground_seconds": foreground,
            "worker_seconds": round(time.monotonic() - began, 1),
        }

    def questions(self, load: Load) -> dict[str, Any]:
        """Answer what the trial asks."""
        store = Store(f"sqlite:///{self.root}/var/state.db")
        kept: Counter[str] = Counter()
        position = 0
        while True:
            events, last = store.events_since(position)
            if not events:
                break
            kept.update(event.event_id for event in events)
            position = last
        store.close()
        lost = [name for name in load.acknowledged if kept[name] == 0]
        twice = [name for name, count in kept.items() if count > 1]
        broken = []
        for release in self.registry.releases():
            try:
                self.registry.verify(release.release_id)
            except RegistryError as error:
                broken.append(str(error))
        whole = {release.release_id for release in self.registry.releases()}
        strange = sorted(set(load.releases) - whole)
        for path in sorted(self.layout.artefacts.glob("*/manifest.json")):
            try:
                read_manifest(path.parent)
            except ArtefactError as error:
                broken.append(str(error))
        bad = {name: n for name, n in load.statuses.items() if not name.endswith(" 200")}
        self.problems += [f"acknowledged and lost: {lost[:5]}"] if lost else []
        self.problems += [f"kept twice: {twice[:5]}"] if twice else []
        self.problems += broken
        self.problems += [f"answers of unknown releases: {strange}"] if strange else []
        self.problems += [f"answers that are no 200: {bad}"] if bad else []
        history = self.registry.history()
        return {
            "events_acknowledged": len(load.acknowledged),
            "acknowledged_events_lost": len(lost),
            "events_kept_twice": len(twice),
            "answers": sum(load.releases.values()),
            "answers_by_release": dict(load.releases),
            "statuses": dict(load.statuses),
            "artefacts_broken": len(broken),
            "history_entries": len(history),
            "promotions": sum(entry.action == "promote" for entry in history),
            "double_promotions": len(double_promotions(self.registry)),
        }

    def run(self, kills: int) -> dict[str, Any]:
        """Run the trial; return its account."""
        until = time.monotonic() + 120
        self.prepare()
        self.service.start()
        products = json.loads(
            (self.layout.artefacts / "train_ranker" / "products.json").read_text(encoding="utf-8")
        )
        load = Load(self.service.port, names_in(products), f"chaos-{time.time_ns()}")
        left: list[int] = []
        found: dict[str, Any] = {}
        try:
            until = time.monotonic() + 120
            self.stack.start("server", "start", "--host", "127.0.0.1", "--port",
                             str(self.stack.port))  # fmt: skip
            wait_for("server", lambda: answers(f"{self.stack.url}/health"), until)
            self.stack.call("work-pool", "create", "local", "--type", "process")
            self.stack.call("deploy", "--all")
            self.stack.start("worker", "start", "--pool", "local", "--type", "process")
            load.start()
            with pointed_at(self.stack):
                self.deployments = hold_schedules()
                for kind in drawn(kills, self.random):
                    self.strike(kind)
                found["last_runs"] = self.last_runs()
        except TrialError as error:
            self.problems.append(str(error))
        finally:
            load.end()
            self.service.stop()
            left = self.stack.stop()
        found |= self.questions(load)
        found["kills"] = dict(Counter(kill["kind"] for kill in self.kills))
        found["processes_killed"] = sum(kill["killed"] for kill in self.kills)
        return {"problems": self.problems, "left": left, **found, "each": self.kills}


def names_in(products: Any) -> list[str]:
    """Return product ids of the ranker's own list."""
    return [str(name) for name in products["product_ids"]]


def drawn(kills: int, generator: random.Random) -> list[str]:
    """Return which kinds are struck, in a random order, in the stated proportions."""
    whole = sum(KINDS.values())
    kinds = [name for name, share in KINDS.items() for _ in range(round(kills * share / whole))]
    while len(kinds) < kills:
        kinds.append("service")
    generator.shuffle(kinds)
    return kinds[:kills]


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the service's processes that load engines and answer."""
    found = []
    for process in family(pid)[1:]:
        try:
            if any("worker.service" in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def double_promotions(registry: Registry) -> list[str]:
    """Return what is wrong in the history: gaps, promotions of the champion, wrong `previous`."""
    history = registry.history()
    wrong = []
    for place, entry in enumerate(history):
        if entry.seq != place + 1:
            wrong.append(f"entry {place + 1} is numbered {entry.seq}")
        if entry.action == "promote":
            line = fold(history[:place]).line
            before = line[-1] if line else None
            if entry.release_id == before:
                wrong.append(f"entry {entry.seq} promotes the champion again")
            if entry.previous != before:
                wrong.append(f"entry {entry.seq} follows {entry.previous}, champion was {before}")
    return wrong


def together(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return the account of two slices in one folder; the registry's figures are the later ones.

    >>> together({"seed": 1, "answers": 2, "kills": {"service": 1}, "each": [1], "promotions": 3},
    ...          {"seed": 2, "answers": 3, "kills": {"service": 4}, "each": [2], "promotions": 5})
    {'seed': [1, 2], 'answers': 5, 'kills': {'service': 5}, 'each': [1, 2], 'promotions': 5}
    """
    made: dict[str, Any] = {}
    for name, value in found.items():
        old = before.get(name)
        if name == "seed":
            made[name] = [*(old if isinstance(old, list) else [old]), value]
        elif name in OF_THE_REGISTRY or old is None:
            made[name] = value
        elif isinstance(value, dict):
            made[name] = dict(Counter(old) + Counter(value))
        else:
            made[name] = old + value
    return made


def main() -> int:
    """Run the trial in a temporary copy; return the exit code."""
    from tests.pipeline.conftest import copy_checkout

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder to try it in, kept for a next trial")
    parser.add_argument("--out", type=Path, default=Path("var/chaos.json"))
    parser.add_argument("--add", action="store_true", help="add to what --out holds")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
        root = (given.keep or Path(folder)).resolve()
        if not (root / "dvc.yaml").is_file():
            root.mkdir(parents=True, exist_ok=True)
            root = copy_checkout(root).root
            set_params(root, CHANGES)
        (root / "var").mkdir(exist_ok=True)
        load_params(root / "params.yaml")
        found = Chaos(root, given.seed).run(given.kills)
    found = {"seconds": round(time.monotonic() - began, 1), "seed": given.seed, **found}
    if given.add and given.out.is_file():
        found = together(json.loads(given.out.read_text(encoding="utf-8")), found)
    write_json(given.out, found)
    shown = {name: value for name, value in found.items() if name != "each"}
    print(json.dumps(shown, indent=2))
    return 1 if found["problems"] or found["left"] else 0


if __name__ == "__main__":
    sys.exit(main())

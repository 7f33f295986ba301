"""The loop by itself: drift, alarm, retrain, gate, canary, promotion; then two failures.

On the synthetic shop in a temporary copy of the checkout, with a real Prefect server and worker,
the real service and shoppers who ask it over HTTP (`benchmarks/shoppers.py`). Nobody steps in:

1. the line runs and its release is promoted; 2. shoppers live some calm weeks and monitoring finds
nothing; 3. fashion changes and strangers come: clicks fall; 4. monitoring calls it a shift, and its
event starts the training by itself; 5. the gate passes the new release, or one made a week later,
and it answers a share of the visitors; 6. the service ends that trial and promotes; 7. clicks are
back, with more nights of training if it takes them; 8. a challenger made with bad parameters is
refused with its reason; 9. a damaged release promoted by hand, past the gate, is taken back by the
service.

    python -m benchmarks.story [--out var/story.json]

Prints an account, writes each step's evidence, and exits 1 when a step did not happen.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.deployments import (
    Stack,
    TrialError,
    answers,
    ended,
    free_port,
    hold_schedules,
    pointed_at,
    wait_for,
)
from benchmarks.shoppers import MINUTES, Log, Seen, World, play_week
from components.contracts.artefacts import Layout, sha256_of, write_json
from components.contracts.params import load_params
from components.monitor.watch import read_latest
from components.registry.gate import read_verdict
from components.registry.store import Registry
from components.state.store import Store

LAST_WEEK = 26  # of the base
CALM_WEEKS = 2, 2  # taken in twice, as a shop would: a month at once is a jump to validation
WEEK_SECONDS = 36.0  # a machine that does little else answers the visits of a week in half of it
SPEED = MINUTES * 60 / WEEK_SECONDS
PATIENCE_WEEKS = 4  # of trying again: until the gate passes, and until the clicks are back
TRIAL_WEEKS = 3  # at most, beyond the first
LAST_LOOK_SECONDS = 4.0  # the service rules on a trial every two
REGAINED = 0.9  # of the clicks that were lost
FASHION = 2.0
NEWCOMERS = 0.35
SEED = 5
CHANGES: dict[str, dict[str, Any]] = {
    "ingest": {
        "source": "serving_log",
        "serving_log": {"url": "sqlite:///var/state.db", "base": "synthetic"},
    },
    # A trial that some hundred visitors a week can end, and a gate that knows how little they are.
    # The visitors of a test week differ from habit by a twentieth by chance alone.
    "promote": {
        "canary_share": 0.4,
        "canary_slates": 150,
        "max_loss": 0.02,
        "watch_max_loss": 0.2,
        "min_over_baseline": -0.05,
    },
    "mutate": {"every_visitor": 60},
    # A shop whose taste turns within a week tests on its last week and learns up to it.
    "split": {"valid_share": 0.03, "test_share": 0.03},
    "train_ranker": {"windows": 4, "window_weeks": 2, "stride_weeks": 1, "trees": 40},
}
BAD = {"train_ranker": {"trees": 1, "leaves": 2, "learning_rate": 0.0001}}


class Service:
    """The real service of a checkout, on a free port."""

    def __init__(self, root: Path, code: Path | None = None) -> None:
        """Remember the checkout, and where its code lies if not there."""
        self.root, self.code = root, code or root
        self.port = free_port()
        self.child: subprocess.Popen[bytes] | None = None
        self.took = 20.0

    def start(self, shop_time: datetime | None = None) -> None:
        """Start it and wait until it is ready.

        Args:
            shop_time: what a fast clock shows soon after; without it the clock is left alone.
        """
        began = time.monotonic()
        if shop_time is not None:
            lead = timedelta(seconds=SPEED * (1.5 * self.took + 5))
            set_clock(self.root, shop_time - lead, SPEED)
        with (self.root / "var" / "service.log").open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "bentos.serve"],
                cwd=self.code,
                env={
                    **os.environ,
                    "PYTHONPATH": str(self.code),
                    "SHELFWISE_ROOT": str(self.root),
                    "SHELFWISE_API_PORT": str(self.port),
                    "SHELFWISE_AUTH": "off",
                    "BENTOML_HOME": str(self.root / "var" / "bentoml"),
                    "SHELFWISE_CLOCK_SPEED": "1" if shop_time is None else str(SPEED),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the service", self.is_ready, time.monotonic() + 120)
        self.took = time.monotonic() - began

    def is_ready(self) -> bool:
        """Return whether it answers; says why not if it is gone."""
        if self.child is not None and self.child.poll() is not None:
            said = (self.root / "var" / "service.log").read_text(errors="replace")[-2000:]
            raise TrialError(f"the service stopped: {said}")
        return answers(f"http://127.0.0.1:{self.port}/readyz")

    def stop(self) -> None:
        """Stop it and all it started."""
        if self.child is None or self.child.poll() is not None:
            return
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    @contextmanager
    def running(self, shop_time: datetime | None = None) -> Iterator[None]:
        """Run it for the length of a block."""
        self.start(shop_time)
        try:
            yield
        finally:
            self.stop()


def set_clock(root: Path, shop_time: datetime, speed: float) -> None:
    """Put the shop's clock to a time, for every release: each counts from the end of its data."""
    rows = []
    for path in sorted((root / "var" / "registry" / "releases").glob("*/catalogue/clock.json")):
        text = json.loads(path.read_text(encoding="utf-8"))["data_end"]
        end = datetime.fromisoformat(text).astimezone(UTC)
        first = datetime.now(UTC) - (shop_time - end) / speed
        rows.append((f"first_served:{end.isoformat()}", first.isoformat()))
    with sqlite3.connect(root / "var" / "state.db") as connection:
        connection.executemany("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", rows)
    connection.close()


class Story:
    """The steps, each with what was seen; a step that did not happen ends it."""

    def __init__(self, root: Path, minutes: float) -> None:
        """Set up the shop of a checkout."""
        self.root, self.layout = root, Layout(root)
        self.registry = Registry(self.layout.registry)
        self.began = time.monotonic()
        self.until = self.began + minutes * 60
        self.steps: list[dict[str, Any]] = []
        self.service = Service(root)
        self.deployments: dict[str, dict[str, Any]] = {}
        self.world = World.of(load_params(self.layout.params_file).ingest)
        self.week = LAST_WEEK
        self.seconds = 0.0
        self.trained: list[str] = []
        self.slates: list[Seen] = []

    def step(self, name: str, happened: bool, said: str, **evidence: Any) -> None:
        """Tell and keep one step.

        Raises:
            TrialError: it did not happen.
        """
        now = time.monotonic() - self.began
        self.steps.append(
            {
                "step": name,
                "happened": happened,
                "said": said,
                "seconds": round(now - self.seconds, 1),
                "evidence": evidence,
            }
        )
        self.seconds = now
        mark = "yes" if happened else "NO "
        print(f"{now:6.0f} s  {mark}  {name}: {said}", flush=True)
        if not happened:
            raise TrialError(f"{name}: {said}")

    # -- parts

    def flow(self, name: str, **parameters: Any) -> Any:
        """Run a deployment to its end; return the run.

        Raises:
            TrialError: it failed, or did not end in time.
        """
        from prefect.client.orchestration import get_client
        from prefect.deployments import run_deployment

        run = run_deployment(
            self.deployments[name]["name"], parameters=parameters, timeout=0, as_subflow=False
        )

        def final() -> Any:
            with get_client(sync_client=True) as client:
                seen = client.read_flow_run(run.id)
            return seen if seen.state is not None and seen.state.is_final() else None

        seen = wait_for(f"{name} flow", final, self.until)
        if not seen.state.is_completed():
            raise TrialError(f"{name} flow: {seen.state.name}: {seen.state.message}")
        return seen

    def live(self, world: World, *, weeks: int = 1) -> Log:
        """Let the shoppers live on, week by week; return what the last week saw.

        A trial that has not seen enough of them by then gets a few weeks more.

        Raises:
            TrialError: a shopper saw an error.
        """
        log = Log()
        with self.service.running(world.at(self.week + 1, 0)):
            for week in range(weeks + TRIAL_WEEKS):
                if week >= weeks and not self._canary():
                    break
                log = self.play(world)
                time.sleep(LAST_LOOK_SECONDS if self._canary() else 0)
        return log

    def play(self, world: World, **options: Any) -> Log:
        """Let a week pass in the running service."""
        self.week += 1
        log = play_week(world, self.week, self.service.port, seed=SEED, speed=SPEED, **options)
        if log.errors:
            raise TrialError(f"week {self.week}: {len(log.errors)} errors: {log.errors[0]}")
        self.slates += log.slates
        return log

    def look(self, **options: Any) -> dict[str, Any]:
        """Take in the log, judge the newest week and carry out the remedy; return the decision."""
        self.flow("data", force=True)
        self.flow("monitoring", **options)
        return read_latest(self.layout)

    def history(self, *actions: str) -> list[dict[str, Any]]:
        """Return the registry's entries of these actions."""
        return [e.model_dump() for e in self.registry.history() if e.action in actions]

    # -- the chapters

    def opens(self) -> None:
        """From nothing to a champion."""
        Store(f"sqlite:///{self.root}/var/state.db").close()
        run = self.flow("training", reason="opening", packaged=False)
        champion = self.registry.champion()
        self.step(
            "the shop opens",
            champion is not None,
            f"{run.state.message}",
            champion=champion and champion.release_id,
            metrics=champion and champion.metrics,
        )

    def is_calm(self) -> None:
        """Weeks in which nothing changes."""
        for weeks in CALM_WEEKS:
            log = self.live(self.world, weeks=weeks)
            decision = self.look(act_on_it=False)
        self.calm = log.rate()
        self.step(
            "shoppers live with the champion",
            bool(log.slates) and not log.refused,
            f"{sum(CALM_WEEKS)} weeks; in the last one {len(log.slates)} slates, "
            f"{log.clicked():.0%} with a click, {self.calm:.2f} clicks expected per slate",
            weeks=[LAST_WEEK + 1, self.week],
            events=len(log.acknowledged),
            visits_missed=log.missed,
            answered_by=log.answered_by(),
            clicks_expected=self.calm,
        )
        self.step(
            "monitoring finds a calm week calm",
            decision["week"] == self.week and decision["decision"] in ("none", "note"),
            f"week {decision['week']}: {decision['diagnosis']}",
            decision=decision,
        )

    def drifts(self) -> None:
        """Fashion changes and strangers come."""
        changed = self.world.fashion(FASHION, seed=SEED).newcomers(NEWCOMERS, seed=SEED)
        self.world = changed
        log = self.live(changed)
        self.fallen = log.rate()
        self.step(
            "shoppers change and clicks fall",
            self.fallen < 0.9 * self.calm,
            f"{self.fallen:.2f} clicks expected per slate, {self.calm:.2f} before",
            clicks_expected=self.fallen,
            share_clicked=log.clicked(),
            slates=len(log.slates),
        )
        self.old = self.registry.champion()
        decision = self.look()
        self.step(
            "monitoring raises the alarm and asks for a retrain",
            decision["decision"] == "retrain" and decision["week"] == self.week,
            f"week {decision['week']}: {decision['diagnosis']}: {decision['reason']}",
            decision=decision,
        )
        run = self.trained_by_event()
        self.step(
            "the drift event starts the training by itself",
            run.parameters["reason"] == "drift detected",
            f"{run.name}: {run.state.message}",
            run=run.name,
            parameters=run.parameters,
            seconds=run.total_run_time.total_seconds(),
        )

    def trained_by_event(self) -> Any:
        """Return the next training run that an event starts, when it has ended."""
        training = self.deployments["training"]["id"]
        run = wait_for(
            "training by event", lambda: ended(training, "event", known=self.trained), self.until
        )
        self.trained.append(run.name)
        return run

    def learns(self) -> Any:
        """Take in one more week and train on it; return the training run.

        As a shop's nights do: an alarm's event starts the training, or else the schedule.
        """
        decision = self.look()
        if decision["decision"] == "retrain":
            return self.trained_by_event()
        return self.flow("training", reason="nightly", packaged=False)

    def insists(self) -> None:
        """While the gate refuses what was learned of the new taste: another week, another try."""
        for _ in range(PATIENCE_WEEKS):
            if self._canary():
                return
            refused = self.history("refuse")[-1:]
            self.live(self.world)
            run = self.learns()
            self.step(
                "refused, and tried again with one more week",
                bool(refused),
                f"{refused[0]['reason'] if refused else ''} | {run.name}: {run.state.message}",
                refused=refused,
                by=run.parameters["reason"],
            )

    def recovers(self) -> None:
        """Gate, canary, promotion."""
        canary = self.registry.state().canary
        verdict = canary and read_verdict(canary[0], self.registry.verdicts)
        self.step(
            "the gate passes the challenger and a canary begins",
            verdict is not None and verdict.promote,
            verdict.summary if verdict else "no canary",
            canary=canary,
            checks=[check.model_dump() for check in verdict.checks] if verdict else [],
        )
        assert canary is not None
        self.slates.clear()
        self.live(self.world)
        log = Log(slates=self.slates)
        apart: dict[str, set[str]] = {}
        for slate in self.slates[:100]:  # before it can end: then all see one release
            apart.setdefault(slate.visitor_id, set()).add(slate.model_version)
        promoted = [e for e in self.history("promote") if e["by"] == "canary watch"]
        self.step(
            "the canary answers its visitors, passes and is promoted",
            bool(promoted)
            and promoted[-1]["release_id"] == canary[0]
            and {canary[0], self.old.release_id} <= set(log.answered_by()),
            promoted[-1]["reason"] if promoted else str(self.history("canary_stop")[-1:]),
            answered_by=log.answered_by(),
            clicks_expected={name: log.rate(releases=[name]) for name in log.answered_by()},
            visitors_with_one_release=sum(len(v) == 1 for v in apart.values()) / len(apart),
            history=promoted[-1:],
        )

    def heals(self) -> None:
        """Week after week with what the nights make of it, until the clicks are back."""
        wanted = self.fallen + REGAINED * (self.calm - self.fallen)
        weeks: list[dict[str, Any]] = []
        while True:
            log = self.live(self.world)
            weeks.append(
                {
                    "week": self.week,
                    "clicks_expected": log.rate(),
                    "share_clicked": log.clicked(),
                    "answered_by": log.answered_by(),
                }
            )
            if log.rate() > wanted or len(weeks) > PATIENCE_WEEKS:
                break
            run = self.learns()
            weeks[-1] |= {"by": run.parameters["reason"], "then": run.state.message}
        rates = ", ".join(f"{week['clicks_expected']:.2f}" for week in weeks)
        self.step(
            "clicks are back",
            log.rate() > wanted,
            f"{rates} clicks expected per slate, week by week; {self.calm:.2f} before the drift, "
            f"{self.fallen:.2f} in it",
            weeks=weeks,
        )

    def _canary(self) -> bool:
        return self.registry.state().canary is not None

    def refuses(self) -> None:
        """A challenger made with bad parameters."""
        champion = self.registry.champion()
        assert champion is not None
        before = self.layout.params_file.read_text(encoding="utf-8")
        set_params(self.root, BAD)
        run = self.flow("training", reason="bad parameters", packaged=False)
        self.layout.params_file.write_text(before, encoding="utf-8")
        refused = self.history("refuse")[-1:]
        now = self.registry.champion()
        self.step(
            "a bad challenger is refused with its reason",
            run.state.name == "Refused"
            and bool(refused)
            and now is not None
            and now.release_id == champion.release_id,
            refused[0]["reason"] if refused else run.state.message,
            run=run.name,
            parameters=BAD,
            refused=refused,
            champion=champion.release_id,
        )

    def takes_back(self) -> None:
        """A damaged release, promoted past the gate while shoppers are in the shop."""
        champion = self.registry.champion()
        assert champion is not None
        bad = damaged_release(self.layout, self.registry)
        over = threading.Event()
        logs: list[Log] = []
        with self.service.running(self.world.at(self.week + 1, 0)):
            shoppers = threading.Thread(
                target=lambda: logs.append(
                    play_week(
                        self.world,
                        self.week + 1,
                        self.service.port,
                        seed=SEED,
                        speed=SPEED,
                        share=5,
                        until=over,
                    )
                )
            )
            shoppers.start()
            subprocess.run(
                [
                    sys.executable, "-m", "components.cli", "promote", bad,
                    "--reason", "slipped in by hand",
                ],
                cwd=self.root,
                env={**os.environ, "PYTHONPATH": str(self.root)},
                check=True,
                capture_output=True,
            )  # fmt: skip
            promoted = time.monotonic()

            def is_back() -> bool:
                present = self.registry.champion()
                return present is not None and present.release_id == champion.release_id

            wait_for("the roll back", is_back, time.monotonic() + 150)
            lasted = time.monotonic() - promoted
            over.set()
            shoppers.join()
        (log,) = logs
        rollback = self.history("rollback")[-1:]
        self.step(
            "a bad release slipped in is rolled back by the service",
            bool(rollback) and rollback[0]["by"] == "promotion watch" and not log.errors,
            f"after {lasted:.0f} s and {log.answered_by().get(bad, 0)} slates: "
            + (rollback[0]["reason"] if rollback else ""),
            bad=bad,
            seconds=round(lasted, 1),
            answered_by=log.answered_by(),
            clicks_expected={name: log.rate(releases=[name]) for name in log.answered_by()},
            errors=log.errors[:5],
            rollback=rollback,
        )

    def tell(self) -> None:
        """Run all chapters."""
        self.deployments = hold_schedules()
        self.opens()
        self.is_calm()
        self.drifts()
        self.insists()
        self.recovers()
        self.heals()
        self.refuses()
        self.takes_back()


def set_params(root: Path, changes: dict[str, dict[str, Any]]) -> None:
    """Change keys of `params.yaml`."""
    import yaml

    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section].update(values)
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def damaged_release(layout: Layout, registry: Registry) -> str:
    """Register the champion with its list of products out of step: whole, verified, and bad."""
    champion = registry.champion()
    assert champion is not None
    with tempfile.TemporaryDirectory(dir=layout.var) as folder:
        artefacts = Path(folder) / "artefacts"
        shutil.copytree(champion.folder, artefacts)
        shutil.rmtree(artefacts / "reports")
        for name in ("manifest.json", "params.json"):
            (artefacts / name).unlink()
        listed = artefacts / "train_ranker" / "products.json"
        head = json.loads(listed.read_text(encoding="utf-8"))
        ids = head["product_ids"]
        head["product_ids"] = ids[len(ids) // 3 :] + ids[: len(ids) // 3]
        write_json(listed, head)
        manifest = artefacts / "train_ranker" / "manifest.json"
        body = json.loads(manifest.read_text(encoding="utf-8"))
        body["files"]["products.json"] = sha256_of(listed)
        write_json(manifest, body)
        params = json.loads((champion.folder / "params.json").read_text(encoding="utf-8"))
        made = registry.register(artefacts, reports=champion.reports, params=params, by="somebody")
    return made.release_id


def run(root: Path, *, minutes: float) -> dict[str, Any]:
    """Tell the story in a checkout; return the account, with `complete` and the steps."""
    story, stack = Story(root, minutes), Stack(root)
    trouble, left = "", []
    try:
        stack.start("server", "start", "--host", "127.0.0.1", "--port", str(stack.port))
        wait_for("server", lambda: answers(f"{stack.url}/health"), story.until)
        stack.call("work-pool", "create", "local", "--type", "process")
        stack.start("worker", "start", "--pool", "local", "--type", "process")
        stack.call("deploy", "--all")
        with pointed_at(stack):
            story.tell()
    except TrialError as error:
        trouble = str(error)
        print(f"stopped: {trouble}\n{stack.last_words()}", flush=True)
    finally:
        story.service.stop()
        left = stack.stop()
    return {
        "complete": not trouble,
        "trouble": trouble,
        "seconds": round(time.monotonic() - story.began, 1),
        "steps": story.steps,
        "history": [entry.model_dump() for entry in story.registry.history()],
        "left": left,
    }


def main() -> int:
    """Tell it in a temporary copy; return the exit code."""
    from tests.pipeline.conftest import copy_checkout

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("var/story.json"))
    parser.add_argument("--keep", type=Path, help="an empty folder to tell it in, kept afterwards")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
        target = given.keep or Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        root = copy_checkout(target.resolve()).root
        set_params(root, CHANGES)
        (root / "var").mkdir(exist_ok=True)
        found = run(root, minutes=given.minutes)
    write_json(given.out, found)
    print(f"{'complete' if found['complete'] else 'NOT complete'}: {given.out}")
    return 0 if found["complete"] and not found["left"] else 1


if __name__ == "__main__":
    sys.exit(main())

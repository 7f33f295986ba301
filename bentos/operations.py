"""One glance at the shop's health, read from the files that the flows leave.

Nothing is computed that a report does not say: this collects, and turns states into advice.
"""

import json
import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bentos.journal import new_id
from bentos.shop import Shop
from components.contracts.artefacts import Layout
from components.contracts.errors import RegistryError
from components.contracts.messages import OperationsResponse

_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(html|json|svg)")
HISTORY = 20
WEEKS = 53
RUNS = 8
PREFECT_URL = "http://127.0.0.1:4200/api"
PREFECT_SECONDS = 0.2
OF_WHOLE_WEEKS = ("lines in the week", "day of the week")
FAILED = ("Failed", "Crashed", "TimedOut", "Cancelled")
URGENT = ("stop and quarantine", "roll back")
WORTH_A_LOOK = ("retrain",)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return {}


def report_path(shop: Shop, name: str) -> Path | None:
    """Return the file of a report by its bare name, or None: no path leaves the reports folder."""
    if not _NAME.fullmatch(name):
        return None
    folder = shop.layout.reports
    found = [folder / name, *sorted(folder.glob(f"*/{name}"))]
    found += [place / name for place in _made_by_flows(shop.layout)]
    return next((path for path in found if path.is_file() and not path.is_symlink()), None)


def _made_by_flows(layout: Layout) -> list[Path]:
    """Return the folders of pages that flows and stages leave outside of `reports/`."""
    return [layout.var / "monitor" / "evidently"]


def operations(shop: Shop) -> OperationsResponse:
    """Collect last runs and their cost, data quality, drift, releases and figures."""
    layout = shop.layout
    validation, drift = (
        _read(layout.reports / "validation.json"),
        _read(layout.reports / "p8_drift.json"),
    )
    monitoring = _read(layout.var / "monitor" / "latest.json")
    champion, challenger, history, registry_problem = _registry(shop)
    health = shop.health()
    broken, attention, notes = [], [], []
    if registry_problem:
        broken.append(registry_problem)
    if "champion" in health.degraded:
        broken.append("The champion could not be loaded; the one before serves on. See the log.")
    if validation.get("blocked_by"):
        broken.append("The last data were blocked by validation. Open the validation report.")
    missing = [part for part in health.degraded if part != "champion"]
    if missing:
        attention.append(f"Parts are missing and replaced by simpler ones: {', '.join(missing)}.")
    if not champion:
        attention.append("No release is promoted yet: run `make pipeline`.")
    remedy = str(monitoring.get("decision", ""))
    if remedy in URGENT or remedy in WORTH_A_LOOK:
        line = (
            f"Monitoring, week {monitoring.get('week')}: {remedy}. {monitoring.get('reason', '')}"
        )
        (broken if remedy in URGENT else attention).append(line.strip())
    runs = _last_lines(layout.var / "runs.jsonl", RUNS)
    failed = _failed_last(runs)
    if failed:
        attention.append(
            f"The last {failed['flow']} run ended as {failed['state']}: "
            f"{str(failed.get('message') or 'no message')[:200]} "
            f"Run it again: `shelfwise flow {failed['flow']}`."
        )
    verdict, canary = _contest(shop, challenger)
    if canary:
        notes.append(
            f"Release {canary['release_id']} is on trial with {canary['share']:.0%} of the "
            "visitors; the service ends the trial by itself."
        )
    advice = broken + attention + notes
    return OperationsResponse(
        request_id=new_id("r"),
        status="broken" if broken else "attention" if attention else "ok",
        advice=tuple(advice) or ("Nothing to do.",),
        model_version=health.model_version,
        now=health.now,
        champion=champion,
        challenger=challenger,
        history=tuple(history),
        timings=_read(layout.var / "timings.json"),
        validation=validation,
        drift=monitoring or drift,
        figures=tuple(_figures(layout.reports)),
        reports=tuple(_pages(layout)),
        weeks=tuple(_weeks(layout.var / "monitor" / "history.json")),
        runs=tuple(runs),
        verdict=verdict,
        canary=canary,
        prefect=prefect(),
        traffic={
            "events": shop.store.count_events(),
            "posted_products": len(shop.store.products()),
            "answers_not_logged": shop.journal.dropped,
            "products": health.products,
            "clock": health.clock,
            "now": health.now[:16].replace("T", " "),
        },
    )


def _pages(layout: Layout) -> list[str]:
    """Return the names of all reports, the pages for people first."""
    names = {p.name for p in layout.reports.rglob("*") if _NAME.fullmatch(p.name)}
    for folder in _made_by_flows(layout):
        names |= {p.name for p in folder.glob("*.html") if _NAME.fullmatch(p.name)}
    return sorted(names, key=lambda name: (not name.endswith(".html"), name))


def _last_lines(path: Path, n: int) -> list[dict[str, Any]]:
    """Return the last lines of a log of JSON lines, newest first; a torn line is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-n:]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found[::-1]


def _failed_last(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the newest run that failed, unless the same flow has run well since."""
    seen: set[str] = set()
    for run in runs:
        if run.get("state") in FAILED and run.get("flow") not in seen:
            return run
        seen.add(str(run.get("flow")))
    return None


def _weeks(path: Path) -> list[dict[str, Any]]:
    """Return the judged weeks, each with how near its worst measure came to its limit."""
    history = _read(path)
    decisions = history.get("decisions", []) if isinstance(history, dict) else []
    limits = history.get("thresholds", {}).get("limits", {}) if decisions else {}
    weeks = []
    for decision in decisions[-WEEKS:]:
        near = {
            name: value / limits[name]
            for name, value in decision.get("distances", {}).items()
            if limits.get(name)
            # A week that has not ended is not judged by these.
            and not (decision.get("diagnosis") == "no drift" and name in OF_WHOLE_WEEKS)
        }
        worst = max(near, key=near.__getitem__, default="")
        weeks.append(
            {
                **{k: decision.get(k) for k in ("week", "first_day", "diagnosis", "remedy")},
                "reason": decision.get("reason"),
                "season": ", ".join(decision.get("season") or ()),
                "nearest": worst,
                "of_limit": round(near.get(worst, 0.0), 3),
            }
        )
    return weeks


def prefect() -> dict[str, Any]:
    """Return where Prefect's own pages are, and whether its server answers there."""
    parts = urlsplit(os.environ.get("PREFECT_API_URL") or PREFECT_URL)
    try:
        with socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or 4200), timeout=PREFECT_SECONDS
        ):
            running = True
    except OSError:
        running = False
    return {"url": f"{parts.scheme}://{parts.hostname}:{parts.port or 4200}", "running": running}


def _contest(shop: Shop, challenger: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the gate's last verdict and the trial that is going on."""
    from components.registry.gate import read_verdict
    from components.registry.store import Registry

    registry = Registry(shop.layout.registry)
    try:
        state = registry.state()
        entries = [e for e in registry.history() if e.action in ("promote", "refuse")]
    except RegistryError:
        return {}, {}
    canary = {"release_id": state.canary[0], "share": state.canary[1]} if state.canary else {}
    wanted = [challenger.get("release_id"), *(e.release_id for e in reversed(entries[-HISTORY:]))]
    for release_id in wanted:
        verdict = read_verdict(str(release_id), registry.verdicts) if release_id else None
        if verdict is not None:
            return {
                "release_id": verdict.release_id,
                "champion_id": verdict.champion_id,
                "promote": verdict.promote,
                "summary": verdict.summary,
                "checks": [
                    {"check": c.name, "passed": c.passed, "observed": c.observed,
                     "allowed": c.allowed}
                    for c in verdict.checks
                ],
            }, canary  # fmt: skip
    return {}, canary


def _registry(shop: Shop) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], str]:
    from components.registry.store import Registry

    registry = Registry(shop.layout.registry)
    try:
        champion, challenger = registry.champion(), registry.challenger()
        history = [entry.model_dump(mode="json") for entry in registry.history()[-HISTORY:]]
    except RegistryError as error:
        return {}, {}, [], str(error)
    return _release(champion), _release(challenger), history[::-1], ""


def _release(release: Any) -> dict[str, Any]:
    if release is None:
        return {}
    return {
        "release_id": release.release_id,
        "git_commit": release.git_commit,
        "size_bytes": release.size_bytes,
        "registered_at": release.registered_at[:16].replace("T", " "),
        **{name: round(value, 4) for name, value in sorted(release.metrics.items())},
    }


def _figures(reports: Path) -> list[dict[str, Any]]:
    figures = []
    for path in sorted(reports.glob("p*.json")):
        report = _read(path)
        rows = report.get("rows", []) if isinstance(report, dict) else []
        figures.extend(
            {"report": path.stem, "protocol": report.get("protocol"), "n": report.get("n"), **row}
            for row in rows
            if isinstance(row, dict) and row.get("shipped")
        )
    return figures

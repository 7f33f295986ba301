"""One glance at the shop's health, read from the files that the flows leave.

Nothing is computed that a report does not say: this collects, and turns states into advice.
"""

import json
import re
from pathlib import Path
from typing import Any

from bentos.journal import new_id
from bentos.shop import Shop
from components.contracts.errors import RegistryError
from components.contracts.messages import OperationsResponse

_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(html|json|svg)")
HISTORY = 20
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
    return next((path for path in found if path.is_file() and not path.is_symlink()), None)


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
    broken, attention = [], []
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
    advice = broken + attention
    return OperationsResponse(
        request_id=new_id("r"),
        status="broken" if broken else "attention" if attention else "ok",
        advice=tuple(advice) or ("All is well. Nothing to do.",),
        model_version=health.model_version,
        champion=champion,
        challenger=challenger,
        history=tuple(history),
        timings=_read(layout.var / "timings.json"),
        validation=validation,
        drift=monitoring or drift,
        figures=tuple(_figures(layout.reports)),
        reports=tuple(
            sorted({p.name for p in layout.reports.rglob("*") if _NAME.fullmatch(p.name)})
            if layout.reports.is_dir()
            else ()
        ),
        traffic={
            "events": shop.store.count_events(),
            "posted_products": len(shop.store.products()),
            "answers_not_logged": shop.journal.dropped,
            "products": health.products,
            "clock": health.clock,
            "now": health.now[:16].replace("T", " "),
        },
    )


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

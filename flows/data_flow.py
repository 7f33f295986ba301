"""The data flow: bring the tables up to date and say what validation found."""

import json
from typing import Any

from prefect import flow, task
from prefect.states import Completed

from flows.dvc_tasks import repro
from flows.environment import ROOT
from flows.forgetting import repro_without_forgotten
from flows.records import publish, publish_link, publish_table, recorded


@task(name="validation summary", timeout_seconds=60)
def summary() -> dict[str, Any]:
    """Publish what was kept, quarantined and found; return the head of the report."""
    path = ROOT / "reports" / "validation.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        {"table": name, **{k: v for k, v in entry.items() if k != "expectations"}}
        for name, entry in report["tables"].items()
    ]
    publish_table("tables", rows, description="Rows in = rows kept + rows quarantined")
    failed = [
        {"table": name, **expectation}
        for name, entry in report["tables"].items()
        for expectation in entry["expectations"]
        if expectation["passed"] is False
    ]
    publish_table("failed-expectations", failed, description="What did not hold")
    publish("validation", f"# Validation\n\n{len(failed)} expectations failed.\n")
    publish_link("report-validation", ROOT / "reports" / "validation.html", "validation.html")
    return {"failed": len(failed), "tables": len(rows)}


@flow(name="data", timeout_seconds=3600, **recorded())
def data(force: bool = False, pull: bool = False) -> Any:
    """Ingest and validate. A table-level failure blocks, and this flow fails with its message.

    Visitors who asked to be forgotten and are still in the tables make the ingest run again.

    Args:
        force: read the source again although its files did not change (a live database).
        pull: take from the DVC remote what it has.
    """
    if force:
        repro(("ingest",), force=True)
    ran = repro_without_forgotten(("validate",), pull=pull)
    found = summary()
    return Completed(message=f"{len(ran)} stages ran; {found['failed']} expectations failed")

"""The feedback flow: what shoppers did since the last training, and is it worth a retrain."""

from typing import Annotated, Any

from prefect import flow, task
from prefect.states import Completed
from pydantic import Field

from components.contracts.artefacts import Layout, write_json
from components.contracts.params import load_params
from components.monitor.quality import feedback_summary
from components.stages.replay import state_url
from components.state.store import Store
from flows.dvc_tasks import repro
from flows.environment import ROOT
from flows.records import publish_table, recorded


@task(name="read feedback", retries=3, retry_delay_seconds=[1, 5, 20], timeout_seconds=600)
def read_feedback() -> dict[str, Any]:
    """Summarise the service's events since the last take-in; see `feedback_summary`."""
    layout = Layout(ROOT)
    store = Store(state_url(layout))
    try:
        return feedback_summary(store.events_since, layout.var / "monitor" / "feedback.json")
    finally:
        store.close()


@flow(name="feedback", timeout_seconds=2 * 3600, **recorded())
def feedback(min_events: Annotated[int, Field(ge=1)] = 1000) -> Any:
    """Take in feedback; ask for a retrain when there is enough of it.

    Args:
        min_events: interactions since the last take-in that are worth one.
    """
    from prefect.events import emit_event

    layout = Layout(ROOT)
    found = read_feedback()
    publish_table("feedback", [found["new"]], description="Since the last take-in")
    if found["new"]["interactions"] < min_events:
        return Completed(message=f"{found['new']['interactions']} new interactions: not enough yet")
    if load_params(layout.params_file).ingest.source == "serving_log":
        repro(("ingest",), force=True)
        repro(("validate",))
    write_json(layout.var / "monitor" / "feedback.json", found["mark"])
    emit_event(
        "shelfwise.feedback.ready",
        resource={"prefect.resource.id": "shelfwise.state"},
        payload=found["new"],
    )
    return Completed(message=f"{found['new']['interactions']} interactions taken in")

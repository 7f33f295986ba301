"""The forget flow: one visitor's data removed, with a receipt, and the retrain asked for."""

from typing import Annotated, Any

from prefect import flow, task
from prefect.states import Completed
from pydantic import Field

from components.contracts.artefacts import Layout, write_json
from components.registry.store import Registry
from components.stages.replay import state_url
from components.state.store import Store
from flows.environment import ROOT
from flows.records import publish, recorded, redact


@task(name="forget", retries=3, retry_delay_seconds=[1, 5, 20], timeout_seconds=300)
def forget_visitor(visitor_id: str) -> dict[str, Any]:
    """Remove the visitor from the state, mark older releases, and hand the tombstones to ingest."""
    layout = Layout(ROOT)
    store = Store(state_url(layout))
    try:
        receipt = store.forget(visitor_id)
        tombstones = store.tombstones()
    finally:
        store.close()
    write_json(layout.var / "forgotten.json", tombstones)
    Registry(layout.registry).record(
        "forget", None, reason=f"receipt {receipt.receipt_id}", by="forget flow"
    )
    return receipt.model_dump(mode="json")


@flow(name="forget", timeout_seconds=900, log_prints=False, **recorded())
def forget(visitor_id: Annotated[str, Field(min_length=1, max_length=128)]) -> Any:
    """Forget a visitor; the next training flow retrains without them.

    Args:
        visitor_id: whose data to remove.
    """
    from prefect.events import emit_event

    receipt = forget_visitor(visitor_id)
    redact({"visitor_id": "forgotten"})
    publish("receipt", f"# Forgotten\n\nReceipt `{receipt['receipt_id']}`.\n")
    emit_event(
        "shelfwise.visitor.forgotten",
        resource={"prefect.resource.id": "shelfwise.state"},
        payload={"receipt_id": receipt["receipt_id"]},
    )
    return Completed(message=f"receipt {receipt['receipt_id']}; removed {receipt['removed']}")

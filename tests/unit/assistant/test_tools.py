"""One registry: schemas, calls with the same checks, and the same tools over MCP."""

import asyncio
import json

import pytest

from components.assistant.mcp_server import make_server
from components.assistant.tools import ToolError, command_of, registry
from tests.unit.assistant.shops import assistant


def test_every_tool_has_a_schema_and_says_whether_it_mutates():
    tools = registry()
    assert {"search", "basket_set", "checkout_preview", "bundle"} <= set(tools)
    assert all(t.schema["type"] == "object" and t.description for t in tools.values())
    assert {n for n, t in tools.items() if t.mutates} >= {
        "basket_set",
        "forget_me",
        "checkout_confirm",
    }


def test_bad_calls_are_named():
    with pytest.raises(ToolError, match="no tool"):
        command_of("fly", {})
    with pytest.raises(ToolError, match="quantity"):
        command_of("basket_set", {"product_id": "p3", "quantity": -1})


def test_a_call_runs_for_the_given_visitor_and_needs_consent_for_an_order():
    made = assistant()
    made.call("basket_set", {"product_id": "p3", "quantity": 2}, visitor_id="v1", session_id="s")
    again = made.call(
        "basket_set", {"product_id": "p3", "quantity": 2}, visitor_id="v1", session_id="s"
    )
    assert [b["quantity"] for b in again.state["basket"]] == [2]
    refused = made.call(
        "checkout_confirm", {"confirmation_id": "c1"}, visitor_id="v1", session_id="s"
    )
    assert refused.commands[0].status == "refused"
    assert refused.state["orders"] == []


def test_an_mcp_client_lists_and_calls_the_tools():
    from mcp import Client

    async def drive():
        async with Client(make_server(assistant(), visitor_id="v1", session_id="s")) as client:
            listed = await client.list_tools()
            found = await client.call_tool("search", {"query": "lamp"})
            bad = await client.call_tool("basket_set", {"product_id": "p3", "quantity": 0})
            return listed.tools, found, bad

    tools, found, bad = asyncio.run(drive())
    assert {t.name for t in tools} == set(registry())
    assert not found.is_error
    assert json.loads(found.content[0].text)["products"]
    assert bad.is_error
    assert "quantity" in bad.content[0].text

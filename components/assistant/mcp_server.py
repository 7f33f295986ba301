"""The assistant's tools as an MCP server, over the same registry and the same checks.

One server serves one visitor and session, given when it is made: a tool's arguments never say whose
data it is. Needs the extra `mcp`.
"""

import json
from typing import Any

from components.assistant.engine import Assistant
from components.assistant.tools import ToolError, registry
from components.contracts.errors import MissingExtraError


def make_server(assistant: Assistant, *, visitor_id: str, session_id: str) -> Any:
    """Return an MCP low-level server whose tools act for one visitor.

    Raises:
        MissingExtraError: the package `mcp` is not installed.
    """
    try:
        from mcp import types
        from mcp.server.lowlevel import Server
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the MCP server needs the package mcp; install the extra `mcp`."
        ) from error

    async def list_tools(_context: Any, _params: Any) -> Any:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.description,
                    input_schema=tool.schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=not tool.mutates, idempotent_hint=tool.name == "basket_set"
                    ),
                )
                for tool in registry().values()
            ]
        )

    async def call_tool(_context: Any, params: Any) -> Any:
        try:
            response = assistant.call(
                params.name, params.arguments or {}, visitor_id=visitor_id, session_id=session_id
            )
        except ToolError as error:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=str(error))], is_error=True
            )
        body = response.model_dump(mode="json")
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(body, ensure_ascii=False))],
            structured_content=body,
        )

    return Server("shelfwise", on_list_tools=list_tools, on_call_tool=call_tool)

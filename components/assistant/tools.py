"""One registry of what the assistant can do: name, description, JSON schema, effect.

The same registry serves the assistant, HTTP and MCP. A tool is a command; calling it runs the
command
for one visitor and session, with the same checks as a spoken one: a checkout still needs a
confirmation that an earlier turn of the session gave.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from components.contracts.commands import COMMAND, MUTATING_KINDS, Command
from components.contracts.errors import ShelfwiseError

_NOT_TOOLS = frozenset({"clarify", "out_of_scope", "converse"})


class ToolError(ShelfwiseError):
    """A tool that does not exist, or arguments that its schema refuses."""


@dataclass(frozen=True)
class Tool:
    """One tool: `mutates` says whether it changes the visitor's records."""

    name: str
    description: str
    schema: dict[str, Any]
    mutates: bool
    model: type[BaseModel]


def _models() -> list[type[BaseModel]]:
    union = get_args(Command)[0]
    return list(get_args(union))


def registry() -> dict[str, Tool]:
    """Return all tools by name, in the order of the command union.

    >>> registry()["basket_set"].mutates, registry()["search"].mutates
    (True, False)
    """
    tools: dict[str, Tool] = {}
    for model in _models():
        name = model.model_fields["kind"].default
        if name in _NOT_TOOLS:
            continue
        schema = model.model_json_schema()
        schema.get("properties", {}).pop("kind", None)
        tools[name] = Tool(
            name, (model.__doc__ or "").strip(), schema, name in MUTATING_KINDS, model
        )
    return tools


def command_of(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return the typed command that a tool call stands for.

    Raises:
        ToolError: unknown tool, or arguments that do not fit; the message names the field.
    """
    if name not in registry():
        raise ToolError(f"no tool {name!r}; tools: {', '.join(registry())}.")
    try:
        return COMMAND.validate_python({**arguments, "kind": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "arguments"
        raise ToolError(f"{name}: {where}: {first['msg']}.") from error


def openapi_schemas() -> dict[str, Any]:
    """Return the tools as OpenAPI component schemas, by command name."""
    return {name: {**tool.schema, "x-mutates": tool.mutates} for name, tool in registry().items()}

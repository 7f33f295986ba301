"""Two plain pages without any script: what this is, and the endpoints as the OpenAPI says."""

from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2a22;--soft:#5b6b61;--line:#dfe5df;--paper:#fbfaf6;
--leaf:#1f6b45}
@media(prefers-color-scheme:dark){:root{--ink:#e8ede9;--soft:#a3b1a8;--line:#2f3a33;
--paper:#141a16;--leaf:#7fcaa0}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:60rem;margin:0 auto;padding:3rem 1.25rem}
h1{font-size:1.9rem;letter-spacing:-.02em;margin:0 0 .25rem}
h2{font-size:1.1rem;margin:2.2rem 0 .5rem}
a{color:var(--leaf)}p{color:var(--soft);margin:.3rem 0 1rem}
code{font:.9em ui-monospace,monospace}
details{border-top:1px solid var(--line);padding:.6rem 0}summary{cursor:pointer}
summary b{display:inline-block;min-width:4.2rem;color:var(--leaf);
font:600 .8rem ui-monospace,monospace}
table{border-collapse:collapse;width:100%;font-size:.92rem}
td{padding:.25rem .8rem .25rem 0;vertical-align:top;border-top:1px solid var(--line)}
"""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Shelfwise</title><style>{style}</style></head><body>{body}</body></html>"""


def index_page(model_version: str) -> str:
    """Return the page at `/`."""
    body = f"""<h1>Shelfwise</h1>
<p>Search, recommendations and an assistant over a shop's own data.</p>
<table><tr><td>Release</td><td><code>{escape(model_version)}</code></td></tr>
<tr><td>Endpoints</td><td><a href="/docs">read them</a> or load
<a href="/openapi.json">openapi.json</a></td></tr>
<tr><td>Probes</td><td><a href="/healthz">healthz</a>, <a href="/readyz">readyz</a>,
<a href="/metrics">metrics</a></td></tr></table>"""
    return _PAGE.format(style=_STYLE, body=body)


def docs_page(document: dict[str, Any]) -> str:
    """Return the endpoints of an OpenAPI document as a page."""
    schemas = document.get("components", {}).get("schemas", {})
    parts = ["<h1>Shelfwise API</h1><p>Flat JSON in, flat JSON out; errors are problem details ",
             "(RFC 9457). Keys: <code>Authorization: Bearer KEY</code>.</p>"]  # fmt: skip
    last = None
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            if tag != last:
                parts.append(f"<h2>{escape(tag.capitalize())}</h2>")
                last = tag
            parts.append(
                f"<details><summary><b>{escape(method.upper())}</b>"
                f"<code>{escape(path)}</code></summary>"
                f"<p>{escape(operation.get('description', ''))}</p>"
                f"{_body(operation, schemas)}</details>"
            )
    return _PAGE.format(style=_STYLE, body="".join(parts))


def _body(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    fields = schemas.get(name, {})
    required = set(fields.get("required", ()))
    rows = [
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' ?'}</td>"
        f"<td><code>{escape(_type(spec))}</code></td>"
        f"<td>{escape(str(spec.get('description', '')))}</td></tr>"
        for field, spec in fields.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return spec["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in spec:
        return " | ".join(_type(option) for option in spec["anyOf"])
    if "enum" in spec:
        return " | ".join(str(value) for value in spec["enum"])
    if spec.get("type") == "array":
        return f"{_type(spec.get('items', {}))}[]"
    return str(spec.get("type", spec.get("const", "any")))

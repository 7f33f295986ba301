"""One static page that shows every expectation with what was observed; no outside request.

In: the report of `suites`. Out: a self-contained HTML file, light and dark, readable on a phone.
"""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORDS = {"block": "blocks", "warn": "remark", "quarantine": "rows set aside"}
STYLE = """
:root{color-scheme:light dark;--ok:#1a7f37;--bad:#c62828;--warn:#9a6700;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.wrap{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.ok{color:var(--ok)}.bad{color:var(--bad);font-weight:600}.warn{color:var(--warn);font-weight:600}
code{font-size:.85em;overflow-wrap:anywhere}small{opacity:.8}
.banner{padding:.6rem 1rem;border:2px solid;border-radius:.5rem}
"""


def write_page(path: Path, report: Mapping[str, Any]) -> None:
    """Write the page atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(render(report), encoding="utf-8")
    temporary.replace(path)


def render(report: Mapping[str, Any]) -> str:
    """Return the page; every value from data is escaped."""
    status = str(report["status"])
    tone = "bad" if status == "blocked" else "ok" if status == "passed" else "warn"
    tables: Mapping[str, Any] = report["tables"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>Data validation: {_e(status)}</title><style>{STYLE}</style></head><body>",
        "<h1>Data validation</h1>",
        f"<p class='banner {tone}'>Status: {_e(status)}</p>",
    ]
    if report.get("blocked_by"):
        parts.append("<h2>What blocks</h2><ul>")
        parts += [f"<li>{_e(message)}</li>" for message in report["blocked_by"]]
        parts.append("</ul>")
    parts.append("<h2>Rows</h2><div class='wrap'><table><tr><th>Table</th><th>In</th><th>Kept</th>")
    parts.append("<th>Set aside</th><th>Expectations</th><th>Failed</th></tr>")
    for name, table in tables.items():
        failed = sum(not e["passed"] for e in table["expectations"])
        parts.append(
            f"<tr><td><a href='#{_e(name)}'>{_e(name)}</a></td><td>{table['rows_in']:,}</td>"
            f"<td>{table['rows_kept']:,}</td><td>{table['rows_quarantined']:,}</td>"
            f"<td>{len(table['expectations'])}</td>"
            f"<td class='{'bad' if failed else 'ok'}'>{failed}</td></tr>"
        )
    parts.append("</table></div>")
    for name, table in tables.items():
        parts.append(f"<h2 id='{_e(name)}'>{_e(name)}</h2><div class='wrap'><table>")
        parts.append("<tr><th>Expectation</th><th>Asks that</th><th>Expected</th><th>Observed</th>")
        parts.append("<th>Result</th></tr>")
        parts += [_line(entry) for entry in table["expectations"]]
        parts.append("</table></div>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _line(entry: Mapping[str, Any]) -> str:
    if entry["level"] == "row":
        expected, observed = "every row", f"{entry['failed_rows']:,} rows fail"
    else:
        low, high = entry["low"], entry["high"]
        bounds = [f"at least {low:g}"] if low is not None else []
        bounds += [f"at most {high:g}"] if high is not None else []
        expected = " and ".join(bounds)
        value = entry["observed"]
        number = isinstance(value, int | float)
        observed = f"{value:g}" if number else value or "nothing to observe"
    tone, word = "ok", "holds"
    if not entry["passed"]:
        tone = "bad" if entry["severity"] == "block" else "warn"
        word = WORDS[entry["severity"]]
    sample = "".join(f"<br><code>{_e(s)}</code>" for s in entry.get("sample", []))
    return (
        f"<tr><td><code>{_e(entry['name'])}</code></td><td>{_e(entry['about'])}{sample}</td>"
        f"<td>{_e(expected)}</td><td>{_e(observed)}</td><td class='{tone}'>{word}</td></tr>"
    )


def _e(value: Any) -> str:
    return html.escape(str(value), quote=True)

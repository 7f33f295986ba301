"""Write the result tables of README and docs from `reports/`: `python -m docs.tables`.

A table stands between `<!-- table: REPORT SLICE COLUMN ... [KEY=VALUE ...] -->` and `<!-- end -->`;
everything between is replaced. `*` takes every slice. `KEY=VALUE` keeps the rows that say so
(`seen=removed`), `KEY=A,B` those that say either.
`tests/architecture/test_readme.py` fails when the page and the reports differ.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/assistant.md",
    "docs/scaling.md",
    "docs/search.md",
    "docs/sequences.md",
)
PATTERN = re.compile(r"<!-- table: (\S+) (\S+) ([^>]+?) -->\n(.*?)<!-- end -->", re.DOTALL)


def sections(text: str) -> list[tuple[str, str]]:
    """Return (report, slice) of every generated table in `text`."""
    return [(match[1], match[2]) for match in PATTERN.finditer(text)]


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    spread = f" ({low:.4f} to {high:.4f})" if low is not None and high is not None else ""
    digits = 1 if column.endswith(("_ms", "_seconds", "_mb")) else 4
    return f"{value:.{digits}f}{spread}" if isinstance(value, float) else str(value)


def table(report: dict[str, Any], slice_: str, words: list[str]) -> str:
    """Return one slice of a report as a Markdown table; the shipped row is bold."""
    columns = [word for word in words if "=" not in word]
    wanted = dict(word.split("=", 1) for word in words if "=" in word)
    lines = [f"| model | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    for row in report["rows"]:
        if slice_ not in ("*", row.get("slice", "all")):
            continue
        if any(
            str(row.get(key)).lower() not in value.lower().split(",")
            for key, value in wanted.items()
        ):
            continue
        name = f"**{row['model']}**" if row.get("shipped") else row["model"]
        lines.append(f"| {name} | {' | '.join(_cell(row, c) for c in columns)} |")
    return "\n".join(lines) + "\n"


def render(text: str, reports: Path) -> str:
    """Return `text` with every generated table written anew from `reports`."""

    def _replace(match: re.Match[str]) -> str:
        report = json.loads((reports / f"{match[1]}.json").read_text())
        body = table(report, match[2], match[3].split())
        return f"<!-- table: {match[1]} {match[2]} {match[3]} -->\n{body}<!-- end -->"

    return PATTERN.sub(_replace, text)


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(render(path.read_text(), ROOT / "reports"))

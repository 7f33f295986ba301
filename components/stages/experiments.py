"""Experiments side by side: what was changed, what came of it, on one static page.

In: `Run`s, each with the parameters that differ and the reports it wrote. Out: rows and an HTML
page of one file without outside requests. Runs are started by DVC (`dvc exp run --queue`), not
here. Shipped figures carry their intervals: two runs whose intervals overlap widely are not told
apart by this page, and it says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

METRICS = (
    ("p1_next_basket.json", "ndcg@10"),
    ("p1_next_basket.json", "recall@10"),
    ("p4_cold_products.json", "ndcg@10"),
)
STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1e;--soft:#6b6b70;--line:#d8d8dc;--paper:#fff;
 --own:#1f5fa8}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--soft:#a0a0a8;--line:#3a3a40;
 --paper:#17171a;--own:#7fb2f0}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
 max-width:980px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line)}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}.soft{color:var(--soft)}
svg{width:100%;height:auto;min-width:320px}
"""
WIDTH, ROW, LEFT = 640, 26, 190


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        name: as DVC knows it.
        changed: parameter (`section.key`) to its value where it differs from the base.
        reports: file name to report.
        seconds: what the run took, if known; shown, not compared.
    """

    name: str
    changed: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    seconds: float | None = None


def shipped_row(report: Mapping[str, Any], slice_: str = "all") -> Mapping[str, Any]:
    """Return the shipped row of a slice; the first shipped one if the report has no such slice."""
    rows = [row for row in report.get("rows", []) if row.get("shipped") is True]
    named = [row for row in rows if row.get("slice", "all") == slice_]
    return (named or rows or [{}])[0]


def compare(runs: Sequence[Run], base: Run) -> list[dict[str, Any]]:
    """Return one row per run and metric: value, interval, difference from the base."""
    rows = []
    for run in [base, *runs]:
        for file, metric in METRICS:
            row = shipped_row(run.reports.get(file, {}))
            before = shipped_row(base.reports.get(file, {})).get(metric)
            value = row.get(metric)
            if value is None:
                continue
            rows.append(
                {
                    "run": run.name,
                    "changed": dict(run.changed),
                    "report": file.removesuffix(".json"),
                    "metric": metric,
                    "value": value,
                    "low": row.get(f"{metric}_low", value),
                    "high": row.get(f"{metric}_high", value),
                    "difference": None if before is None else round(value - before, 6),
                    "seconds": run.seconds,
                }
            )
    return rows


def write_page(path: Path, rows: Sequence[Mapping[str, Any]], *, said: str = "") -> None:
    """Write the page atomically; `said` is the output of `dvc metrics diff`, shown as it is."""
    parts = []
    for file, metric in METRICS:
        name = file.removesuffix(".json")
        own = [row for row in rows if (row["report"], row["metric"]) == (name, metric)]
        if own:
            parts.append(f"<h2>{escape(metric)} <span class=soft>{escape(name)}</span></h2>")
            parts.append(f"<div class=wide>{chart(own)}</div><div class=wide>{table(own)}</div>")
    told = f"<h2>dvc metrics diff</h2><pre class=wide>{escape(said)}</pre>" if said else ""
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Experiments</title><style>{STYLE}</style><h1>Experiments</h1>"
        "<p>Each line is the shipped ranking of one run with its 95 % interval over visitors; the "
        "base is on top. Intervals that overlap widely do not tell two runs apart.</p>"
        f"{''.join(parts)}{told}</html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)


def label(row: Mapping[str, Any]) -> str:
    """Return what was changed, in short; `base` if nothing was."""
    return ", ".join(f"{name}={value}" for name, value in row["changed"].items()) or "base"


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw value and interval of each run as a line and a dot."""
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + 10 + (value - low) / span * (WIDTH - LEFT - 30)

    height = ROW * len(rows) + 22
    base = x(rows[0]["value"])
    marks = [
        f'<line x1="{base:.1f}" x2="{base:.1f}" y1="4" y2="{height - 20}" '
        'stroke="currentColor" stroke-opacity=".35" stroke-dasharray="3 4"/>'
    ]
    for place, row in enumerate(rows):
        y = ROW * place + 16
        marks.append(
            f'<text x="{LEFT}" y="{y + 4}" font-size="12" text-anchor="end" fill="currentColor">'
            f"{escape(label(row))}</text>"
            f'<line x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{y}" y2="{y}" '
            'stroke="var(--own)" stroke-width="2" stroke-opacity=".55"/>'
            f'<circle cx="{x(row["value"]):.1f}" cy="{y}" r="4.5" fill="var(--own)">'
            f"<title>{escape(label(row))}: {row['value']:.4f}</title></circle>"
        )
    for value, anchor in ((low, "start"), (high, "end")):
        marks.append(
            f'<text x="{x(value):.1f}" y="{height - 4}" font-size="11" text-anchor="{anchor}" '
            f'fill="currentColor" fill-opacity=".7">{value:.3f}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="runs compared">'
        f"{''.join(marks)}</svg>"
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as a table."""
    head = ("run", "changed", "value", "95 % interval", "against the base", "seconds")
    body = []
    for row in rows:
        difference = "" if row["difference"] is None else f"{row['difference']:+.4f}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        interval = f"{row['low']:.4f} to {row['high']:.4f}"
        cells = [f"<td>{escape(row['run'])}</td><td>{escape(label(row))}</td>"]
        cells += [
            f"<td class=n>{text}</td>"
            for text in (f"{row['value']:.4f}", interval, difference, seconds)
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    names = "".join(f"<th>{name}</th>" for name in head)
    return f"<table><tr>{names}</tr>{''.join(body)}</table>"

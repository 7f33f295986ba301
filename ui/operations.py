# ruff: noqa: E501
"""The operations page: one glance says whether the shop is healthy and what to do."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.contracts.messages import OperationsResponse
from ui.cards import text

_HEADLINES = {"ok": "All is well", "attention": "Worth a look", "broken": "Needs you now"}


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0) -> str:
    """Return a table; the last `numbers` columns hold numbers."""
    made = []
    for row in rows:
        cells = list(row)
        first = len(cells) - numbers
        made.append(
            "<tr>"
            + "".join(
                f'<td class="{"sw-n" if i >= first else ""}">{text(_shown(cell))}</td>'
                for i, cell in enumerate(cells)
            )
            + "</tr>"
        )
    if not made:
        return '<p class="sw-soft">Not made yet: run <code>make pipeline</code>.</p>'
    first = len(head) - numbers
    names = "".join(
        f'<th scope="col" {"class=sw-n" if i >= first else ""}>{text(name)}</th>'
        for i, name in enumerate(head)
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(made)}</tbody></table>"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _panel(title: str, content: str, *, is_wide: bool = False) -> str:
    kind = "sw-panel sw-wide" if is_wide else "sw-panel"
    return f'<section class="{kind}"><h3>{text(title)}</h3>{content}</section>'


def _facts(values: Mapping[str, Any]) -> str:
    simple = {k: v for k, v in values.items() if isinstance(v, str | int | float | bool)}
    if not simple:
        return '<p class="sw-soft">None.</p>'
    rows = "".join(
        f"<dt>{text(name.replace('_', ' '))}</dt><dd>{text(_shown(value))}</dd>"
        for name, value in simple.items()
    )
    return f"<dl>{rows}</dl>"


def _cost(timings: Mapping[str, Any]) -> str:
    costs = {
        name: cost
        for name, cost in timings.items()
        if isinstance(cost, Mapping) and "seconds" in cost
    }
    if not costs:
        return _table((), ())
    longest = max(float(cost["seconds"]) for cost in costs.values()) or 1.0
    rows = "".join(
        f"<tr><td class='sw-name'>{text(name)}</td><td style='width:45%'><div class='sw-meter' "
        f"style='width:{100 * float(cost['seconds']) / longest:.0f}%'></div></td>"
        f"<td class='sw-n'>{float(cost['seconds']):,.1f} s</td>"
        f"<td class='sw-n'>{text(_shown(cost.get('peak_mib', '')))} MiB</td></tr>"
        for name, cost in costs.items()
    )
    total = sum(float(cost["seconds"]) for cost in costs.values())
    return (
        f"<table><tbody>{rows}<tr><th>all</th><td></td><td class='sw-n'><b>{total:,.1f} s</b></td>"
        "<td></td></tr></tbody></table>"
    )


def _quality(report: Mapping[str, Any]) -> str:
    tables = report.get("tables")
    if isinstance(tables, Mapping):
        tables = [
            {"table": name, **(v if isinstance(v, Mapping) else {})} for name, v in tables.items()
        ]
    rows = []
    for one in tables or ():
        if not isinstance(one, Mapping):
            continue
        kept = one.get("rows_kept", one.get("kept", one.get("rows", one.get("rows_out"))))
        bad = one.get("rows_quarantined", one.get("quarantined"))
        failed = one.get("failed", one.get("failures", ()))
        count = len(failed) if isinstance(failed, list | tuple | dict) else failed
        rows.append((one.get("table", one.get("name", "")), kept, bad, count))
    if rows:
        return _table(("table", "rows kept", "quarantined", "failed"), rows, numbers=3)
    return _facts(report) if report else _table((), ())


def _drift(report: Mapping[str, Any]) -> str:
    weeks = report.get("recent") or report.get("weeks")
    facts = (
        _facts({k: v for k, v in report.items() if not isinstance(v, list | dict)})
        if report
        else ""
    )
    if isinstance(weeks, list) and weeks and isinstance(weeks[0], Mapping):
        names = [n for n in weeks[-1] if not isinstance(weeks[-1][n], list | dict)][:6]
        return facts + _table(names, ([w.get(n) for n in names] for w in weeks[-12:][::-1]))
    return facts or _table((), ())


def _figures(rows: Sequence[Mapping[str, Any]]) -> str:
    made = []
    for row in rows:
        for metric in ("ndcg@10", "recall@10", "rmse", "auc", "pass_rate", "pass^4"):
            if isinstance(row.get(metric), int | float):
                low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
                interval = (
                    f"{low:.4f} to {high:.4f}" if low is not None and high is not None else ""
                )
                where = ", ".join(
                    str(row[k]) for k in ("slice", "seen", "judged", "task") if row.get(k)
                )
                made.append(
                    (
                        row.get("report"),
                        row.get("model"),
                        where,
                        metric,
                        f"{row[metric]:.4f}",
                        interval,
                    )
                )
    return _table(("report", "model", "slice", "metric", "value", "95 % interval"), made, numbers=2)


def _coded(line: str) -> str:
    """Return a line of advice with its commands set as code."""
    return re.sub(r"&#96;(.+?)&#96;", r"<code>\1</code>", text(line))


def page(found: OperationsResponse, *, api_url: str) -> str:
    """Return the whole page."""
    advice = "".join(f"<li>{_coded(line)}</li>" for line in found.advice)
    links = "".join(
        f'<a href="{text(api_url)}/v1/operations/reports/{text(name)}" target="_blank" rel="noopener">{text(name)}</a>'
        for name in found.reports
    )
    history = _table(
        ("when", "what", "release", "by", "why"),
        (
            (str(e.get("at", ""))[:16].replace("T", " "), e.get("action"), e.get("release_id"), e.get("by"), e.get("reason"))
            for e in found.history
        ),
    )  # fmt: skip
    return (
        f'<div class="sw-ops" id="sw-ops-main"><div class="sw-state sw-{text(found.status)}" role="status">'
        f"<h2>{_HEADLINES[found.status]}</h2><ul>{advice}</ul></div><div class='sw-panels'>"
        f"{_panel('Serving now', _facts({'release': found.model_version, **found.traffic}))}"
        f"{_panel('Champion', _facts(found.champion) + '<h3>Challenger</h3>' + _facts(found.challenger))}"
        f"{_panel('Last run and its cost', _cost(found.timings))}"
        f"{_panel('Data quality', _quality(found.validation))}{_panel('Drift', _drift(found.drift), is_wide=True)}"
        f"{_panel('Figures of what is served', _figures(found.figures), is_wide=True)}"
        f"{_panel('Who was champion, and why', history, is_wide=True)}"
        f"{_panel('Reports', f'<div class=sw-links>{links}</div>' if links else _table((), ()), is_wide=True)}"
        "</div></div>"
    )


def trouble(detail: str) -> str:
    """Return the page when the service does not answer."""
    return (
        '<div class="sw-ops"><div class="sw-state sw-broken" role="alert"><h2>The service does not '
        f"answer</h2><p>{text(detail)} Start it with <code>shelfwise serve</code>.</p></div></div>"
    )

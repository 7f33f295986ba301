# ruff: noqa: E501
"""The operations page: one glance says whether the shop is healthy and what to do."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.contracts.messages import OperationsResponse
from ui.cards import text

_HEADLINES = {"ok": "All is well", "attention": "Worth a look", "broken": "Needs you now"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0) -> str:
    """Return a table; the last `numbers` columns hold numbers."""
    made = []
    for row in rows:
        cells = list(row)
        first = len(cells) - numbers
        made.append(
            "<tr>"
            + "".join(
                f'<td class="{"sw-n" if i >= first else _kind(cell)}">{text(_shown(cell))}</td>'
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


def _kind(value: object) -> str:
    """Return the class of a cell: dates are not broken, sentences not squeezed to a word a line."""
    said = str(value or "")
    if _DATE.match(said):
        return "sw-when"
    return "sw-why" if len(said) > 40 else ""


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
    if not isinstance(tables, Mapping) or not tables:
        return _table((), ())
    rows, failures = [], []
    for name, one in tables.items():
        checked = [e for e in one.get("expectations", ()) if isinstance(e, Mapping)]
        failed = [e for e in checked if not e.get("passed")]
        rows.append(
            (name, one.get("rows_kept"), one.get("rows_quarantined"), len(checked), len(failed))
        )
        failures += [
            (f"{name}: {e.get('about') or e.get('name')}", e.get("severity")) for e in failed
        ]
    head = ("table", "rows kept", "set aside", "expectations", "failed")
    return _table(head, rows, numbers=4) + (
        _table(("what failed", "then"), failures) if failures else ""
    )


_TONES = {
    "stop and quarantine": "broken", "roll back": "broken", "retrain": "attention",
    "note": "note", "alert": "attention",
}  # fmt: skip


def _trend(weeks: Sequence[Mapping[str, Any]]) -> str:
    """Return one bar a week: how near the furthest measure came to its limit (the line)."""
    tallest = max(1.5, *(min(float(w.get("of_limit") or 0), 3.0) for w in weeks))
    bars = []
    for week in weeks:
        near = float(week.get("of_limit") or 0)
        tone = _TONES.get(str(week.get("remedy")), "ok")
        said = f"Week {week.get('week')}, from {week.get('first_day')}: {week.get('diagnosis')}; {week.get('nearest')} at {near:.0%} of its limit"
        bars.append(
            f'<i class="sw-bar-{tone}" style="height:{100 * min(near, tallest) / tallest:.1f}%" title="{text(said)}"></i>'
        )
    first, last = weeks[0], weeks[-1]
    alarms = sum(w.get("diagnosis") != "no drift" for w in weeks)
    return (
        f'<div class="sw-trend" role="img" aria-label="{len(weeks)} weeks judged, {alarms} with an alarm">'
        f'{"".join(bars)}<b style="bottom:{100 / tallest:.1f}%"></b></div>'
        f'<p class="sw-soft sw-ends"><span>week {text(first.get("week"))}</span><span>a bar: the furthest measure '
        f"against its limit (line)</span><span>week {text(last.get('week'))}</span></p>"
    )


def _drift(found: OperationsResponse) -> str:
    weeks = [w for w in found.weeks if isinstance(w, Mapping)]
    if not weeks:
        return _table((), ())
    alarms = [w for w in weeks if w.get("diagnosis") != "no drift"][::-1][:6]
    told = _table(
        ("week", "from", "diagnosis", "remedy", "why", "season"),
        ([w.get(n) for n in ("week", "first_day", "diagnosis", "remedy", "reason", "season")] for w in alarms),
    ) if alarms else '<p class="sw-soft">No alarm in these weeks.</p>'  # fmt: skip
    return _trend(weeks) + told


def _when(value: object) -> str:
    return str(value or "")[:16].replace("T", " ")


def _runs(found: OperationsResponse) -> str:
    prefect = found.prefect
    base = str(prefect.get("url", ""))
    rows = []
    for run in found.runs:
        name = text(run.get("run", ""))
        if prefect.get("running"):
            href = f"{base}/runs/flow-run/{run.get('run_id', '')}"
            name = f'<a href="{text(href)}" target="_blank" rel="noopener">{name}</a>'
        seconds = run.get("seconds")
        good = run.get("state") not in ("Failed", "Crashed", "TimedOut", "Cancelled")
        rows.append(
            f"<tr><td class='sw-when'>{text(_when(run.get('ended')))}</td><td>{text(run.get('flow', ''))}</td><td>{name}</td>"
            f"<td class='sw-when'><span class='sw-dot sw-dot-{'ok' if good else 'broken'}'></span>{text(run.get('state', ''))}</td>"
            f"<td class='sw-n'>{'' if seconds is None else f'{float(seconds):,.0f} s'}</td>"
            f"<td>{text(str(run.get('message') or '')[:160])}</td></tr>"
        )
    where = (
        f'<p class="sw-soft"><a href="{text(base)}" target="_blank" rel="noopener">Open Prefect</a></p>'
        if prefect.get("running")
        else f'<p class="sw-soft">Prefect&#39;s server does not run at {text(base)}: '
        "<code>prefect server start</code>.</p>"
        if base
        else ""
    )
    if not rows:
        return (
            '<p class="sw-soft">No flow has run yet: <code>shelfwise flow training</code>.</p>'
            + where
        )
    return (
        "<table><thead><tr><th scope='col'>ended</th><th scope='col'>flow</th><th scope='col'>run</th>"
        "<th scope='col'>state</th><th scope='col' class='sw-n'>took</th><th scope='col'>said</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{where}"
    )


def _with_interval(side: Mapping[str, Any], name: str) -> str:
    """Return a figure of a release, with its interval if it has one."""
    low, high = side.get(f"{name}_low"), side.get(f"{name}_high")
    if low is None or high is None:
        return _when(side.get(name)) if name.endswith("_at") else _shown(side.get(name))
    return f"{_shown(side.get(name))} ({_shown(low)} to {_shown(high)})"


def _contest(found: OperationsResponse) -> str:
    """Return champion and challenger side by side, and the gate's last word."""
    champion, challenger = found.champion, found.challenger
    same = challenger.get("release_id") == champion.get("release_id")
    sides = [champion] if same or not challenger else [champion, challenger]
    names = dict.fromkeys(name for side in sides for name in side if name != "size_bytes")
    rows = [
        (name.replace("_", " "), *(_with_interval(side, name) for side in sides))
        for name in names
        if not name.endswith(("_low", "_high")) and any(side.get(name) for side in sides)
    ]
    head = ("", "champion", "challenger")[: len(sides) + 1]
    parts = [_table(head, rows) if champion or challenger else _table((), ())]
    if challenger and same:
        parts.append('<p class="sw-soft">The newest release is the champion: no challenger.</p>')
    if found.canary:
        parts.append(
            f"<p>On trial: <b>{text(found.canary.get('release_id'))}</b> answers "
            f"{float(found.canary.get('share') or 0):.0%} of the visitors.</p>"
        )
    verdict = found.verdict
    if verdict:
        failed = [c for c in verdict.get("checks", ()) if not c.get("passed")]
        parts.append(f"<h3>The gate&#39;s last word</h3><p>{text(verdict.get('summary', ''))}</p>")
        if failed:
            parts.append(
                _table(
                    ("failed check", "observed", "allowed"),
                    ((c.get("check"), c.get("observed"), c.get("allowed")) for c in failed),
                )
            )
    return "".join(parts)


def _vitals(found: OperationsResponse) -> str:
    """Return five answers in a row: data, drift, release, last run, traffic."""
    status = str(found.validation.get("status", ""))
    tables = found.validation.get("tables") or {}
    aside = sum(int(t.get("rows_quarantined") or 0) for t in tables.values())
    data_tone = {"": "none", "blocked": "broken", "passed": "ok"}.get(status, "note")
    week = found.weeks[-1] if found.weeks else {}
    remedy = str(week.get("remedy", ""))
    last = found.runs[0] if found.runs else {}
    failed = last.get("state") in ("Failed", "Crashed", "TimedOut", "Cancelled")
    seconds = sum(
        float(c["seconds"])
        for c in found.timings.values()
        if isinstance(c, Mapping) and "seconds" in c
    )
    cells = [
        ("Data", status or "not judged yet", f"{aside:,} rows set aside" if tables else "", data_tone),
        ("Drift", str(week.get("diagnosis", "not judged yet")),
         f"week {week.get('week')}" if week else "", _TONES.get(remedy, "ok") if week else "none"),
        ("Release", found.model_version,
         f"champion since {_when(next((e.get('at') for e in found.history if e.get('action') in ('promote', 'rollback')), ''))}"
         if found.champion else "none promoted", "ok" if found.champion else "attention"),
        ("Last run", f"{last.get('flow')}: {last.get('state')}" if last else "none yet",
         _when(last.get("ended")) if last else "", "broken" if failed else "ok" if last else "none"),
        ("Cost", f"{seconds:,.0f} s" if seconds else "not run yet", "all stages, as last run", "ok" if seconds else "none"),
    ]  # fmt: skip
    return "<div class='sw-vitals'>" + "".join(
        f"<div><h3>{text(name)}</h3><p><span class='sw-dot sw-dot-{tone}'></span>{text(value)}</p>"
        f"<small class='sw-soft'>{text(note)}</small></div>"
        for name, value, note, tone in cells
    ) + "</div>"  # fmt: skip


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
    head = ("report", "model", "slice", "metric", "value", "95 % interval")
    first = [row for row in made if not row[2] or row[2].split(",")[0] == "all"]
    rest = [row for row in made if row not in first]
    if not first or not rest:
        return _table(head, made, numbers=2)
    return (
        f"{_table(head, first, numbers=2)}<details><summary>Slices: {len(rest)} more</summary>"
        f"{_table(head, rest, numbers=2)}</details>"
    )


def _coded(line: str) -> str:
    """Return a line of advice with its commands set as code."""
    return re.sub(r"&#96;(.+?)&#96;", r"<code>\1</code>", text(line))


def page(found: OperationsResponse, *, api_url: str) -> str:
    """Return the whole page."""
    advice = "".join(f"<li>{_coded(line)}</li>" for line in found.advice)
    history = _table(
        ("when", "what", "release", "by", "why"),
        (
            (_when(e.get("at")), e.get("action"), e.get("release_id"), e.get("by"), e.get("reason"))
            for e in found.history
        ),
    )
    return (
        f'<div class="sw-ops" id="sw-ops-main"><div class="sw-state sw-{text(found.status)}" role="status">'
        f"<h2>{_HEADLINES[found.status]}</h2><ul>{advice}</ul></div>{_vitals(found)}<div class='sw-panels'>"
        f"{_panel('Drift over the weeks', _drift(found), is_wide=True)}"
        f"{_panel('Last runs', _runs(found), is_wide=True)}"
        f"{_panel('Champion and challenger', _contest(found))}"
        f"{_panel('Serving now', _facts({'release': found.model_version, **found.traffic}))}"
        f"{_panel('Data quality', _quality(found.validation))}"
        f"{_panel('What the last run of each stage cost', _cost(found.timings))}"
        f"{_panel('Who was champion, and why', history, is_wide=True)}"
        f"{_panel('Figures of what is served', _figures(found.figures), is_wide=True)}"
        f"{_panel('Reports', _links(found.reports, api_url), is_wide=True)}"
        "</div></div>"
    )


_SAID = {
    "monitoring.html": "Monitoring, week by week",
    "validation.html": "Validation of the data",
    "evidently.html": "Evidently: the last weeks against those before",
    "data_docs.html": "Great Expectations: Data Docs",
}


def _links(names: Sequence[str], api_url: str) -> str:
    """Return links to all reports: pages for people by their subject, then the rest by name."""
    if not names:
        return _table((), ())

    def link(name: str) -> str:
        href = f"{text(api_url)}/v1/operations/reports/{text(name)}"
        return f'<a href="{href}" target="_blank" rel="noopener">{text(_SAID.get(name, name))}</a>'

    pages = [n for n in names if n in _SAID]
    rest = [n for n in names if n not in _SAID]
    return (
        f"<div class=sw-links>{''.join(link(n) for n in pages)}</div>"
        f"<details><summary>{len(rest)} more files</summary>"
        f"<div class=sw-links>{''.join(link(n) for n in rest)}</div></details>"
    )


def trouble(detail: str) -> str:
    """Return the page when the service does not answer."""
    return (
        '<div class="sw-ops"><div class="sw-state sw-broken" role="alert"><h2>The service does not '
        f"answer</h2><p>{text(detail)} Start it with <code>shelfwise serve</code>.</p></div></div>"
    )

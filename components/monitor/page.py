"""The monitoring page: one glance, then the weeks, then the proof. One file, no outside request."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.monitor.decide import Decision
from components.monitor.profile import Measure
from components.monitor.thresholds import measures_of

if TYPE_CHECKING:
    from components.monitor.watch import Year

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 120, 34, 18
COLOURS = {
    "none": "#2f7d4f",
    "note": "#7a6a12",
    "retrain": "#1f5fa8",
    "roll back": "#8a3fa0",
    "stop and quarantine": "#b3261e",
}
STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1e;--soft:#6b6b70;--line:#d8d8dc;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--soft:#a0a0a8;--line:#3a3a40;--paper:#17171a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
 max-width:980px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid var(--line)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));gap:1rem}
figure{margin:0}figcaption{font-size:.85rem;color:var(--soft)}
svg{width:100%;height:auto}
.tag{color:#fff;border-radius:4px;padding:.05rem .4rem;white-space:nowrap}
.wide{overflow-x:auto}
"""


def tag(remedy: str) -> str:
    """Return a coloured word for a remedy."""
    return f'<span class="tag" style="background:{COLOURS[remedy]}">{escape(remedy)}</span>'


def trend(
    measure: Measure,
    series: Sequence[tuple[int, float]],
    limit: float,
    decisions: Mapping[int, Decision],
) -> str:
    """Draw one measure's distance over the weeks as an SVG figure, with its limit and alarms."""
    if not series:
        return ""
    first, last = series[0][0], series[-1][0]
    top = max(limit * 1.15, max(value for _, value in series) * 1.05)

    def x(week: float) -> float:
        return LEFT + (week - first) / max(last - first, 1) * (WIDTH - LEFT - 6)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - 6)

    points = " ".join(f"{x(week):.1f},{y(value):.1f}" for week, value in series)
    dots = "".join(
        f'<circle cx="{x(week):.1f}" cy="{y(value):.1f}" r="3.5" '
        f'fill="{COLOURS[decisions[week].remedy]}">'
        f"<title>week {week}: {value:.3f}, {escape(decisions[week].diagnosis)}</title></circle>"
        for week, value in series
        if value > limit and week in decisions
    )
    weeks = "".join(
        f'<text x="{x(week):.1f}" y="{HEIGHT - 4}" font-size="10" text-anchor="middle" '
        f'fill="currentColor">{week}</text>'
        for week in sorted({first, *range((first // 10 + 1) * 10, last, 10), last})
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(measure.name)} over the weeks">'
        f'<line x1="{LEFT}" x2="{WIDTH - 6}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" '
        'stroke="#b3261e" stroke-dasharray="4 3"/>'
        f'<text x="2" y="{y(limit) + 3:.1f}" font-size="10" fill="currentColor">{limit:.2f}</text>'
        f'<text x="2" y="{y(0) + 3:.1f}" font-size="10" fill="currentColor">0</text>'
        f'<polyline points="{points}" fill="none" stroke="#1f5fa8" stroke-width="1.6"/>'
        f"{dots}{weeks}"
        f"</svg><figcaption>{escape(measure.name)} <small>({escape(measure.column)}; distance from "
        "the weeks before, dashed: limit)</small></figcaption></figure>"
    )


def decision_rows(decisions: Sequence[Decision]) -> str:
    """Return the table rows of decisions, newest first."""
    rows = []
    for decision in reversed(decisions):
        moved = "; ".join(
            f"{alarm.measure} {alarm.exceedance:.1f}x its limit"
            + (
                " ("
                + ", ".join(f"{m.bin} {_share(m.before)}→{_share(m.now)}" for m in alarm.moved[:2])
                + ")"
                if alarm.moved
                else ""
            )
            for alarm in decision.alarms
        )
        season = f" <small>{escape(', '.join(decision.season))}</small>" if decision.season else ""
        rows.append(
            f"<tr><td>{decision.week}{season}</td><td>{decision.first_day}</td>"
            f"<td>{escape(decision.diagnosis)}</td><td>{tag(decision.remedy)}</td>"
            f"<td>{escape(decision.reason)}</td><td>{escape(moved)}</td></tr>"
        )
    return "".join(rows)


def _share(value: float) -> str:
    return f"{value:.1%}" if value <= 1 else f"{value:,.0f}"


def shift_rows(shifts: Sequence[Mapping[str, Any]]) -> str:
    """Return the table rows of the seeded shifts."""
    return "".join(
        f"<tr><td>{escape(str(row['shift']).replace('_', ' '))}</td><td>{escape(row['about'])}</td>"
        f"<td>{row['detected_share']:.0%}</td><td>{tag(row['remedy'])}</td>"
        f"<td>{'yes' if row['right'] else 'no: ' + escape(row['right_remedy'])}</td>"
        f"<td>{escape(', '.join(row['columns']))}</td></tr>"
        for row in shifts
    )


def write_page(path: Path, year: "Year", report: Mapping[str, Any]) -> None:
    """Write the page atomically."""
    decisions = {decision.week: decision for decision in year.decisions}
    measures: dict[str, Measure] = {}
    for view in year.views.values():
        measures |= measures_of(view.profile)
    figures = []
    for name in sorted(measures):
        series = [(d.week, d.distances[name]) for d in year.decisions if name in d.distances]
        limit = year.thresholds.limit(measures[name])
        figures.append((max((v / limit for _, v in series), default=0.0), name, series, limit))
    figures.sort(key=lambda item: (-item[0], item[1]))
    charts = "".join(
        trend(measures[name], series, limit, decisions) for _, name, series, limit in figures
    )
    last = year.decisions[-1] if year.decisions else None
    alarms = [d for d in year.decisions if d.diagnosis != "no drift"]
    head = (
        f"<p>Newest week {last.week} ({last.first_day} to {last.last_day}): {tag(last.remedy)} "
        f"<b>{escape(last.diagnosis)}</b>. {escape(last.reason)}.</p>"
        if last
        else "<p>Not enough weeks to judge any.</p>"
    )
    rate = report.get("false_alarm_rate")
    proof = (
        f"<p>False alarms on {report['resampled_weeks']} resampled calm weeks: {rate:.1%} "
        f"(allowed {report['false_alarm_rate_allowed']:.0%}). Seeded shifts answered rightly: "
        f"{report['right_remedies']} of {report['shifts_tried']}.</p>"
        if isinstance(rate, float)
        else "<p>Too few calm weeks to calibrate: fixed limits are used.</p>"
    )
    names = ("week", "from", "diagnosis", "remedy", "why", "what moved")
    columns = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Monitoring</title><style>{STYLE}</style><h1>Monitoring</h1>{head}{proof}"
        f'<h2>Alarms</h2><div class="wide"><table>{columns}{decision_rows(alarms)}</table></div>'
        f'<h2>Trends</h2><div class="grid">{charts}</div>'
        '<h2>Seeded shifts</h2><div class="wide"><table><tr><th>shift</th><th>what</th>'
        "<th>found</th><th>remedy</th><th>right</th><th>columns</th></tr>"
        f"{shift_rows(report.get('shifts', []))}</table></div>"
        f'<h2>All weeks</h2><div class="wide"><table>{columns}{decision_rows(year.decisions)}'
        "</table></div></html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)

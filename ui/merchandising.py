# ruff: noqa: E501
"""The commercial team's part of the operations page: segments, launches, sponsors, the shop's rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from pydantic import ValidationError

from components.contracts.errors import ShelfwiseError
from components.contracts.launches import LaunchPlan, LaunchRequest, LaunchStatus
from components.contracts.merchandise import (
    AllocateRequest,
    AllocateResponse,
    Campaign,
    CampaignReport,
    PreviewRequest,
    PreviewResponse,
    Segment,
    SegmentMembersResponse,
    ShopRule,
)
from ui.cards import button, money, text
from ui.client import Client
from ui.operations import _panel, _table

ACTS = (
    "launch_plan", "launch_start", "launch_stop", "rule_preview", "rule_keep", "rule_remove",
    "campaign_keep", "campaign_remove", "segment_export",
    "offers_allot",
)  # fmt: skip
SHOWN_MEMBERS = 12


@dataclass(frozen=True)
class Desk:
    """What one open page is in the middle of: a plan not yet started, a rule not yet kept."""

    plan: LaunchPlan | None = None
    draft: ShopRule | None = None
    preview: PreviewResponse | None = None
    members: SegmentMembersResponse | None = None
    allotted: AllocateResponse | None = None
    said: str = ""
    given: Mapping[str, str] = field(default_factory=dict)


def run(client: Client, desk: Desk, data: dict[str, Any]) -> Desk:
    """Do what a button or a form asks; a mistake becomes a sentence on the page."""
    name = str(data.get("act") or data.get("form") or "")
    try:
        return _run(client, replace(desk, said=""), name, data)
    except ShelfwiseError as error:
        return replace(desk, said=str(error))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return replace(desk, said=f"{where}: {first['msg']}")
    except ValueError as error:
        return replace(desk, said=f"That is no number: {error}.")


def _run(client: Client, desk: Desk, name: str, data: dict[str, Any]) -> Desk:
    if name == "launch_plan":
        request = LaunchRequest(
            product_id=data["product"].strip(),
            audience_share=float(data["share"]) / 100,
            horizon_weeks=int(data["weeks"]),
            floor=int(data["floor"]),
            regret_cap=float(data["cap"]),
        )
        return replace(desk, plan=client.launch_plan(request))
    if name == "launch_start" and desk.plan is not None:
        client.launch_start(desk.plan)
        return replace(desk, plan=None, said=f"Started: {desk.plan.title}.")
    if name == "launch_stop":
        client.launch_stop(data["plan"])
        return replace(desk, said="Stopped.")
    if name == "rule_preview":
        rule = ShopRule(
            rule_id=f"rule-{uuid4().hex[:8]}",
            name=data.get("name", "").strip(),
            kind=data["kind"],
            product_ids=tuple(data["products"].replace(",", " ").split()),
            queries=tuple(q.strip() for q in data["queries"].split(",") if q.strip()),
            rank=int(data.get("rank") or 1),
        )
        preview = client.preview(PreviewRequest(rules=(rule,), queries=rule.queries))
        return replace(desk, draft=rule, preview=preview)
    if name == "rule_keep" and desk.draft is not None:
        client.rule_put(desk.draft)
        return replace(desk, draft=None, preview=None, said="The rule holds from now on.")
    if name == "rule_remove":
        client.rule_remove(data["rule"])
        return replace(desk, said="Removed.")
    if name == "campaign_keep":
        now = datetime.fromisoformat(client.now()) if client.now() else datetime.now(UTC)
        made = Campaign(
            campaign_id=f"campaign-{uuid4().hex[:8]}",
            name=data["name"].strip(),
            product_ids=tuple(data["products"].replace(",", " ").split()),
            queries=tuple(q.strip() for q in data["queries"].split(",") if q.strip()),
            bid_minor=round(float(data["bid"]) * 100),
            budget_minor=round(float(data["budget"]) * 100),
            starts_at=now,
            ends_at=now + timedelta(days=int(data["days"])),
        )
        client.campaign_put(made)
        return replace(desk, said=f"{made.name} runs for {data['days']} days.")
    if name == "campaign_remove":
        client.campaign_remove(data["campaign"])
        return replace(desk, said="Ended.")
    if name == "offers_allot":
        budget, most = data["budget"].strip(), data["per_offer"].strip()
        asked = AllocateRequest(
            budget_minor=round(float(budget) * 100) if budget else None,
            max_per_visitor=int(data["per_visitor"]),
            max_per_offer=int(most) if most else None,
            fatigue_days=int(data["fatigue_days"]),
            max_in_fatigue=int(data["in_fatigue"]),
        )
        return replace(desk, allotted=client.allocate(asked))
    if name == "segment_export":
        return replace(desk, members=client.members(int(data["segment"])))
    return desk


def page(client: Client, desk: Desk) -> str:
    """Return the panels.

    Raises:
        ServiceError: the service does not answer.
    """
    campaigns, rules = client.campaigns(), client.rules()
    return (
        '<div class="sw-ops" id="sw-ops-merchandising">'
        + (f'<p class="sw-state sw-attention" role="status">{text(desk.said)}</p>' if desk.said else "")
        + "<div class='sw-panels'>"
        + _panel("Segments", _segments(client.segments().segments, campaigns.currency) + _members(desk.members), is_wide=True)
        + _panel("Offers: who gets which", _offers_form() + _allotted(desk.allotted, campaigns.currency), is_wide=True)
        + _panel("Plan a launch", _launch_form() + _plan(desk.plan), is_wide=True)
        + _panel("Launches", _launches(client.launches().launches), is_wide=True)
        + _panel("Sponsored places", _campaigns(campaigns.campaigns, campaigns.currency) + _campaign_form(), is_wide=True)
        + _panel("The shop's rules", _rules(rules.rules, rules.holding) + _rule_form() + _preview(desk), is_wide=True)
        + _panel("Who changed what", _table(("when", "who", "what", "which"), ((str(a["at"])[:16].replace("T", " "), a["actor"], a["action"], a["subject"]) for a in rules.audit[:12])) if rules.audit else '<p class="sw-soft">Nothing was changed yet.</p>', is_wide=True)
        + "</div></div>"
    )  # fmt: skip


def _segments(found: Sequence[Segment], currency: str) -> str:
    if not found:
        return _table((), ())
    rows = ""
    for s in found:
        people = ", ".join(f"{p['name']} {p['value']} x {p['lift']:.1f}" for p in s.people[:2])
        offers = ", ".join(f"{o['kind']} x {o['lift']:.1f}" for o in s.offers[:2])
        leads = ", ".join(
            f"{c['name'].split(' > ')[-1]} x {c['lift']:.1f}" for c in s.categories[:3]
        )
        habit = f"{s.trips_a_week:.1f} trips a week of {s.lines_a_trip:.0f} lines, mostly {s.favourite_day}"
        moved = "" if s.joined is None else f"+{s.joined} / -{s.left}"
        week = money(round(s.spend_minor_a_week), currency, "en")
        rows += (
            f"<tr><th scope='row'>{text(s.number)} · {text(s.name)}</th><td>{text(leads)}</td><td>{text(people)}</td>"
            f"<td>{text(habit)}</td><td>{text(offers)}</td><td class='sw-n'>{s.visitors:,} ({s.share:.0%})</td>"
            f"<td class='sw-n'>{text(week)}</td><td class='sw-n'>{s.price_sensitivity:.2f}</td><td class='sw-n'>{moved}</td>"
            f"<td>{button('segment_export', 'Export', kind='sw-quiet', title=f'Export the visitors of {s.name}', segment=s.number)}</td></tr>"
        )
    return _rows(
        ("segment", "buys more", "who", "habit", "offers that work", "visitors", "a week", "price sensitivity", "in / out in 4 weeks", ""),
        rows,
    )  # fmt: skip


def _members(found: SegmentMembersResponse | None) -> str:
    if found is None:
        return ""
    lines = ["visitor_id,segment", *(f"{v},{found.number}" for v in found.visitors)]
    label = f"Save {len(found.visitors):,} visitors of “{found.name}” as CSV"
    return f'<div id="sw-export">{_saved(f"segment-{found.number}.csv", lines, label)}</div>'


def _field(name: str, label: str, value: str = "", kind: str = "text", **more: str) -> str:
    extra = "".join(f' {k}="{text(v)}"' for k, v in more.items())
    return (
        f'<label class="sw-field"><span>{text(label)}</span>'
        f'<input name="{name}" type="{kind}" value="{text(value)}"{extra}></label>'
    )


def _form(name: str, fields: str, label: str) -> str:
    return (
        f'<form data-form="{name}" class="sw-form">{fields}'
        f'<button type="submit" class="sw-btn sw-primary">{text(label)}</button></form>'
    )


def _offers_form() -> str:
    return _form(
        "offers_allot",
        _field("budget", "budget, empty for none", "", "number", min="0", step="0.01")
        + _field("per_visitor", "offers a household", "3", "number", min="1", max="20")
        + _field("per_offer", "households an offer, empty for all", "", "number", min="1")
        + _field("in_fatigue", "campaigns at most", "6", "number", min="0", max="100")
        + _field("fatigue_days", "within days", "28", "number", min="0", max="365"),
        "Who should get what?",
    )


def _allotted(found: AllocateResponse | None, currency: str) -> str:
    if found is None:
        return '<p class="sw-soft">It proposes and sends nothing.</p>'
    sums: dict[str, list[float]] = {}
    for one in found.allotments:
        row = sums.setdefault(one.promotion_id, [0.0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1] += one.redeem_probability
        row[2] += one.uplift
        row[3] += one.expected_cost_minor
    best = sorted(sums.items(), key=lambda pair: (-pair[1][2], pair[0]))[:SHOWN_MEMBERS]
    rows = (
        _table(
            ("offer", "households", "redemptions expected", "of them beyond habit", "given away"),
            (
                (
                    name,
                    int(n),
                    f"{redeemed:.2f}",
                    f"{uplift:.2f}",
                    money(round(cost), currency, "en"),
                )
                for name, (n, redeemed, uplift, cost) in best
            ),
            numbers=4,
        )
        if best
        else '<p class="sw-soft">No offer in force may go to anybody under these caps.</p>'
    )
    lines = ["visitor_id,promotion_id,redeem_probability,uplift"]
    lines += [
        f"{a.visitor_id},{a.promotion_id},{a.redeem_probability:.5f},{a.uplift:.5f}"
        for a in found.allotments
    ]
    return (
        f'<div id="sw-allotted"><p>{len(found.allotments):,} of {found.pairs_considered:,} pairs: '
        f"{found.expected_redemptions:,.1f} redemptions expected, {found.expected_uplift:,.1f} beyond habit, "
        f"{text(money(round(found.expected_cost_minor), currency, 'en'))} given away "
        f"({text(found.status)}, gap {found.optimality_gap:.2%}).</p>{rows}"
        + (
            _saved("offers.csv", lines, f"Save all {len(found.allotments):,} as CSV")
            if best
            else ""
        )
        + "</div>"
    )


def _saved(name: str, lines: Sequence[str], label: str) -> str:
    """Return a link that saves a file which is in the page, so that nothing is fetched."""
    return (
        f'<p><a class="sw-btn sw-outline" download="{text(name)}" '
        f'href="data:text/csv;charset=utf-8,{quote(chr(10).join(lines) + chr(10))}">{text(label)}</a></p>'
    )


def _launch_form() -> str:
    return _form(
        "launch_plan",
        _field("product", "product id", required="required")
        + _field("share", "households to tell, %", "10", "number", min="1", max="100")
        + _field("weeks", "horizon, weeks", "13", "number", min="1", max="13")
        + _field("floor", "promised exposures", "100", "number", min="0")
        + _field("cap", "regret cap, purchases", "3", "number", min="0", step="0.1"),
        "Plan",
    )


def _plan(plan: LaunchPlan | None) -> str:
    if plan is None:
        return ""
    d = plan.demand
    certainty = f"{d.coverage:.0%} of launches like it" if d.coverage else "too few launches to say"
    facts = (
        f"<dl><dt>demand in {d.horizon_weeks} weeks</dt><dd>{d.low:,} to {d.high:,} lines ({certainty}), middle {d.middle:,.1f}</dd>"
        f"<dt>audience</dt><dd>{len(plan.audience):,} households"
        + (
            f", {plan.expected_lift:.1f} times as many buyers as chance"
            if plan.expected_lift
            else ""
        )
        + f"</dd><dt>told before</dt><dd>{len(plan.preheat):,}, {sum(m.is_due for m in plan.preheat):,} of them due in its category</dd>"
        f"<dt>expected rate</dt><dd>{plan.expected_rate:.4f} a showing; below {plan.flop_rate:.4f} it stops</dd>"
        f"<dt>ramp</dt><dd>{text(', then '.join(f'{s.chance:.0%} of slates for {s.exposures:,} exposures' for s in plan.stages))}</dd>"
        f"<dt>never more than</dt><dd>{plan.request.regret_cap:g} purchases lost elsewhere</dd></dl>"
    )
    notes = "".join(f"<li>{text(n)}</li>" for n in plan.notes)
    alike = (
        _table(
            ("earlier launch that reads alike", "likeness", "lines"),
            ((c.title, c.likeness, c.lines) for c in d.comparables),
            numbers=2,
        )
        if d.comparables
        else ""
    )
    partners = (
        _table(
            ("sell it with", "known through", "lift"),
            ((p.title, p.through, p.lift) for p in plan.partners),
            numbers=1,
        )
        if plan.partners
        else '<p class="sw-soft">No partner is known.</p>'
    )
    members = (
        _table(
            ("first to tell", "lines in its category", "due"),
            ((m.visitor_id, m.buys, m.is_due) for m in plan.audience[:SHOWN_MEMBERS]),
            numbers=2,
        )
        if plan.audience
        else ""
    )
    return (
        f'<div id="sw-plan"><h3>{text(plan.title)}</h3>{facts}<ul>{notes}</ul>{alike}{partners}{members}'
        f"{button('launch_start', 'Start the launch', kind='sw-primary')}</div>"
    )


def _launches(found: Sequence[LaunchStatus]) -> str:
    if not found:
        return '<p class="sw-soft">None was started.</p>'
    rows = "".join(
        f"<tr><td>{text(s.plan.title)}</td><td>{text(s.state)}</td><td>{text(s.reason)}</td>"
        f"<td class='sw-n'>{s.exposures:,}</td><td class='sw-n'>{s.successes:,}</td>"
        f"<td class='sw-n'>{s.regret:.3f} of {s.plan.request.regret_cap:g}</td><td>"
        f"{button('launch_stop', 'Stop', kind='sw-quiet', plan=s.plan.plan_id) if s.state == 'running' else ''}</td></tr>"
        for s in found
    )
    return _rows(("product", "state", "why", "shown", "sold", "regret", ""), rows)


def _rows(head: Sequence[str], rows: str) -> str:
    names = "".join(f"<th scope='col'>{text(h)}</th>" for h in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"


def _campaigns(found: Sequence[CampaignReport], currency: str) -> str:
    if not found:
        return (
            '<p class="sw-soft">Nobody pays for a place. Every paid place says so on its card.</p>'
        )
    rows = "".join(
        f"<tr><td>{text(r.campaign.name)}</td><td>{text(', '.join(r.campaign.queries) or 'every page')}</td>"
        f"<td class='sw-n'>{r.impressions:,}</td><td class='sw-n'>{r.clicks:,}</td>"
        f"<td class='sw-n'>{'' if r.ctr is None else f'{r.ctr:.3f} / {r.pctr or 0:.3f}'}</td>"
        f"<td class='sw-n'>{text(money(r.spent_minor, currency, 'en'))} of {text(money(r.campaign.budget_minor, currency, 'en'))}</td>"
        f"<td class='sw-n'>{r.ndcg_cost:.4f}</td><td>{button('campaign_remove', 'End', kind='sw-quiet', campaign=r.campaign.campaign_id)}</td></tr>"
        for r in found
    )
    return _rows(
        (
            "campaign",
            "searches",
            "shown",
            "clicks",
            "rate / foretold",
            "spent",
            "NDCG cost a place",
            "",
        ),
        rows,
    )


def _campaign_form() -> str:
    return _form(
        "campaign_keep",
        _field("name", "campaign", required="required")
        + _field("products", "product ids", required="required")
        + _field("queries", "searches, by commas")
        + _field("bid", "most for a click", "0.20", "number", min="0.01", step="0.01")
        + _field("budget", "budget", "20", "number", min="0", step="0.01")
        + _field("days", "days", "28", "number", min="1"),
        "Run the campaign",
    )


def _rules(found: Sequence[ShopRule], holding: Sequence[str]) -> str:
    if not found:
        return '<p class="sw-soft">None: lists are as the models make them.</p>'
    rows = "".join(
        f"<tr><td>{text(r.name or r.rule_id)}</td><td>{text(r.kind)}</td><td>{text(', '.join(r.product_ids[:5]) or 'by filter')}</td>"
        f"<td>{text(', '.join(r.queries) or 'every page')}</td><td>{'now' if r.rule_id in holding else 'not now'}</td>"
        f"<td>{button('rule_remove', 'Remove', kind='sw-quiet', rule=r.rule_id)}</td></tr>"
        for r in found
    )
    return _rows(("rule", "does", "products", "searches", "holds", ""), rows)


def _rule_form() -> str:
    kinds = "".join(f"<option>{k}</option>" for k in ("pin", "boost", "bury", "exclude"))
    return _form(
        "rule_preview",
        _field("name", "name")
        + f'<label class="sw-field"><span>does</span><select name="kind">{kinds}</select></label>'
        + _field("products", "product ids", required="required")
        + _field("queries", "searches, by commas")
        + _field("rank", "rank of a pin", "1", "number", min="1", max="100"),
        "What would change?",
    )


def _preview(desk: Desk) -> str:
    if desk.preview is None or desk.draft is None:
        return ""
    parts = []
    for one in desk.preview.lists:
        new = set(one.entered)
        old = "".join(f"<li>{text(p.title)}</li>" for p in one.before)
        now = "".join(
            f"<li>{'<b>' if p.product_id in new else ''}{text(p.title)}{'</b>' if p.product_id in new else ''}</li>"
            for p in one.after
        )
        where = f"search “{one.query}”" if one.query else "home"
        parts.append(
            f"<h3>{text(where)}: {one.moved} moved, {len(one.left)} left, relevance kept {one.relevance_kept:.3f}</h3>"
            f'<div class="sw-panels"><ol>{old}</ol><ol>{now}</ol></div>'
        )
    return f'<div id="sw-preview">{"".join(parts)}{button("rule_keep", "Keep this rule", kind="sw-primary")}</div>'

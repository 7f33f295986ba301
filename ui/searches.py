# ruff: noqa: E501
"""What visitors search, on the operations page: lists, clicks by place, synonyms to decide on."""

from components.contracts.messages import SearchAnalyticsResponse
from ui.cards import button, text
from ui.operations import _panel, _table


def page(found: SearchAnalyticsResponse) -> str:
    """Return the panels; every text in them was typed by enough visitors."""
    k = found.min_visitors
    facts = (
        f"<dl><dt>searches</dt><dd>{found.searches:,}</dd><dt>visitors</dt><dd>{found.visitors:,}</dd>"
        f"<dt>found nothing</dt><dd>{found.null_result_rate:.1%}</dd>"
        f"<dt>followed by a click</dt><dd>{found.click_through_rate:.1%}</dd></dl>"
        f'<p class="sw-soft">Texts typed by fewer than {k} visitors are not shown: {found.hidden_queries:,} are hidden.</p>'
    )
    return (
        '<div class="sw-ops" id="sw-ops-searches"><div class="sw-panels">'
        f"{_panel('Searches', facts)}"
        f"{_panel('Clicks by place', _clicks(found))}"
        f"{_panel('Searched most', _queries(found, found.top))}"
        f"{_panel('Found nothing', _queries(found, found.empty))}"
        f"{_panel('Said another way', _lines(('first', 'then', 'visitors'), found.rewordings), is_wide=True)}"
        f"{_panel('Synonyms to decide on', _proposals(found), is_wide=True)}"
        f"{_panel('Synonyms in force', _approved(found), is_wide=True)}"
        "</div></div>"
    )


def _lines(head: tuple[str, ...], rows: tuple[tuple[object, ...], ...]) -> str:
    return _table(head, rows, numbers=1) if rows else '<p class="sw-soft">None yet.</p>'


def _queries(found: SearchAnalyticsResponse, rows: tuple[tuple[str, int], ...]) -> str:
    chances = found.purchase_intent
    if not chances:
        return _lines(("words", "searches"), rows)
    with_chance = tuple((words, f"{chances.get(words, 0.0):.0%}", n) for words, n in rows)
    return _lines(("words", "likely to buy", "searches"), with_chance)


def _clicks(found: SearchAnalyticsResponse) -> str:
    counts = dict(found.clicks_by_rank[:10])
    most = max(counts.values(), default=0)
    if not most:
        return '<p class="sw-soft">None yet.</p>'
    rows = "".join(
        f"<tr><td class='sw-name'>{rank}</td><td style='width:60%'><div class='sw-meter' "
        f"style='width:{100 * count / most:.0f}%'></div></td><td class='sw-n'>{count:,}</td></tr>"
        for rank, count in sorted(counts.items())
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _proposals(found: SearchAnalyticsResponse) -> str:
    rows = "".join(
        f"<tr><td>{text(p.term)}</td><td>{text(p.other)}</td><td class='sw-n'>{p.visitors:,}</td><td>"
        f"{button('synonym', 'Approve', term=p.term, other=p.other, say='yes', kind='sw-outline')} "
        f"{button('synonym', 'Decline', term=p.term, other=p.other, say='no', kind='sw-quiet')}</td></tr>"
        for p in found.proposals
    )
    if not rows:
        return '<p class="sw-soft">None yet: they come from searches reworded with success by enough visitors.</p>'
    head = "<tr><th scope='col'>visitors typed</th><th scope='col'>then found by</th><th scope='col' class='sw-n'>visitors</th><th></th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _approved(found: SearchAnalyticsResponse) -> str:
    rows = "".join(
        f"<tr><td>{text(term)}</td><td>{text(other)}</td><td>"
        f"{button('synonym', 'Withdraw', term=term, other=other, say='no', kind='sw-outline')}</td></tr>"
        for term, others in sorted(found.synonyms.items())
        for other in others
    )
    if not rows:
        return '<p class="sw-soft">None. An approved one acts on the next search.</p>'
    return f"<table><tbody>{rows}</tbody></table>"

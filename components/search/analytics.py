"""What a shop may learn from its searches: top and empty queries, clicks by rank, rewordings.

Every query text shown was typed by at least `k` visitors, empty ones and rewordings too. Synonym
proposals are mined from rewordings that led to a click; a person approves them, and approved ones
go to `data/synonyms.json`, which the stage `index` reads.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from components.data.words import fold, stems
from components.search.suggest import MIN_VISITORS

REWORDING_MINUTES = 5


@dataclass(frozen=True)
class SearchRecord:
    """One search as it was served, with what was clicked."""

    visitor_id: str
    at: datetime
    text: str
    hits: int
    clicked_ranks: tuple[int, ...] = ()
    shown: int = 0


@dataclass(frozen=True)
class Proposal:
    """Two ways to say one thing: proposed, not in force."""

    term: str
    other: str
    visitors: int


@dataclass(frozen=True)
class SearchReport:
    """Counts over a period; texts are folded, and k-anonymous."""

    searches: int
    visitors: int
    null_result_rate: float
    click_through_rate: float
    top: tuple[tuple[str, int], ...]
    empty: tuple[tuple[str, int], ...]
    clicks_by_rank: tuple[tuple[int, int], ...]
    rewordings: tuple[tuple[str, str, int], ...]
    proposals: tuple[Proposal, ...]
    hidden_queries: int


def report(
    records: Iterable[SearchRecord], *, k: int = MIN_VISITORS, limit: int = 50
) -> SearchReport:
    """Summarise searches.

    Args:
        records: in any order.
        k: how many distinct visitors must have typed a text, or reworded one into another, for it
            to be shown.
        limit: rows per list.

    Returns:
        The report. `hidden_queries` counts distinct texts typed by fewer than k visitors. Rates are
        over all searches, shown or hidden; 0 without searches.
    """
    ordered = sorted(records, key=lambda r: (r.visitor_id, r.at, r.text))
    who: dict[str, set[str]] = defaultdict(set)
    empty: dict[str, set[str]] = defaultdict(set)
    often: Counter[str] = Counter()
    often_empty: Counter[str] = Counter()
    ranks: Counter[int] = Counter()
    reworded: dict[tuple[str, str], set[str]] = defaultdict(set)
    helped: dict[tuple[str, str], set[str]] = defaultdict(set)
    clicked = 0
    for place, record in enumerate(ordered):
        text = normal(record.text)
        if text:
            who[text].add(record.visitor_id)
            often[text] += 1
            if record.hits == 0:
                empty[text].add(record.visitor_id)
                often_empty[text] += 1
        ranks.update(record.clicked_ranks)
        clicked += bool(record.clicked_ranks)
        if place and _is_rewording(ordered[place - 1], record):
            pair = normal(ordered[place - 1].text), text
            reworded[pair].add(record.visitor_id)
            if record.clicked_ranks and not ordered[place - 1].clicked_ranks:
                helped[pair].add(record.visitor_id)

    def top(counts: Counter[str], visitors: dict[str, set[str]]) -> tuple[tuple[str, int], ...]:
        kept = [(q, n) for q, n in counts.items() if len(visitors[q]) >= k]
        return tuple(sorted(kept, key=lambda i: (-i[1], i[0]))[:limit])

    pairs = [(a, b, len(v)) for (a, b), v in reworded.items() if len(v) >= k]
    return SearchReport(
        searches=len(ordered),
        visitors=len({r.visitor_id for r in ordered}),
        null_result_rate=sum(r.hits == 0 for r in ordered) / len(ordered) if ordered else 0.0,
        click_through_rate=clicked / len(ordered) if ordered else 0.0,
        top=top(often, who),
        empty=top(often_empty, empty),
        clicks_by_rank=tuple(sorted(ranks.items())),
        rewordings=tuple(sorted(pairs, key=lambda p: (-p[2], p[0], p[1]))[:limit]),
        proposals=_proposals(helped, k)[:limit],
        hidden_queries=sum(len(v) < k for v in who.values()),
    )


def normal(text: str) -> str:
    """Return a query as it is counted: folded, single spaces."""
    return " ".join(fold(text).split())


def _is_rewording(before: SearchRecord, after: SearchRecord) -> bool:
    return (
        before.visitor_id == after.visitor_id
        and normal(before.text) != normal(after.text)
        and timedelta(0) <= after.at - before.at <= timedelta(minutes=REWORDING_MINUTES)
    )


def _proposals(helped: dict[tuple[str, str], set[str]], k: int) -> tuple[Proposal, ...]:
    """Return the parts in which two wordings differ, where enough visitors were helped by it."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (before, after), visitors in helped.items():
        left, right = _difference(stems(before), stems(after))
        if left and right and len(left) <= 3 and len(right) <= 3:
            found[" ".join(left), " ".join(right)] |= visitors
    kept = [Proposal(a, b, len(v)) for (a, b), v in found.items() if len(v) >= k]
    return tuple(sorted(kept, key=lambda p: (-p.visitors, p.term, p.other)))


def _difference(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is left of two word lists without their common start and end.

    >>> _difference(["blue", "rucksack"], ["blue", "backpack"])
    (['rucksack'], ['backpack'])
    """
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return list(before[start : len(before) - end]), list(after[start : len(after) - end])

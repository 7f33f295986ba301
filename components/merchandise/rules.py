"""What the shop's rules make of a list: who is pinned, buried, boosted, excluded.

In: rules, the moment, the page, and per rule the products it speaks of. Out: one decision per
product, and a list in its new order. No storage and no clock of its own.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from components.contracts.merchandise import ShopRule
from components.merchandise.campaigns import Visit, asks_for, concerns
from components.recommend.slate import Rule

STRENGTH = {"exclude": 0, "pin": 1, "bury": 2, "boost": 3}
ASKED = ("search", "assistant")  # where somebody asks in words
BURIED = -1000.0  # log-odds: behind everything that is not buried


def holding(rules: Iterable[ShopRule], visit: Visit) -> list[ShopRule]:
    """Return the rules that hold for a page: dates, surface, query, audience; strongest first."""
    kept = [
        r
        for r in rules
        if not r.is_paused
        and (r.starts_at is None or r.starts_at <= visit.now)
        and (r.ends_at is None or visit.now < r.ends_at)
        and (not r.surfaces or visit.surface in r.surfaces)
        and (not r.queries or (visit.surface in ASKED and asks_for(r.queries, visit.words)))
        and concerns(r.audience, visit)
    ]
    return sorted(kept, key=lambda r: (-r.priority, STRENGTH[r.kind], r.rule_id))


def decide(
    rules: Sequence[ShopRule], members: Callable[[ShopRule], Collection[str]]
) -> dict[str, ShopRule]:
    """Return for each product the rule that it obeys.

    Args:
        rules: those that hold, strongest first.
        members: the products a rule speaks of, in its order.
    """
    decided: dict[str, ShopRule] = {}
    for rule in rules:
        for product_id in members(rule):
            decided.setdefault(product_id, rule)
    return decided


@dataclass(frozen=True)
class Ruled:
    """A list in its new order, and who of it is pinned."""

    product_ids: tuple[str, ...]
    pinned: tuple[str, ...] = ()


def arrange(
    product_ids: Sequence[str],
    relevance: Mapping[str, float],
    decided: Mapping[str, ShopRule],
    *,
    may_show: Callable[[str], bool] = lambda product_id: False,
) -> Ruled:
    """Put a list in the order that the rules want.

    Args:
        product_ids: the list, best first.
        relevance: of each, in [0, 1].
        decided: product to the rule it obeys.
        may_show: whether a pinned product that is not in the list may stand in it.

    Returns:
        Excluded products are out; the boosted stand where their relevance times the amount belongs;
        the buried stand last, in their own order; pins are put on their ranks at the end.
    """
    kind = {p: r.kind for p, r in decided.items()}
    kept = [p for p in product_ids if kind.get(p) != "exclude"]
    here = set(kept)
    pins = _pins(decided, lambda p: p in here or may_show(p))
    line = [p for p in kept if p not in pins]

    def standing(product_id: str) -> float:
        rule = decided.get(product_id)
        factor = rule.amount if rule is not None and rule.kind == "boost" else 1.0
        return relevance.get(product_id, 0.0) * factor

    if any(kind.get(p) == "boost" for p in line):
        line = sorted(line, key=lambda p: -standing(p))
    buried = [p for p in line if kind.get(p) == "bury"]
    line = [p for p in line if kind.get(p) != "bury"] + buried
    for product_id, rank in sorted(pins.items(), key=lambda pin: pin[1]):
        line.insert(min(rank - 1, len(line)), product_id)
    return Ruled(tuple(line), tuple(pins))


def _pins(decided: Mapping[str, ShopRule], is_open: Callable[[str], bool]) -> dict[str, int]:
    """Return pinned products with their rank; products of one rule follow each other."""
    ranks: dict[str, int] = {}
    used: dict[str, int] = {}
    for rule in {r.rule_id: r for r in decided.values() if r.kind == "pin"}.values():
        for product_id in rule.product_ids:
            if decided.get(product_id) is rule and is_open(product_id):
                ranks[product_id] = rule.rank + used.get(rule.rule_id, 0)
                used[rule.rule_id] = used.get(rule.rule_id, 0) + 1
    return ranks


def as_engine_rules(decided: Mapping[str, ShopRule]) -> list[Rule]:
    """Return the decisions as the recommender's rules: boosts are added to log-odds."""
    made: list[Rule] = []
    for rule in {r.rule_id: r for r in decided.values()}.values():
        order = rule.product_ids if rule.kind == "pin" else tuple(sorted(decided))
        mine = tuple(p for p in order if decided.get(p) is rule)
        if rule.kind == "exclude":
            made.append(Rule("block", mine))
        elif rule.kind == "pin":
            made.append(Rule("pin", mine, rank=rule.rank))
        else:
            amount = BURIED if rule.kind == "bury" else math.log(rule.amount)
            made.append(Rule("boost", mine, amount=amount))
    return made


def kept_relevance(before: Sequence[str], after: Sequence[str]) -> float:
    """Return the NDCG of a new order, when the old order's gains fall by one from place to place.

    >>> kept_relevance(["a", "b"], ["a", "b"]), kept_relevance([], [])
    (1.0, 1.0)
    """
    gains = {p: float(len(before) - n) for n, p in enumerate(before)}
    ideal = sum(g / math.log2(n + 2) for n, g in enumerate(gains.values()))
    found = sum(gains.get(p, 0.0) / math.log2(n + 2) for n, p in enumerate(after))
    return found / ideal if ideal else 1.0

"""What the shop did to a list, as a record small enough to log and exact enough to replay.

Rules, sponsors and launches lie in the state and change; a logged answer keeps what they did to it.
In: a list as the engine made it and as it was shown. Out: edits, which turn the one into the other.
The lists' products and scores are not kept: a replay must find them again by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from components.contracts.messages import Reason, ScoredProduct
from components.recommend.slate import Rule
from components.search.arrange import Arranged, Listing

DEPTH = 200  # places of a list that are kept exactly; no page shows more
Edits = Mapping[str, Any]


def edits(
    before: Sequence[str],
    after: Sequence[str],
    *,
    sponsored: Collection[str] = (),
    pinned: Collection[str] = (),
) -> dict[str, Any]:
    """Return what turns `before` into `after`; empty if nothing does.

    >>> edits("abcd", "dac", sponsored="d")
    {'dropped': ['b'], 'placed': [[0, 'd']], 'sponsored': ['d']}
    """
    kept = set(after)
    line = [p for p in before if p in kept]
    placed: list[list[Any]] = []
    for place, product_id in enumerate(after[:DEPTH]):
        if place < len(line) and line[place] == product_id:
            continue
        if product_id in line:
            line.remove(product_id)
        line.insert(place, product_id)
        placed.append([place, product_id])
    made: dict[str, Any] = {
        "dropped": [p for p in before if p not in kept],
        "placed": placed,
        "sponsored": sorted(sponsored),
        "pinned": sorted(pinned),
    }
    return {name: value for name, value in made.items() if value}


def edited(before: Sequence[str], made: Edits) -> list[str]:
    """Return a list after edits.

    >>> edited("abcd", {"dropped": ["b"], "placed": [[0, "d"]]})
    ['d', 'a', 'c']
    """
    gone = set(made.get("dropped", ()))
    line = [p for p in before if p not in gone]
    for place, product_id in made.get("placed", ()):
        if product_id in line:
            line.remove(product_id)
        line.insert(place, product_id)
    return line


def arranged(listing: Listing, made: Edits) -> Arranged:
    """Return a search's list after edits."""
    return Arranged(
        edited(listing.product_ids, made),
        frozenset(made.get("sponsored", ())),
        frozenset(made.get("pinned", ())),
    )


def as_records(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules that hold now for the log: their dates have spoken."""
    return [
        {"kind": r.kind, "product_ids": list(r.product_ids), "rank": r.rank, "amount": r.amount}
        for r in rules
    ]


def as_rules(records: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """Return logged rules as the recommender takes them.

    >>> as_rules(as_records([Rule("pin", ("a",), rank=2)])) == [Rule("pin", ("a",), rank=2)]
    True
    """
    return [Rule(**{**r, "product_ids": tuple(r["product_ids"])}) for r in records]


def slate_line(
    line: Sequence[str],
    cards: Mapping[str, ScoredProduct],
    *,
    paid: Collection[str] = (),
    new: str | None = None,
    people: Mapping[str, Reason],
) -> tuple[ScoredProduct, ...]:
    """Return a slate's cards in order, each saying who put it there.

    Args:
        line: product ids from rank 1.
        cards: of all of them.
        paid: who stands on a paid place.
        new: the product of a launch, if one is on the slate.
        people: reasons from the people one is connected with.
    """
    out = []
    for rank, product_id in enumerate(line, start=1):
        card = cards[product_id]
        origin, reasons = card.origin, card.reasons
        if product_id in paid:
            origin = ("sponsored", *origin)
        if product_id == new:
            origin = ("launch", *origin)
            reasons = (Reason(kind="launch", text="New here, and likely something for you"),)
        if product_id in people:
            reasons = (people[product_id], *reasons)
        out.append(
            card.model_copy(
                update={
                    "rank": rank, "origin": origin, "reasons": reasons,
                    "sponsored": product_id in paid,
                }
            )
        )  # fmt: skip
    return tuple(out)

from datetime import UTC, datetime, timedelta

from components.contracts.records import Click
from components.state.searches import SearchState

AT = datetime(2018, 1, 1, tzinfo=UTC)


def served(number, visitor_id, *, products=("p1", "p2"), total=2, cursor=None, endpoint="search"):
    return {
        "request_id": f"r{number}",
        "slate_id": f"s{number}",
        "endpoint": endpoint,
        "visitor_id": visitor_id,
        "model_version": "m",
        "at": AT + timedelta(minutes=number),
        "request": {"query": f"words {number}", "cursor": cursor},
        "response": {
            "total": total,
            "products": [{"product_id": p, "rank": n} for n, p in enumerate(products, 1)],
        },
        "recent": [],
    }


def test_past_searches_carry_the_places_followed(store):
    store.log_responses(
        [
            served(0, "v1"),
            served(1, None),
            served(2, "v1", cursor="next"),
            served(3, "v2", products=("p9",), total=0),
            served(4, "v2", endpoint="recommend"),
        ]
    )
    store.append_events(
        [
            Click(event_id="c1", at=AT, visitor_id="v1", slate_id="s0", product_id="p2"),
            Click(event_id="c2", at=AT, visitor_id="v1", slate_id="s0", product_id="p2"),
            Click(event_id="c3", at=AT, visitor_id="v1", slate_id=None, product_id="p1"),
        ]
    )
    found = SearchState(store).past()
    assert [(p["text"], p["visitor_id"], p["total"], p["ranks"]) for p in found] == [
        ("words 0", "v1", 2, (2,)),
        ("words 3", "v2", 0, ()),
    ]


def test_a_person_approves_declines_and_withdraws(store):
    state = SearchState(store)
    assert (state.synonyms(), state.declined()) == ({}, set())
    state.decide("rucksack", "backpack", is_approved=True, by="ann")
    state.decide("rucksack", "day pack", is_approved=True, by="ann")
    state.decide("soda", "water", is_approved=False, by="bob")
    assert state.synonyms() == {"rucksack": ("backpack", "day pack")}
    assert state.declined() == {("soda", "water")}
    state.decide("rucksack", "backpack", is_approved=False, by="bob")
    assert SearchState(store).synonyms() == {"rucksack": ("day pack",)}
    assert [(a["actor"], a["action"], a["detail"]["other"]) for a in store.audits()][-1] == (
        "bob",
        "synonym declined",
        "backpack",
    )

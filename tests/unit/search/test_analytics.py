from datetime import UTC, datetime, timedelta

from components.search.analytics import SearchRecord, report

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(visitor, minute, text, hits=3, clicks=()):
    return SearchRecord(f"v{visitor}", START + timedelta(minutes=minute), text, hits, tuple(clicks))


def test_counts_rates_and_proposals():
    records = []
    for visitor in range(5):
        records.append(record(visitor, 0, "blue Rucksack", hits=0))
        records.append(record(visitor, 1, "blue backpack", clicks=(2,)))
    records.append(record(9, 0, "a private matter", hits=0))
    got = report(records, k=5)
    assert got.searches == 11
    assert got.top == (("blue backpack", 5), ("blue rucksack", 5))
    assert got.empty == (("blue rucksack", 5),)
    assert got.clicks_by_rank == ((2, 5),)
    assert got.rewordings == (("blue rucksack", "blue backpack", 5),)
    assert [(p.term, p.other, p.visitors) for p in got.proposals] == [("rucksack", "backpack", 5)]
    assert got.null_result_rate == 6 / 11
    assert got.hidden_queries == 1


def test_one_visitor_typing_often_stays_hidden():
    got = report([record(1, n * 10, "my address") for n in range(50)], k=2)
    assert got.top == ()
    assert got.hidden_queries == 1


def test_searches_far_apart_are_no_rewording():
    records = [
        r for v in range(3) for r in (record(v, 0, "tea"), record(v, 60, "coffee", clicks=(1,)))
    ]
    assert report(records, k=3).rewordings == ()


def test_no_searches():
    assert report([]).click_through_rate == 0.0

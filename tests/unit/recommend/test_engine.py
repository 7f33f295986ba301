"""The engine: hard filters, live events, cold starts, fallbacks, rules, and reasons that hold."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest

from components.contracts.errors import ArtefactError, UnknownProductError
from components.contracts.messages import Filters
from components.contracts.records import BasketAdd, BasketRemove, Click, Purchase
from components.data.catalogue import Catalogue
from components.data.filters import FilterTable
from components.recommend.engine import RecommendEngine, read_session
from components.recommend.reasons import cite, falls
from components.recommend.slate import Rule, SlatePolicy
from tests.unit.recommend.small_engine import NOW, artefacts, catalogue, engine, product


def ids(slate) -> list[str]:
    return [p.product_id for p in slate.products]


def event(cls, product_id: str, at: datetime = NOW, visitor: str = "v01", **more):
    return cls(event_id=f"{cls.__name__}-{product_id}-{at.timestamp()}", at=at,
               visitor_id=visitor, product_id=product_id, **more)  # fmt: skip


def test_a_known_visitor_gets_the_own_group_first_with_origins_and_chances():
    slate = engine().recommend("v01", [], now=NOW, limit=5)
    assert len(slate.products) == 5
    assert [p.rank for p in slate.products] == [1, 2, 3, 4, 5]
    assert sum(int(p.product_id[1:]) % 4 == 1 for p in slate.products[:3]) == 3
    assert all(p.origin and p.reasons for p in slate.products)
    assert slate.products[0].origin[0] == "repeat"
    chances = [p.purchase_probability for p in slate.products]
    assert all(0 < c < 1 for c in chances)
    assert all(a >= b for a, b in pairwise(chances))
    assert set(slate.degraded) == {"sasrec", "text_vectors"}


def test_two_visitors_differ_and_the_same_call_repeats():
    one = engine()
    assert ids(one.recommend("v01", [], now=NOW)) != ids(one.recommend("v02", [], now=NOW))
    assert one.recommend("v01", [], now=NOW) == one.recommend("v01", [], now=NOW)


def test_a_basket_add_and_a_purchase_take_the_product_away_at_once():
    one = engine()
    first = ids(one.recommend("v01", [], now=NOW))[0]
    for kind in (BasketAdd, Purchase):
        assert first not in ids(one.recommend("v01", [event(kind, first)], now=NOW))
    later = NOW + timedelta(days=12)
    assert first in ids(one.recommend("v01", [event(Purchase, first)], now=later))
    removed = [event(BasketAdd, first), event(BasketRemove, first, NOW + timedelta(seconds=5))]
    assert first in ids(one.recommend("v01", removed, now=NOW + timedelta(minutes=1)))


def test_a_click_changes_the_next_answer_for_a_stranger():
    one = engine()
    before = ids(one.recommend("stranger", [], now=NOW, limit=6))
    after = one.recommend("stranger", [event(Click, "p02")], now=NOW, limit=6)
    assert ids(after) != before
    assert sum(int(p[1:]) % 4 == 2 for p in ids(after)[:4]) >= 3
    assert after.products[0].origin[-1] == "session"
    assert after.products[0].reasons[0].kind == "session"


def test_what_stood_in_front_before_is_not_said_to_come_from_the_session():
    one = engine()
    clicks = [event(Click, "p02")]
    before = one.recommend("stranger", [], now=NOW, limit=20)
    after = one.recommend("stranger", clicks, now=NOW, limit=20)
    was = {name: place for place, name in enumerate(ids(before))}
    told = {p.product_id: p.reasons[0].kind for p in after.products}
    assert "session" in told.values()
    for place, name in enumerate(ids(after)):
        if was.get(name, 99) <= place:
            assert told[name] != "session", name


def test_a_session_speaks_louder_the_less_is_known_of_the_visitor():
    one, snapshot = engine(), engine()._snapshot
    session = read_session([event(Click, "p02")], NOW)
    pull = {}
    for visitor in ("stranger", "v01"):
        scores = one.scores(visitor, session, NOW)
        moved = scores.log_odds - scores.before_session
        pull[visitor] = float(moved[snapshot.index["p06"]])
    assert pull["stranger"] > pull["v01"] > 0


def test_order_doubles_zones_and_late_arrivals_do_not_matter():
    one = engine()
    far = timezone(timedelta(hours=9))
    events = [event(Click, "p02"), event(Click, "p06", NOW - timedelta(hours=2))]
    moved = [e.model_copy(update={"at": e.at.astimezone(far)}) for e in reversed(events)]
    expected = one.recommend("v01", events, now=NOW)
    assert one.recommend("v01", [*moved, *events], now=NOW) == expected
    ahead = event(Click, "p02", NOW + timedelta(hours=3))
    assert one.recommend("v01", [ahead], now=NOW).products


def test_events_of_the_future_count_as_now():
    session = read_session([event(Purchase, "p01", NOW + timedelta(days=3))], NOW)
    assert list(session.bought.values()) == [
        read_session([event(Purchase, "p01")], NOW).bought["p01"]
    ]


def test_a_new_product_is_rankable_at_once_from_its_text():
    one = engine()
    new = product(1, product_id="new", title="bread number 1 with rye")
    assert "new" not in ids(one.recommend("v01", [], now=NOW, limit=31))
    one.upsert([new])
    slate = one.recommend("v01", [], now=NOW, limit=32)
    place = ids(slate).index("new")
    assert slate.products[place].origin == ("content",)
    other = one.recommend("v02", [], now=NOW, limit=32)
    assert place < ids(other).index("new")
    assert one.affinity("v01", [], ["new", "nothing"], now=NOW)[1] == 0
    assert "new" in ids(one.similar("p01", limit=5))


def test_an_update_withdraws_and_reprices():
    one = engine()
    first = ids(one.recommend("v01", [], now=NOW))[0]
    number = int(first[1:])
    one.upsert([product(number, available=False)])
    assert first not in ids(one.recommend("v01", [], now=NOW))
    one.upsert([product(number, price_minor=1)])
    assert one.recommend("v01", [], now=NOW).products[0].price_minor == 1


def test_filters_exclusions_and_repeatability_are_hard():
    one = engine()
    slate = one.recommend("v01", [], now=NOW, filters=Filters(price_max=150), limit=10)
    assert slate.products
    assert all(p.price_minor <= 150 for p in slate.products)
    assert "filters" in slate.degraded
    nothing = one.recommend("v01", [], now=NOW, filters=Filters(price_max=1), limit=10)
    assert nothing.products == ()
    assert "filters" in nothing.degraded
    first = ids(one.recommend("v01", [], now=NOW))[0]
    assert first not in ids(one.recommend("v01", [], now=NOW, exclude={first}))
    one.upsert([product(int(first[1:]), repeatable=False)])
    assert first not in ids(one.recommend("v01", [], now=NOW))


def test_never_empty_even_when_all_is_in_the_basket():
    goods = Catalogue.from_products([product(1), product(2)])
    one = RecommendEngine.from_catalogue(goods)
    events = [event(BasketAdd, "p01"), event(BasketAdd, "p02")]
    assert len(one.recommend(None, events, now=NOW).products) == 2
    gone = RecommendEngine.from_catalogue(Catalogue.from_products([product(1, available=False)]))
    assert len(gone.recommend(None, [], now=NOW).products) == 1


def test_without_a_ranker_habit_content_and_popularity_answer():
    history = {"a": [event(Purchase, "p04", NOW - timedelta(days=d), "a") for d in (3, 10, 17)]}
    one = RecommendEngine.from_catalogue(catalogue(), history)
    slate = one.recommend("a", [], now=NOW)
    assert slate.degraded == ("ranker",)
    assert ids(slate)[0] == "p04"
    assert slate.products[0].origin[0] == "repeat"
    assert len(one.history("a")) == 3
    strangers = one.recommend(None, [], now=NOW, limit=8).products
    assert len({p.category for p in strangers}) >= 3


def test_pins_boosts_and_blocks_hold_between_their_dates():
    start, end = NOW - timedelta(days=1), NOW + timedelta(days=1)
    rules = (
        Rule("pin", ("p30",), rank=2, starts_at=start, ends_at=end),
        Rule("block", ("p01",), starts_at=start, ends_at=end),
        Rule("boost", ("p03",), amount=20.0, starts_at=start, ends_at=end, surfaces=("home",)),
    )
    one = engine(rules=rules)
    slate = one.recommend("v01", [], now=NOW)
    assert ids(slate)[1] == "p30"
    assert slate.products[1].origin[0] == "pinned"
    assert "p01" not in ids(slate)
    assert ids(slate)[0] == "p03"
    assert ids(one.recommend("v01", [], now=end + timedelta(hours=1)))[1] != "p30"
    assert ids(one.recommend("v01", [], now=NOW, surface="basket"))[0] != "p03"


def test_exploration_logs_true_propensities():
    one = engine(policy=SlatePolicy(exploration=0.5))
    for number in range(6):
        one.upsert([product(1, product_id=f"new{number}", title=f"tea special {number}")])
    shown = 0
    for visitor in range(40):
        slate = one.recommend(f"v{visitor:02d}", [], now=NOW, limit=6)
        assert all(0 < p <= 1 for p in slate.propensities)
        for card, chance in zip(slate.products, slate.propensities, strict=True):
            if "exploration" in card.origin:
                shown += 1
                assert any(chance == pytest.approx(0.5 / left) for left in range(1, 7))
    assert 15 < shown < 75


def test_explanations_are_counterfactual():
    one = engine()
    checked = 0
    for number in range(12):
        visitor = f"v{number:02d}"
        for card in one.recommend(visitor, [], now=NOW, limit=3).products:
            found = cite(one, visitor, card.product_id, [], now=NOW)
            if found is not None:
                checked += 1
                assert falls(found.rank, found.rank_without)
                reasons = one.explain(visitor, card.product_id, [], now=NOW)
                assert reasons[0].counterfactual_rank == found.rank_without
                assert reasons[0].evidence
                known = {p.event_id for p in one.history(visitor)}
                assert set(reasons[0].evidence) <= known
    assert checked >= 20


def test_unknown_products_and_altered_artefacts_are_named(tmp_path):
    one = engine()
    with pytest.raises(UnknownProductError):
        one.similar("nothing")
    with pytest.raises(UnknownProductError):
        one.explain("v01", "nothing", [], now=NOW)
    import shutil

    shutil.copytree(artefacts(), tmp_path / "a")
    with (tmp_path / "a" / "train_ranker" / "model_0.txt").open("a") as handle:
        handle.write("\n")
    with pytest.raises(ArtefactError, match="differs"):
        RecommendEngine.load(tmp_path / "a", catalogue=catalogue())


def test_affinity_is_in_bounds_and_follows_the_visitor():
    values = engine().affinity("v01", [], ["p01", "p02", "x"], now=NOW.astimezone(UTC))
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1
    mine = engine().affinity("v01", [], [p.product_id for p in catalogue()], now=NOW)
    assert mine[1::4].mean() > 1.25 * mine[2::4].mean()
    assert mine[1::4].min() > mine[2::4].max()


def plain_alike(one: RecommendEngine, at: int) -> np.ndarray:
    """The definition, one product at a time: text, and shares of what is bought with it."""
    snapshot, state = one.snapshot, one.state
    text = np.clip(snapshot.vectors @ snapshot.vectors[at], 0.0, 1.0) ** 4
    text[at] = 0.0
    if state is None or at >= state.n_products or not state.rankable[at]:
        return text
    text[: state.n_products][state.rankable] *= 0.6
    for matrix in (state.neighbours, state.companions):
        row = matrix[[at]]
        if row.nnz:
            text[row.indices] += 0.35 * row.data / row.data.max()
    return np.minimum(text, 1.0)


def test_many_events_weigh_as_their_products_do_one_by_one():
    one = engine()
    one.upsert([product(1, product_id="new", title="bread number 1 with rye")])
    snapshot = one.snapshot
    named = ["p02", "new", "p06", "p02", "p11"]
    events = [event(Click, p, NOW - timedelta(minutes=n)) for n, p in enumerate(named)]
    events.append(event(BasketAdd, "p07", NOW - timedelta(minutes=9)))
    expected = np.zeros(len(snapshot.ids))
    for step, e in enumerate(events):
        at = snapshot.index[e.product_id]
        weight = (2.0 if isinstance(e, BasketAdd) else 1.0) * 0.5 ** (step / 5.0)
        expected += weight * plain_alike(one, at)
        expected[at] += 0.6 * weight * isinstance(e, Click)
        assert one.alike(snapshot, at) == pytest.approx(plain_alike(one, at), abs=1e-5)
    found = one._session_weights(snapshot, read_session(events, NOW))
    assert found == pytest.approx(expected / max(expected.max(), 1.0), abs=1e-5)
    places = [snapshot.index[p] for p in dict.fromkeys(named)]
    for item in range(len(snapshot.ids)):
        apart = [plain_alike(one, at)[item] for at in places]
        assert one.likeness(snapshot, places, item) == pytest.approx(apart, abs=1e-5)


def test_equal_cards_are_shown_once():
    one = engine()
    before = one.recommend("v01", [], now=NOW, limit=33).products
    first = before[0]
    at = int(first.product_id[1:])
    twin = product(at, product_id="twin", title=first.title.upper())
    one.upsert([twin])
    titles = [p.title.lower() for p in one.recommend("v01", [], now=NOW, limit=33).products]
    assert titles.count(first.title.lower()) == 1
    assert len(titles) == len(before)
    assert "twin" not in ids(one.similar(first.product_id, limit=40))
    one.upsert([product(at, available=False)])
    assert "twin" in ids(one.recommend("v01", [], now=NOW, limit=33))


def test_popular_means_sold_in_the_last_four_weeks(tmp_path):
    def bought(product_id, days, n):
        moments = [NOW - timedelta(days=days, minutes=m) for m in range(n)]
        return [event(Purchase, product_id, at, f"{product_id}-{at.minute}") for at in moments]

    sold = [*bought("p04", 75, 30), *bought("p11", 2, 3)]
    history: dict[str, list] = {}
    for e in sold:
        history.setdefault(e.visitor_id, []).append(e)
    one = RecommendEngine.from_catalogue(catalogue(), history)
    assert ids(one.recommend(None, [], now=NOW, limit=3))[0] == "p11"
    assert "p04" not in ids(one.recommend(None, [], now=NOW, limit=3))

    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "popularity.json").write_text('{"p04": 3.4, "p11": 1.4}')
    stranger = RecommendEngine.load(tmp_path, catalogue=catalogue())
    assert "ranker" in stranger.missing
    assert ids(stranger.recommend(None, [], now=NOW, limit=3))[0] == "p04"
    (folder / "recent.json").write_text('{"p11": 1.4}')
    stranger = RecommendEngine.load(tmp_path, catalogue=catalogue())
    slate = stranger.recommend(None, [], now=NOW, limit=3)
    assert ids(slate)[0] == "p11"
    assert slate.products[0].origin == ("popularity",)


def test_a_table_of_another_engine_is_shared_and_answers_alike():
    goods = catalogue()
    table = FilterTable.from_products(reversed([goods.products[i] for i in goods.ids]))
    one = RecommendEngine.load(artefacts(), catalogue=goods, table=table)
    assert one.snapshot.table is table
    filters = Filters(price_max=250, brand=("Acme",))
    for more in ({}, {"filters": filters}):
        expected = engine().recommend("v01", [], now=NOW, **more)
        assert one.recommend("v01", [], now=NOW, **more) == expected
    one.upsert([product(1, available=False)])
    assert "p01" not in ids(one.recommend("v01", [], now=NOW, limit=33))
    assert table.row_of.keys() == set(goods.ids)
    assert table.alive.all()
    bare = RecommendEngine.from_catalogue(goods, table=table)
    assert bare.snapshot.table is table

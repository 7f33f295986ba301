"""What a commercial team decides, over HTTP: rules, sponsors, launches, segments, bundles."""

import itertools
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest

from components.contracts.launches import DemandRange, LaunchPlan, LaunchRequest, RampStage
from tests.service.commerce import write_commerce
from tests.service.conftest import END, write_release
from tests.service.test_api import ok


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop of its own, whose release has segments and bundles."""
    from bentos.shop import Shop
    from components.contracts.artefacts import Layout
    from components.contracts.params import Params
    from components.registry.store import Registry
    from components.state.store import Store

    layout = Layout(tmp_path_factory.mktemp("commerce"))
    write_release(layout.artefacts)
    write_commerce(layout)
    registry = Registry(layout.registry)
    made = registry.register(layout.artefacts, reports=layout.reports, params=Params())
    registry.promote(made.release_id, reason="first", by="test")
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db")
    opened = Shop(layout, store=store, follow=False)
    yield opened
    opened.close()


@pytest.fixture
def api(shop, monkeypatch):
    """An HTTP client in-process; what the test kept is taken away after it."""
    from fastapi.testclient import TestClient

    from bentos.api import create_app

    monkeypatch.setenv("SHELFWISE_AUTH", "off")
    client = TestClient(create_app(shop), raise_server_exceptions=False)
    yield client
    for campaign in shop.merchandising.state.campaigns():
        shop.merchandising.state.campaign_remove(campaign.campaign_id, by="test")
    for rule in shop.merchandising.state.rules():
        shop.merchandising.state.rule_remove(rule.rule_id, by="test")
    for launch in shop.merchandising.state.launches():
        shop.merchandising.stop(launch.plan.plan_id, "over", by="test")
    shop.merchandising.changed()


def search(api, query="cereal", **more):
    return ok(api.post("/v1/search", json={"query": query, "limit": 10, **more}))


def ids_of(answer):
    return [p["product_id"] for p in answer["products"]]


def campaign(product_ids, **more):
    return {
        "campaign_id": f"c-{uuid.uuid4().hex[:6]}",
        "name": "Spring",
        "product_ids": product_ids,
        "bid_minor": 30,
        "budget_minor": 1000,
        "starts_at": (END - timedelta(days=1)).isoformat(),
        "ends_at": (END + timedelta(days=300)).isoformat(),
        **more,
    }


def keep(api, made):
    return ok(api.put(f"/v1/campaigns/{made['campaign_id']}", json=made))


def sold_page(api, shop, **more):
    """Keep a campaign for a product that stands low in a search, paced by nothing."""
    shop.merchandising.policy = type(shop.merchandising.policy)(relevance_floor=0.0)
    low = ids_of(search(api))[3]  # the last of those that are relevant at all
    made = campaign([low], daily_budget_minor=1000, **more)
    keep(api, made)
    return made, low


def test_a_shop_without_anything_answers_as_before(api, shop):
    plain = search(api)
    assert plain["sponsored"] == []
    assert not any(p["sponsored"] for p in plain["products"])
    page = shop.merchandising.page(shop.current.champion, "search", None, (), shop.now())
    assert shop.merchandising.search_arrange(page) is None
    assert shop.merchandising.slate_rules(page) == []
    assert shop.merchandising.wanted(page) == set()


def test_a_sponsored_place_is_disclosed_charged_once_and_reported(api, shop):
    plain = ids_of(search(api))
    made, low = sold_page(api, shop)
    answer = search(api, visitor_id="ann")
    place = answer["sponsored"][0]
    assert place["product_id"] == low
    assert place["displaced_product_id"] == plain[place["rank"] - 1]
    assert place["ndcg_cost"] >= 0
    card = answer["products"][place["rank"] - 1]
    assert card["product_id"] == low
    assert card["sponsored"] is True
    assert card["origin"][0] == "sponsored"
    assert sum(p["sponsored"] for p in answer["products"]) == 1
    click = {"kind": "click", "event_id": uuid.uuid4().hex, "visitor_id": "ann",
             "product_id": low, "slate_id": answer["slate_id"]}  # fmt: skip
    for event_id in (click["event_id"], click["event_id"], uuid.uuid4().hex):
        ok(api.post("/v1/events", json={"events": [{**click, "event_id": event_id}]}))
    report = ok(api.get(f"/v1/campaigns/{made['campaign_id']}"))
    assert report["impressions"] == 1
    assert report["clicks"] == 1
    assert report["spent_minor"] == 1  # nobody bids against it: the reserve
    assert report["left_minor"] == 999
    assert search(api)["model_version"] == answer["model_version"]


def test_a_budget_is_never_overdrawn(api, shop):
    made, low = sold_page(api, shop)
    made |= {"budget_minor": 1, "bid_minor": 1, "daily_budget_minor": 1}
    keep(api, made)
    slates = [search(api, visitor_id=f"w{n}") for n in range(3)]
    for n, answer in enumerate(slates):
        event = {"kind": "click", "event_id": uuid.uuid4().hex, "visitor_id": f"w{n}",
                 "product_id": low, "slate_id": answer["slate_id"]}  # fmt: skip
        ok(api.post("/v1/events", json={"events": [event]}))
    report = ok(api.get(f"/v1/campaigns/{made['campaign_id']}"))
    assert report["spent_minor"] == 1
    assert report["clicks"] == report["unbilled_clicks"] + 1
    assert search(api)["sponsored"] == []


def test_pages_neither_repeat_nor_lose_a_product_beside_sponsors(api, shop):
    everything = ids_of(search(api, limit=40))
    sold_page(api, shop)
    first = search(api, limit=4)
    second = search(api, limit=4, cursor=first["cursor"])
    shown = ids_of(first) + ids_of(second)
    assert len(set(shown)) == 8
    assert set(shown) <= set(everything)
    assert second["sponsored"] == []


def test_sponsors_on_slates_are_disclosed_too(api, shop):
    sold_page(api, shop, surfaces=["home"])
    asked = {"visitor_id": "ann", "limit": 10, "surface": "home"}
    answer = ok(api.post("/v1/recommend", json=asked))
    paid = [p["product_id"] for p in answer["products"] if p["sponsored"]]
    assert paid == [s["product_id"] for s in answer["sponsored"]]
    assert len(paid) == 1
    assert [p["rank"] for p in answer["products"]] == list(range(1, 11))


@pytest.mark.parametrize("audience", [{"segments": ["Dairy"]}, {"visitor_ids": ["ann"]}])
def test_a_campaign_reaches_its_audience_alone(api, shop, audience):
    sold_page(api, shop, audience=audience)
    assert search(api, visitor_id="ann")["sponsored"]
    assert not search(api, visitor_id="bob")["sponsored"]
    assert not search(api)["sponsored"]


def rule(kind, product_ids, **more):
    return {"rule_id": f"r-{uuid.uuid4().hex[:6]}", "kind": kind, "product_ids": product_ids,
            **more}  # fmt: skip


def put(api, made):
    ok(api.put(f"/v1/rules/{made['rule_id']}", json=made))
    return made


def test_rules_act_on_searches_and_slates_and_are_audited(api):
    before = ids_of(search(api))
    put(api, rule("pin", [before[-1]], rank=1, surfaces=["search"]))
    put(api, rule("exclude", [before[1]]))
    put(api, rule("bury", [before[0]]))
    after = ids_of(search(api))
    assert after[0] == before[-1]
    assert before[1] not in after
    assert after[-1] == before[0]
    slate = ok(api.post("/v1/recommend", json={"limit": 39}))
    assert before[1] not in ids_of(slate)
    assert ids_of(slate)[-1] == before[0]
    kept = ok(api.get("/v1/rules"))
    assert len(kept["holding"]) == 3
    assert {a["action"] for a in kept["audit"]} >= {"rule put"}


def test_priority_dates_and_pauses_decide(api):
    before = ids_of(search(api))
    weak = put(api, rule("exclude", [before[0]], priority=1))
    put(api, rule("pin", [before[0]], rank=3, priority=5))
    assert ids_of(search(api))[2] == before[0]
    put(api, rule("exclude", [before[1]], starts_at=(END + timedelta(days=900)).isoformat()))
    put(api, rule("exclude", [before[2]], is_paused=True))
    assert {before[1], before[2]} <= set(ids_of(search(api)))
    assert weak["rule_id"] in ok(api.get("/v1/rules"))["holding"]


def test_a_preview_says_what_would_change_and_changes_nothing(api):
    before = ids_of(search(api))
    draft = rule("exclude", [before[0]])
    body = {"rules": [draft], "queries": ["cereal"], "limit": 10}
    made = ok(api.post("/v1/rules/preview", json=body))
    one = next(x for x in made["lists"] if x["surface"] == "search")
    assert [p["product_id"] for p in one["before"]] == before
    assert one["left"] == [before[0]]
    assert one["relevance_kept"] < 1
    assert made["changed"] >= 1
    assert ids_of(search(api)) == before
    put(api, draft)
    assert ids_of(search(api)) == [p["product_id"] for p in one["after"]][: len(before)]


def test_a_rule_about_unknown_products_is_refused(api):
    made = rule("pin", ["nowhere"])
    assert api.put(f"/v1/rules/{made['rule_id']}", json=made).status_code == 404
    assert api.put("/v1/rules/other", json=rule("pin", ["p00"])).status_code == 422
    assert api.delete("/v1/rules/none").status_code == 404


def plan_for(shop, product_id, visitors, *, cap=0.5):
    members = [{"visitor_id": v, "score": 1.0, "buys": 0.0} for v in visitors]
    return LaunchPlan(
        plan_id=f"l-{uuid.uuid4().hex[:6]}",
        product_id=product_id,
        title="New",
        week=1,
        request=LaunchRequest(product_id=product_id, regret_cap=cap, floor=1),
        demand=DemandRange(low=1, middle=2.0, high=4, horizon_weeks=13, coverage=0.8),
        audience=members,
        preheat=(),
        partners=(),
        stages=(RampStage(chance=1.0, exposures=10),),
        expected_rate=0.02,
        flop_rate=0.008,
    ).model_dump(mode="json")


def test_a_launch_is_shown_to_its_audience_until_its_cap(api, shop):
    asked = {"limit": 10, "surface": "home"}
    natural = ids_of(ok(api.post("/v1/recommend", json={**asked, "visitor_id": "zoe"})))
    new = next(p for p in (f"p{n:02d}" for n in range(39)) if p not in natural)
    plan = plan_for(shop, new, ["zoe"], cap=0.03)
    ok(api.post("/v1/launches", json=plan))
    answer = ok(api.post("/v1/recommend", json={**asked, "visitor_id": "zoe"}))
    assert ids_of(answer)[3] == new
    assert answer["products"][3]["origin"][0] == "launch"
    other = ok(api.post("/v1/recommend", json={**asked, "visitor_id": "yan"}))
    assert new not in ids_of(other)
    for _ in range(40):
        ok(api.post("/v1/recommend", json={**asked, "visitor_id": "zoe"}))
    status = ok(api.get("/v1/launches"))["launches"][0]
    assert status["exposures"] >= 1
    assert status["regret"] <= 0.03
    after = ok(api.post("/v1/recommend", json={**asked, "visitor_id": "zoe"}))
    assert new not in ids_of(after)


def test_what_a_launch_sells_is_credited_once(api, shop):
    asked = {"limit": 10, "surface": "home", "visitor_id": "kim"}
    natural = ids_of(ok(api.post("/v1/recommend", json=asked)))
    new = next(p for p in (f"p{n:02d}" for n in range(39)) if p not in natural)
    ok(api.post("/v1/launches", json=plan_for(shop, new, ["kim"], cap=5.0)))
    answer = ok(api.post("/v1/recommend", json=asked))
    for kind in ("click", "click", "basket_add", "purchase"):
        event = {"kind": kind, "event_id": uuid.uuid4().hex, "visitor_id": "kim",
                 "product_id": new, "slate_id": answer["slate_id"]}  # fmt: skip
        ok(api.post("/v1/events", json={"events": [event]}))
    status = ok(api.get("/v1/launches"))["launches"][0]
    assert status["credited"] == pytest.approx(1.0)
    assert status["successes"] == 1
    stopped = ok(
        api.post(f"/v1/launches/{status['plan']['plan_id']}/stop", json={"reason": "enough"})
    )
    assert (stopped["state"], stopped["reason"]) == ("stopped", "enough")
    assert api.post("/v1/launches/none/stop", json={}).status_code == 404


def test_a_plan_leans_on_launches_that_read_alike(api):
    plan = ok(api.post("/v1/launches/plan", json={"product_id": "p36", "horizon_weeks": 4}))
    assert plan["product_id"] == "p36"
    assert plan["demand"]["low"] <= plan["demand"]["middle"] <= plan["demand"]["high"]
    assert plan["demand"]["comparables"]
    assert [s["exposures"] for s in plan["stages"]] == [100, 300, 900]
    assert plan["notes"]  # no household is known here, and too few launches for a range
    assert ok(api.get("/v1/launches"))["launches"] == [] or plan["plan_id"] not in str(
        ok(api.get("/v1/launches"))
    )
    assert api.post("/v1/launches/plan", json={"product_id": "none"}).status_code == 404


def test_segments_are_told_exported_and_used_in_popularity(api):
    found = ok(api.get("/v1/segments"))["segments"]
    assert [s["name"] for s in found] == ["Dairy", "Tea and coffee"]
    members = ok(api.get("/v1/segments/1/visitors"))
    assert members["visitors"] == ["bob"]
    assert api.get("/v1/segments/9/visitors").status_code == 404
    asked = {"visitor_id": "bob", "surface": "popular", "limit": 2}
    answer = ok(api.post("/v1/recommend", json=asked))
    assert ids_of(answer) == ["p05", "p04"]
    assert answer["products"][0]["reasons"][0]["text"].endswith("Tea and coffee")
    stranger = ok(api.post("/v1/recommend", json={"surface": "popular", "limit": 2}))
    assert ids_of(stranger) != ["p05", "p04"] or "segment" not in stranger["products"][0]["origin"]


def test_goes_with_and_a_filled_basket(api):
    found = ok(api.get("/v1/products/p00/goes-with"))
    assert [c["product_id"] for c in found["goes_with"]] == ["p04", "p06"]
    assert ok(api.get("/v1/products/p01/goes-with"))["goes_with"] == []
    body = {"budget_minor": 1500, "must": ["p03"], "lines": 5}
    made = ok(api.post("/v1/basket/fill", json=body))
    assert made["is_optimal"]
    assert made["cost_minor"] <= 1500
    assert "p03" in [p["product_id"] for p in made["products"]]
    assert made["cost_minor"] == sum(p["price_minor"] for p in made["products"])
    assert "p39" not in [p["product_id"] for p in made["products"]]
    tight = ok(api.post("/v1/basket/fill", json={"budget_minor": 5}))
    assert tight["products"] == []
    assert tight["reason"]
    breakfast = ok(
        api.post("/v1/basket/fill", json={"budget_minor": 2000, "occasion": "cereal and milk"})
    )
    assert breakfast["products"]


def test_the_command_fills_a_basket_by_the_service(api, monkeypatch):
    import httpx
    from typer.testing import CliRunner

    from components.merchandise.commands import app

    def through(url, *, json, headers, timeout):
        return api.post(url.removeprefix("http://shop"), json=json, headers=headers)

    monkeypatch.setenv("SHELFWISE_API_URL", "http://shop")
    monkeypatch.setattr(httpx, "post", through)
    made = CliRunner().invoke(app, ["fill", "1500", "--lines", "3"], env={"COLUMNS": "200"})
    assert made.exit_code == 0, made.output
    told = ok(api.post("/v1/basket/fill", json={"budget_minor": 1500, "lines": 3}))
    assert all(p["product_id"] in made.output for p in told["products"])
    assert f"{told['cost_minor'] / 100:.2f} of 15.00, the best there is" in made.output
    assert "empty: " in CliRunner().invoke(app, ["fill", "5"]).output
    refused = CliRunner().invoke(app, ["allocate"])
    assert "no model of redemptions" in str(refused.exception)


def test_the_feed_shows_what_others_say_and_names_nobody(api, shop):
    found = ok(api.get("/v1/feed", params={"visitor_id": "zoe"}))["reviews"]
    assert {r["product_id"] for r in found} == {"p08", "p10", "p02"}  # p39 is not sold
    assert "order ten" not in str(found)
    assert not {"ann", "bob", "cat"} & {str(v) for r in found for v in r.values()}
    assert all(r["title"] and r["text"] for r in found)
    mine = ok(api.get("/v1/feed", params={"visitor_id": "ann"}))["reviews"]
    assert "p08" not in {r["product_id"] for r in mine}  # one's own words are no news
    put(api, rule("exclude", ["p10"]))
    left = ok(api.get("/v1/feed", params={"visitor_id": "zoe", "limit": 1}))["reviews"]
    assert len(left) == 1
    assert left[0]["product_id"] in {"p08", "p02"}


def test_the_assistant_says_what_buyers_say(api):
    answer = turn(api, "show me milk")
    assert "p08" in ids_of(answer)
    number = ids_of(answer).index("p08")
    names = ("first", "second", "third", "fourth", "fifth")
    visitor = answer["request_id"]
    turn(api, "show me milk", visitor=visitor)
    told = turn(api, f"what do buyers say about the {names[number]} one?", visitor=visitor)
    assert told["commands"][0]["type"] == "reviews_summary"
    assert "Fresh every time" in told["reply"]


def test_forgetting_takes_a_review_out_of_the_feed(api, shop):
    asked = {"visitor_id": "zoe"}
    author = "cat"
    before = {r["product_id"] for r in ok(api.get("/v1/feed", params=asked))["reviews"]}
    ok(api.delete(f"/v1/visitors/{author}"))
    after = {r["product_id"] for r in ok(api.get("/v1/feed", params=asked))["reviews"]}
    assert before - after == {"p02"}


def test_without_a_model_offers_are_not_allotted(api):
    refused = api.post("/v1/promotions/allocate", json={})
    assert refused.status_code == 503
    assert "model of redemptions" in refused.json()["detail"]
    assert api.post("/v1/promotions/allocate", json={"budget_minor": -1}).status_code == 422


@pytest.mark.parametrize(
    "caps",
    [
        {},
        {"budget_minor": 3},
        {"max_per_offer": 2},
        {"max_per_visitor": 1, "budget_minor": 5},
        {"max_in_fatigue": 0},
        {"goal": "redemptions", "budget_minor": 4, "max_per_offer": 3},
    ],
)
def test_offers_are_allotted_as_well_as_brute_force_under_caps(api, shop, monkeypatch, caps):
    names = ("v1", "v2", "v3", "v4", "v5")
    chances = {v: {"o1": (0.1, 0.08), "o2": (0.05 * n, 0.01 * (7 - n))}
               for n, v in enumerate(names, start=1)}  # fmt: skip

    def scores(engines, visitor, recent, promotion_ids, now):
        return {p: chances[visitor][p] for p in promotion_ids}

    engines = shop.current.champion
    monkeypatch.setitem(engines.extras, "merchandise", SimpleNamespace(offers=object()))
    monkeypatch.setattr(engines.recommend, "history_store", SimpleNamespace(visitor_ids=names))
    monkeypatch.setattr(shop.merchandising, "offer_scores", scores)
    made = ok(api.post("/v1/promotions/allocate", json=caps))
    price = engines.catalogue.get("p05").price_minor
    pairs = [("v1", "o1", *chances["v1"]["o1"], 0.1 * 0.1 * price)]  # meant for him alone
    pairs += [(v, "o2", *chances[v]["o2"], chances[v]["o2"][0] * 20) for v in names]
    worth = 2 if caps.get("goal") == "redemptions" else 3

    def is_allowed(chosen):
        visitors, offers = [p[0] for p in chosen], [p[1] for p in chosen]
        fresh = caps.get("max_in_fatigue", 6)
        room = dict.fromkeys(names, min(caps.get("max_per_visitor", 3), fresh))
        room["v1"] = min(caps.get("max_per_visitor", 3), fresh - 1)  # o1's campaign reached him
        return (
            sum(p[4] for p in chosen) <= caps.get("budget_minor", 1e9) + 1e-9
            and all(visitors.count(v) <= max(0, room[v]) for v in names)
            and all(offers.count(o) <= caps.get("max_per_offer", 99) for o in offers)
        )

    subsets = (c for n in range(len(pairs) + 1) for c in itertools.combinations(pairs, n))
    best = max(sum(p[worth] for p in c) for c in subsets if is_allowed(c))
    found = [(a["visitor_id"], a["promotion_id"]) for a in made["allotments"]]
    chosen = [p for p in pairs if p[:2] in found]
    assert len(found) == len(set(found)) == len(chosen)
    assert is_allowed(chosen)
    assert sum(p[worth] for p in chosen) == pytest.approx(best, rel=1e-3)
    assert made["pairs_considered"] == len(pairs)
    assert made["expected_cost_minor"] == pytest.approx(sum(p[4] for p in chosen))
    assert made["expected_redemptions"] == pytest.approx(sum(p[2] for p in chosen))


def test_forgetting_takes_a_visitor_out_of_audiences(api, shop):
    name = f"gone-{uuid.uuid4().hex[:6]}"
    put(api, rule("bury", ["p00"], audience={"visitor_ids": [name]}))
    keep(api, campaign(["p01"], audience={"visitor_ids": [name]}))
    ok(api.post("/v1/launches", json=plan_for(shop, "p02", [name])))
    ok(api.delete(f"/v1/visitors/{name}"))
    state = shop.merchandising.state
    kept = [*state.campaigns(), *state.rules(), *state.launches()]
    assert not any(name in one.model_dump_json() for one in kept)
    assert all(r.audience.visitor_ids for r in state.rules())  # not everybody's now


def test_a_visitors_key_manages_nothing(shop, monkeypatch):
    from fastapi.testclient import TestClient

    from bentos.api import create_app

    monkeypatch.setenv("SHELFWISE_AUTH", "on")
    secret = shop.store.key_add("phone", ("read", "ops"), visitor_id="ann")
    client = TestClient(create_app(shop), headers={"Authorization": f"Bearer {secret}"})
    for path in ("campaigns", "rules", "segments", "launches"):
        assert client.get(f"/v1/{path}").status_code == 403
    assert client.get("/v1/products/p00/goes-with").status_code == 200


def turn(api, message, visitor=None, **more):
    visitor = visitor or f"t{uuid.uuid4().hex[:6]}"
    body = {"session_id": visitor, "visitor_id": visitor, "message": message, **more}
    return ok(api.post("/v1/assistant/turn", json=body))


@pytest.mark.parametrize("words", ["show me cereal", "recommend me some cereal"])
def test_a_paid_place_in_the_assistants_list_is_disclosed_and_charged_once(api, shop, words):
    plain = turn(api, words)
    assert plain["sponsored"] == []
    assert plain["slate_id"] is None
    made, _ = sold_page(api, shop)
    low = ids_of(plain)[4]
    keep(api, {**made, "product_ids": [low]})
    asked = {"visitor": f"t{uuid.uuid4().hex[:6]}", "request_id": uuid.uuid4().hex}
    answer = turn(api, words, **asked)
    assert turn(api, words, **asked) == answer  # the same request is neither done nor sold again
    place = answer["sponsored"][0]
    card = answer["products"][place["rank"] - 1]
    assert place["rank"] == 2
    assert card["product_id"] == place["product_id"] == low
    assert card["sponsored"] is True
    assert card["origin"][0] == "sponsored"
    assert "(sponsored)" in answer["reply"]
    assert sum(p["sponsored"] for p in answer["products"]) == 1
    assert sorted(ids_of(answer)) == sorted(ids_of(plain))
    why = turn(api, "why the second one?", visitor=asked["visitor"])
    assert "paid for" in why["reply"]
    for event_id in ("c1", "c2"):
        event = {"kind": "click", "event_id": f"{event_id}-{answer['slate_id']}", "visitor_id": "x",
                 "product_id": low, "slate_id": answer["slate_id"]}  # fmt: skip
        ok(api.post("/v1/events", json={"events": [event]}))
    report = ok(api.get(f"/v1/campaigns/{made['campaign_id']}"))
    assert (report["impressions"], report["clicks"], report["spent_minor"]) == (1, 1, 1)


def test_no_place_is_sold_in_a_list_ordered_by_price(api, shop):
    plain = ids_of(turn(api, "cheapest cereal first"))
    made, _ = sold_page(api, shop)
    keep(api, {**made, "product_ids": [plain[4]]})
    assert ids_of(turn(api, "cheapest cereal first")) == plain


def test_the_shops_rules_act_in_the_assistants_lists(api):
    before = ids_of(turn(api, "show me cereal"))
    put(api, rule("exclude", [before[0]]))
    put(api, rule("bury", [before[1]]))
    put(api, rule("pin", [before[5]], rank=1, queries=["cereal"]))
    put(api, rule("pin", ["p05"], rank=2))  # tea: no answer to this question
    answer = turn(api, "show me cereal")
    after = ids_of(answer)
    assert after[0] == before[5]
    assert before[0] not in after
    assert before[1] not in after[:6]
    assert "p05" not in after
    assert answer["sponsored"] == []
    alike = turn(api, "something similar to the first one")
    assert before[0] not in ids_of(alike)


COUPONS = [
    "Which of my coupons fit this basket?",
    "what would I save?",
    "我的哪些优惠券可以用在这个购物车？",
    "我能省多少钱？",
    "购物车里的东西有优惠吗",
]


@pytest.mark.parametrize("words", COUPONS)
def test_the_assistant_says_which_offers_fit_the_basket(api, words):
    visitor = f"b{uuid.uuid4().hex[:6]}"

    def turn(message):
        body = {"session_id": visitor, "visitor_id": visitor, "message": message}
        return ok(api.post("/v1/assistant/turn", json=body))

    assert "$" not in turn(words)["reply"]  # nothing in the basket, nothing promised
    for product_id in ("p00", "p03"):
        ok(
            api.put(
                f"/v1/visitors/{visitor}/basket", json={"product_id": product_id, "quantity": 2}
            )
        )
    answer = turn(words)
    assert answer["commands"][0]["type"] == "promotions"
    assert "Milk for all" in answer["reply"]
    assert any(c["value"] == 20 for c in answer["claims"])  # twenty cents off the milk's line


def replayed(shop, answer):
    from components.stages.replay import replay

    assert shop.journal.flush()
    return replay(answer["request_id"], shop.layout, store=shop.store)


def without_hand(shop, answer, monkeypatch):
    """Replay an answer as if what the shop did to it had not been logged."""
    logged = shop.store.response(answer["request_id"])
    assert logged["request"].pop("hand")
    with monkeypatch.context() as patched:
        patched.setattr(shop.store, "response", lambda request_id: logged)
        return replayed(shop, answer)


def test_what_rules_sponsors_and_launches_did_is_replayed(api, shop, monkeypatch):
    before = ids_of(search(api))
    asked = {"visitor_id": "zoe", "limit": 10, "surface": "home"}
    natural = ids_of(ok(api.post("/v1/recommend", json=asked)))
    new = next(p for p in (f"p{n:02d}" for n in range(39)) if p not in (*natural, *before))
    sold_page(api, shop)
    sold_page(api, shop, surfaces=["home"])
    put(api, rule("pin", [before[-1]], rank=1, surfaces=["search"]))
    put(api, rule("exclude", [before[1]]))
    put(api, rule("bury", [natural[0], new]))
    ok(api.post("/v1/launches", json=plan_for(shop, new, ["zoe"])))
    talk = {"session_id": uuid.uuid4().hex, "visitor_id": "zoe"}
    answers = {
        "search": search(api, visitor_id="zoe", limit=5),
        "recommend": ok(api.post("/v1/recommend", json=asked)),
        "turn": ok(api.post("/v1/assistant/turn", json={**talk, "message": "show me cereal"})),
    }
    assert answers["search"]["sponsored"]
    assert {"sponsored", "launch"} <= {p["origin"][0] for p in answers["recommend"]["products"]}
    # What is in force now is not what was then.
    for kept in shop.merchandising.state.rules():
        shop.merchandising.state.rule_remove(kept.rule_id, by="test")
    shop.merchandising.changed()
    for name, answer in answers.items():
        assert replayed(shop, answer).fields == (), (name, replayed(shop, answer).fields)
        assert without_hand(shop, answer, monkeypatch).fields, name

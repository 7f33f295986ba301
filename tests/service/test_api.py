# ruff: noqa: E501
"""The endpoints in-process, over a small real release."""

import json
import threading
import uuid

import pytest
from fastapi.testclient import TestClient

from bentos.api import _turn_events, create_app, pieces
from components.contracts.messages import TurnRequest
from tests.service.conftest import END, HOSTILE


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def fresh(name="v"):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def test_search_says_what_it_understood_and_pages(api):
    body = {"query": "cereal under $8", "limit": 3, "visitor_id": "v1"}
    first = ok(api.post("/v1/search", json=body))
    assert first["understood"]["price_max"] is not None
    assert first["products"]
    assert all(p["price_minor"] <= 800 for p in first["products"])
    assert {"request_id", "slate_id", "model_version", "degraded"} <= set(first)
    second = ok(api.post("/v1/search", json={**body, "cursor": first["cursor"]}))
    shown = [p["product_id"] for p in first["products"] + second["products"]]
    assert len(shown) == len(set(shown)) > 3
    assert [p["rank"] for p in first["products"]] == [1, 2, 3]


def test_suggest_completes(api):
    found = ok(api.post("/v1/suggest", json={"prefix": "cof"}))["suggestions"]
    assert any("coffee" in one["text"].lower() for one in found)


def test_suggestions_are_personal_and_private(api, shop):
    mine, other = fresh(), fresh()
    ok(api.post("/v1/search", json={"query": "Coffee for my aunt", "visitor_id": mine}))
    assert shop.journal.flush()

    def texts(visitor_id):
        asked = {"prefix": "cof", "visitor_id": visitor_id}
        return [s["text"] for s in ok(api.post("/v1/suggest", json=asked))["suggestions"]]

    assert texts(mine)[0] == "coffee for my aunt"
    assert "coffee for my aunt" not in texts(other) + texts(None)
    ok(api.delete(f"/v1/visitors/{mine}"))
    assert "coffee for my aunt" not in texts(mine)


def test_search_analytics_and_an_approved_synonym(api, shop):
    private = f"secret {uuid.uuid4().hex[:8]}"
    people = [fresh() for _ in range(5)]
    for visitor_id in people:
        ok(api.post("/v1/search", json={"query": "brekkie flakes", "visitor_id": visitor_id}))
        found = ok(api.post("/v1/search", json={"query": "cereal", "visitor_id": visitor_id}))
        click = {"event_id": fresh("e"), "kind": "click", "visitor_id": visitor_id,
                 "slate_id": found["slate_id"], "product_id": found["products"][1]["product_id"]}  # fmt: skip
        ok(api.post("/v1/events", json={"events": [click]}))
    ok(api.post("/v1/search", json={"query": private, "visitor_id": people[0]}))
    assert shop.journal.flush()
    got = ok(api.get("/v1/operations/searches?limit=100"))
    assert ["brekkie flakes", 5] in got["top"]
    assert ["brekkie flakes", 5] in got["empty"]
    assert [2, 5] in got["clicks_by_rank"]
    assert ["brekkie flakes", "cereal", 5] in got["rewordings"]
    assert {"term": "brekkie flake", "other": "cereal", "visitors": 5} in got["proposals"]
    assert private not in json.dumps(got)
    assert got["hidden_queries"] >= 1
    assert ok(api.post("/v1/search", json={"query": "brekkie flakes"}))["total"] == 0
    pair = {"term": "brekkie flakes", "other": "cereal"}
    ok(api.put("/v1/operations/synonyms", json={**pair, "approved": True}))
    found = ok(api.post("/v1/search", json={"query": "brekkie flakes"}))
    assert found["total"] > 0
    assert all("cereal" in p["title"].lower() for p in found["products"])
    got = ok(api.get("/v1/operations/searches?limit=100"))
    assert got["synonyms"] == {"brekkie flake": ["cereal"]}
    assert "brekkie flake" not in {p["term"] for p in got["proposals"]}
    ok(api.put("/v1/operations/synonyms", json={**pair, "approved": False}))
    assert ok(api.post("/v1/search", json={"query": "brekkie flakes"}))["total"] == 0
    assert (
        api.put(
            "/v1/operations/synonyms", json={"term": "a!", "other": "a", "approved": True}
        ).status_code
        == 422
    )


def test_an_event_changes_the_next_answer(api):
    visitor_id = fresh()
    ask = {"visitor_id": visitor_id, "limit": 8}
    before = ok(api.post("/v1/recommend", json=ask))
    event = {"event_id": fresh("e"), "kind": "click", "visitor_id": visitor_id, "product_id": "p12"}
    assert ok(api.post("/v1/events", json={"events": [event]}))["accepted"] == 1
    after = ok(api.post("/v1/recommend", json=ask))
    assert [p["product_id"] for p in before["products"]] != [
        p["product_id"] for p in after["products"]
    ]
    told = ok(api.post("/v1/recommend", json={"recent": [{"kind": "click", "product_id": "p12"}]}))
    assert told["products"]


def test_similar_explain_and_ratings(api):
    assert ok(api.post("/v1/similar", json={"product_id": "p00", "limit": 4}))["products"]
    explained = ok(api.post("/v1/explain", json={"product_id": "p00", "visitor_id": "v1"}))
    assert explained["product_id"] == "p00"
    rating = ok(api.post("/v1/ratings/predict", json={"product_id": "p00", "visitor_id": "v1"}))
    assert 1 <= rating["rating"] <= 5


def test_a_posted_product_is_searchable_and_rankable_at_once(api, shop):
    product = {"product_id": fresh("new"), "title": "Quokka biscuits", "price_minor": 321,
               "category": ["Snacks", "Biscuits"]}  # fmt: skip
    assert ok(api.post("/v1/products", json={"products": [product]}))["accepted"] == 1
    found = ok(api.post("/v1/search", json={"query": "quokka biscuits"}))["products"]
    assert found[0]["product_id"] == product["product_id"]
    assert ok(api.get(f"/v1/products/{product['product_id']}"))["price_minor"] == 321
    assert ok(api.post("/v1/similar", json={"product_id": product["product_id"]}))["products"]
    product["price_minor"] = 123
    ok(api.post("/v1/products", json={"products": [product]}))
    found = ok(api.post("/v1/search", json={"query": "quokka biscuits"}))["products"]
    assert found[0]["price_minor"] == 123
    kept = {p.product_id: p.price_minor for p in shop.store.products()}
    assert kept[product["product_id"]] == 123


def test_offers_reach_those_they_are_for(api):
    def offers(visitor_id):
        return {
            o["promotion_id"]
            for o in ok(api.get(f"/v1/promotions?visitor_id={visitor_id}"))["promotions"]
        }

    assert offers("v1") == {"o1", "o2"}
    assert offers("v2") == {"o2"}
    assert {o["promotion_id"] for o in ok(api.get("/v1/promotions"))["promotions"]} == {"o2"}


def test_events_are_checked_one_by_one_and_kept_once(api, shop):
    visitor_id = fresh()
    good = {"event_id": fresh("e"), "kind": "click", "visitor_id": visitor_id, "product_id": "p01"}
    events = [
        good,
        good,
        {**good, "event_id": fresh("e"), "kind": "stolen"},
        {k: v for k, v in good.items() if k != "event_id"},
        {**good, "event_id": fresh("e"), "at": "2999-01-01T00:00:00Z"},
        {**good, "event_id": fresh("e"), "quantity": 3},
    ]
    answer = ok(api.post("/v1/events", json={"events": events}))
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert [r["index"] for r in answer["rejected"]] == [2, 3, 4, 5]
    assert all(r["reason"] for r in answer["rejected"])
    kept = [e for e in shop.store.visitor_events(visitor_id) if e.kind == "click"]
    assert len(kept) == 1
    assert abs((kept[0].at - END).days) < 2  # stamped in the shop's time


def test_todays_events_are_moved_to_the_shops_time(api, shop):
    from datetime import UTC, datetime

    visitor_id = fresh()
    event = {"event_id": fresh("e"), "kind": "purchase", "visitor_id": visitor_id,
             "product_id": "p01", "at": datetime.now(UTC).isoformat()}  # fmt: skip
    assert ok(api.post("/v1/events", json={"events": [event]}))["accepted"] == 1
    assert abs((shop.store.visitor_events(visitor_id)[0].at - END).days) < 2
    old = {**event, "event_id": fresh("e"), "at": "2017-06-01T00:00:00Z"}
    ok(api.post("/v1/events", json={"events": [old]}))
    assert shop.store.visitor_events(visitor_id)[0].at.year == 2017


def test_basket_is_set_counted_and_an_event(api, shop):
    visitor_id = fresh()
    at = f"/v1/visitors/{visitor_id}/basket"
    ok(api.put(at, json={"product_id": "p00", "quantity": 2}))
    held = ok(api.put(at, json={"product_id": "p01", "variant_id": "p01-a", "quantity": 1}))
    prices = {i["product_id"]: i["price_minor"] for i in held["items"]}
    assert held["total_minor"] == 2 * prices["p00"] + prices["p01"]
    assert (
        ok(api.put(at, json={"product_id": "p00", "quantity": 0}))["items"][0]["product_id"]
        == "p01"
    )
    kinds = [e.kind for e in shop.store.visitor_events(visitor_id)]
    assert kinds == ["basket_add", "basket_add", "basket_remove"]
    assert api.put(at, json={"product_id": "nope", "quantity": 1}).status_code == 404
    assert (
        api.put(at, json={"product_id": "p00", "variant_id": "x", "quantity": 1}).status_code == 404
    )
    assert ok(api.delete(at))["items"] == []


def test_a_turn_answers_from_the_shelf_and_a_retry_changes_nothing(api, shop):
    visitor_id, session_id = fresh(), fresh("s")

    def turn(message, **more):
        body = {"session_id": session_id, "visitor_id": visitor_id, "message": message, **more}
        return ok(api.post("/v1/assistant/turn", json=body))

    first = turn("coffee")
    assert first["products"]
    assert "coffee" in first["products"][0]["title"].lower()
    added = turn("add the first one", request_id="r-1")
    again = turn("add the first one", request_id="r-1")
    assert added["reply"] == again["reply"]
    assert [line.quantity for line in shop.store.basket(visitor_id)] == [1]


def test_streaming_gives_the_same_reply_in_pieces(api):
    body = {"session_id": fresh("s"), "visitor_id": fresh(), "message": "coffee"}
    with api.stream("POST", "/v1/assistant/turn/stream", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    kinds = [lines[0].removeprefix("event: ") for lines in events]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "turn"
    assert (
        "".join(d["text"] for k, d in zip(kinds, data, strict=True) if k == "words")
        == data[-1]["reply"]
    )


def test_words_are_streamed_before_the_turn_is_written_down(shop, monkeypatch):
    heard, log = threading.Event(), shop._log

    def log_later(*args, **kwargs):
        assert heard.wait(30)
        log(*args, **kwargs)

    monkeypatch.setattr(shop, "_log", log_later)
    body = TurnRequest(session_id=fresh("s"), visitor_id=fresh(), message="coffee")
    events = _turn_events(shop, body)
    assert next(events).startswith("event: start")
    assert next(events).startswith("event: words")
    heard.set()
    assert [e.split("\n")[0] for e in events][-1] == "event: turn"


def test_a_streamed_turn_asked_again_says_the_same(shop):
    body = TurnRequest(
        session_id=fresh("s"), visitor_id=fresh(), message="coffee", request_id="r-1"
    )
    first, again = list(_turn_events(shop, body)), list(_turn_events(shop, body))
    assert first == again
    assert any(event.startswith("event: words") for event in again)


@pytest.mark.parametrize(
    "text", ["", "a", "a b", "  two  spaces ", "x" * 200, "牛奶" * 60, "a\nb c"]
)
def test_pieces_join_to_the_text(text):
    assert "".join(pieces(text)) == text


def test_everything_kept_is_shown_and_then_forgotten(api, shop):
    visitor_id = fresh()
    ok(api.put(f"/v1/visitors/{visitor_id}/basket", json={"product_id": "p00", "quantity": 2}))
    ok(api.put(f"/v1/visitors/{visitor_id}/preferences", json={"name": "diet", "value": "vegan"}))
    ok(api.post("/v1/search", json={"query": "milk", "visitor_id": visitor_id}))
    ok(
        api.post(
            "/v1/assistant/turn",
            json={"session_id": "s", "visitor_id": visitor_id, "message": "tea"},
        )
    )
    kept = ok(api.get(f"/v1/visitors/{visitor_id}"))
    assert kept["preferences"] == {"diet": "vegan"}
    assert kept["basket"]
    assert kept["responses"]
    assert kept["sessions"]
    receipt = ok(api.delete(f"/v1/visitors/{visitor_id}"))
    assert receipt["removed"]["events"] >= 3
    kept = ok(api.get(f"/v1/visitors/{visitor_id}"))
    assert not any(
        kept[name] for name in ("events", "basket", "preferences", "responses", "sessions")
    )
    assert visitor_id not in str(shop.store.audits())


def test_answers_are_logged_with_what_a_replay_needs(api, shop):
    visitor_id = fresh()
    event = {"event_id": fresh("e"), "kind": "click", "visitor_id": visitor_id, "product_id": "p12"}
    ok(api.post("/v1/events", json={"events": [event]}))
    answer = ok(api.post("/v1/recommend", json={"visitor_id": visitor_id, "limit": 5}))
    assert shop.journal.flush()
    served = shop.store.response(answer["request_id"])
    assert served is not None
    assert served["response"] == answer
    assert served["recent"] == [event["event_id"]]
    assert served["model_version"] == answer["model_version"]
    assert served["request"]["limit"] == 5
    slates = [e for e in shop.store.visitor_events(visitor_id) if e.kind == "slate_shown"]
    assert [i.product_id for i in slates[0].impressions] == [
        p["product_id"] for p in answer["products"]
    ]
    assert [i.propensity for i in slates[0].impressions] == [1.0] * len(answer["products"])


def test_explored_places_are_logged_with_their_chance(api, shop, monkeypatch):
    monkeypatch.setattr(shop, "params", shop.params.model_copy(update={"exploration": 0.5}))
    chances = []
    for _ in range(12):
        visitor_id = fresh()
        ok(api.post("/v1/recommend", json={"visitor_id": visitor_id, "limit": 6}))
        assert shop.journal.flush()
        (slate,) = [e for e in shop.store.visitor_events(visitor_id) if e.kind == "slate_shown"]
        chances += [i.propensity for i in slate.impressions]
    assert all(0 < chance <= 1 for chance in chances)
    assert 1.0 in chances
    assert min(chances) < 1.0


def test_operations_and_reports(api, shop):
    found = ok(api.get("/v1/operations"))
    assert found["champion"]["release_id"] == shop.current.champion.release_id
    assert found["advice"]
    shop.layout.reports.mkdir(exist_ok=True)
    (shop.layout.reports / "page.html").write_text("<p>hello")
    answer = api.get("/v1/operations/reports/page.html")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in ("..%2F..%2Fparams.yaml", "%2e%2e%2fchampion.json", "nothing.html", "a.py"):
        assert api.get(f"/v1/operations/reports/{name}").status_code == 404


def test_logged_answers_are_rebuilt_from_their_release(api, shop):
    from components.stages.replay import replay

    visitor_id, session_id = fresh(), fresh("s")
    event = {"event_id": fresh("e"), "kind": "click", "visitor_id": visitor_id, "product_id": "p12"}
    ok(api.post("/v1/events", json={"events": [event]}))
    talk = {"session_id": session_id, "visitor_id": visitor_id}
    asked = [
        ("/v1/search", {"query": "cereal under $8", "visitor_id": visitor_id, "limit": 5}),
        ("/v1/recommend", {"visitor_id": visitor_id, "limit": 5}),
        ("/v1/similar", {"product_id": "p03", "limit": 5}),
        ("/v1/explain", {"product_id": "p12", "visitor_id": visitor_id}),
        ("/v1/assistant/turn", {**talk, "message": "coffee under $9"}),
        ("/v1/assistant/turn", {**talk, "message": "add the first one"}),
        ("/v1/assistant/turn", {**talk, "message": "what is in my basket?"}),
        ("/v1/assistant/turn", {**talk, "message": "which offers are there?"}),
        ("/v1/search", {"query": "milk", "filters": {"promotion": True}, "limit": 5}),
    ]
    answers = [(path, ok(api.post(path, json=body))) for path, body in asked]
    assert "Milk for all" in answers[-2][1]["reply"] or answers[-2][1]["products"]
    assert "p00" in [p["product_id"] for p in answers[-1][1]["products"]]
    assert shop.journal.flush()
    for path, answer in answers:
        difference = replay(answer["request_id"], shop.layout, store=shop.store)
        assert difference.fields == (), (path, difference.fields)


@pytest.mark.parametrize(
    ("remedy", "status"), [("none", "ok"), ("retrain", "attention"), ("roll back", "broken")]
)
def test_the_monitors_remedy_becomes_advice(api, shop, remedy, status):
    folder = shop.layout.var / "monitor"
    folder.mkdir(parents=True, exist_ok=True)
    latest = {"decision": remedy, "week": 30, "reason": "prices tripled", "recent": []}
    (folder / "latest.json").write_text(json.dumps(latest))
    found = ok(api.get("/v1/operations"))
    named = any("prices tripled" in line for line in found["advice"])
    assert named == (remedy != "none")
    assert found["status"] == status or (remedy == "none" and found["status"] == "attention")


BAD = [
    ("post", "/v1/search", {"json": {}}, 422),
    ("post", "/v1/search", {"json": {"query": "x", "colour": "red"}}, 422),
    ("post", "/v1/search", {"json": {"query": "x", "limit": 0}}, 422),
    ("post", "/v1/search", {"json": {"query": "x" * 1001}}, 422),
    ("post", "/v1/search", {"content": b"{broken", "headers": {"content-type": "application/json"}}, 400),
    ("post", "/v1/search", {"content": b'{"query": "\xff"}', "headers": {"content-type": "application/json"}}, 400),
    ("post", "/v1/search", {"content": b'{"query": "\\ud800"}', "headers": {"content-type": "application/json"}}, 422),
    ("post", "/v1/search", {"content": b"[1]", "headers": {"content-type": "application/json"}}, 422),
    ("post", "/v1/similar", {"json": {"product_id": "nope"}}, 404),
    ("get", "/v1/products/nope", {}, 404),
    ("get", "/v1/products/" + "x" * 200, {}, 422),
    ("get", "/nowhere", {}, 404),
    ("get", "/v1/search", {}, 405),
    ("post", "/v1/assistant/turn", {"json": {"session_id": "s", "visitor_id": "v", "message": "x" * 20_001}}, 422),
    ("post", "/v1/events", {"content": b"x" * (9 << 20)}, 413),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "options", "status"), BAD, ids=lambda v: str(v)[:40])
def test_errors_are_problem_details(api, method, path, options, status):
    response = getattr(api, method)(path, **options)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in response.text


def test_strange_words_are_answered(api):
    for query in [
        "",
        " ",
        "\u0000",
        "🥛" * 50,
        "%_'\"\\;--",
        HOSTILE,
        "AND OR NOT (",
        "-1e400",
        "十块钱以下的牛奶",
    ]:
        assert api.post("/v1/search", json={"query": query}).status_code == 200, query
        turn = {"session_id": "odd", "visitor_id": "odd", "message": query}
        assert api.post("/v1/assistant/turn", json=turn).status_code == 200, query
        assert api.post("/v1/suggest", json={"prefix": query[:200]}).status_code == 200, query


def test_keys_open_what_their_scopes_say(shop, monkeypatch):
    monkeypatch.setenv("SHELFWISE_AUTH", "on")
    client = TestClient(create_app(shop))
    reader = {"Authorization": f"Bearer {shop.store.key_add('reader', ['read'])}"}
    own = {
        "Authorization": f"Bearer {shop.store.key_add('own', ['read', 'visitors', 'events'], visitor_id='v1')}"
    }
    assert client.post("/v1/search", json={"query": "tea"}).status_code == 401
    assert (
        client.post("/v1/search", json={"query": "tea"})
        .headers["www-authenticate"]
        .startswith("Bearer")
    )
    assert (
        client.post(
            "/v1/search", json={"query": "tea"}, headers={"Authorization": "Bearer x"}
        ).status_code
        == 401
    )
    assert client.post("/v1/search", json={"query": "tea"}, headers=reader).status_code == 200
    assert client.get("/v1/visitors/v1", headers=reader).status_code == 403
    assert client.get("/v1/visitors/v1", headers=own).status_code == 200
    assert client.get("/v1/visitors/v2", headers=own).status_code == 403
    assert (
        client.post(
            "/v1/search", json={"query": "tea", "visitor_id": "v2"}, headers=own
        ).status_code
        == 403
    )
    event = {"event_id": fresh("e"), "kind": "click", "visitor_id": "v2", "product_id": "p01"}
    assert ok(client.post("/v1/events", json={"events": [event]}, headers=own))["rejected"]
    assert shop.store.key_revoke("reader") == 1
    assert client.post("/v1/search", json={"query": "tea"}, headers=reader).status_code == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_back(shop, monkeypatch):
    from bentos import auth

    monkeypatch.setenv("SHELFWISE_AUTH", "on")
    monkeypatch.setattr(auth, "_LIMITER", auth.Limiter(1.0))
    client = TestClient(create_app(shop))
    headers = {"Authorization": f"Bearer {shop.store.key_add('busy', ['read'])}"}
    answers = [client.get("/v1/promotions", headers=headers) for _ in range(4)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_another_workers_product_is_taken_over(shop):
    from components.contracts.messages import SearchRequest
    from components.contracts.records import Product

    shop.store.products_put([Product(product_id=fresh("w"), title="Zebrafruit jam")])
    shop._share()
    assert shop.search(SearchRequest(query="zebrafruit jam")).products[0].title == "Zebrafruit jam"


def test_without_keys_only_this_machine_may_ask(shop, monkeypatch):
    monkeypatch.setenv("SHELFWISE_AUTH", "off")
    client = TestClient(create_app(shop), client=("10.1.2.3", 5000))
    assert client.post("/v1/search", json={"query": "tea"}).status_code == 403


def test_pages_carry_no_script_and_nothing_from_elsewhere(api):
    for path in ("/", "/docs"):
        page = api.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "http://" not in page.text.replace("http://127.0.0.1", "")
        assert "https://" not in page.text
    assert api.get("/openapi.json").json()["openapi"].startswith("3.")


def test_a_forgotten_visitor_is_a_stranger_to_the_release(shop):
    visitor_id = fresh()
    assert shop._known(visitor_id) == visitor_id
    shop.forget(visitor_id, by="test")
    assert shop._known(visitor_id) is None


def test_offers_go_on_the_basket_and_are_used_once(api):
    visitor_id = f"o{uuid.uuid4().hex[:8]}"
    at = f"/v1/visitors/{visitor_id}/basket"
    ok(api.put(at, json={"product_id": "p03", "quantity": 1}))
    plain = ok(api.put(at, json={"product_id": "p00", "quantity": 2}))
    assert plain["discounts"] == []
    assert [(u["promotion_id"], u["amount_minor"]) for u in plain["usable"]] == [("o2", 20)]
    assert plain["usable_saving_minor"] == 20
    for body in ({}, {"promotion_ids": ["o2"]}, {"promotion_ids": ["o2", "o2"]}):
        priced = ok(api.put(f"{at}/offers", json=body))
        assert [(d["promotion_id"], d["product_id"]) for d in priced["discounts"]] == [
            ("o2", "p00")
        ]
        assert priced["total_minor"] == plain["total_minor"] - 20
        assert priced["usable"] == []
    for wrong in ("o1", "o3", "none"):  # for others, over, unknown
        assert api.put(f"{at}/offers", json={"promotion_ids": [wrong]}).status_code == 409
    assert (
        ok(api.put(f"{at}/offers", json={"promotion_ids": []}))["total_minor"]
        == plain["total_minor"]
    )
    ok(api.put(f"{at}/offers", json={}))

    def tool(name, **arguments):
        body = {"session_id": visitor_id, "visitor_id": visitor_id, "arguments": arguments}
        return ok(api.post(f"/v1/assistant/tools/{name}", json=body))

    asked = tool("checkout_preview")["confirmation"]
    assert asked["total_minor"] == priced["total_minor"]
    done = tool("checkout_confirm", confirmation_id=asked["id"])
    assert done["state"]["orders"][0]["total_minor"] == priced["total_minor"]
    kept = ok(api.get(f"/v1/visitors/{visitor_id}"))
    assert [r["promotion_id"] for r in kept["redemptions"]] == ["o2"]
    ok(api.put(at, json={"product_id": "p00", "quantity": 1}))
    assert ok(api.get(at))["usable"] == []
    assert api.put(f"{at}/offers", json={"promotion_ids": ["o2"]}).status_code == 409
    assert tool("offers_apply")["commands"][0]["status"] == "failed"
    shown = ok(api.get(f"/v1/promotions?visitor_id={visitor_id}"))["promotions"]
    assert "o2" not in {o["promotion_id"] for o in shown}

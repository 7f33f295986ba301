"""The state: once means once, acknowledged means on the disk, forgotten means gone."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from components.contracts.errors import StateError
from components.contracts.records import (
    BasketAdd,
    BasketLine,
    Click,
    Order,
    OrderLine,
    Product,
)
from components.state.forget import digest_of
from components.state.models import REVISION, Base
from components.state.store import Store

AT = datetime(2018, 1, 1, 12, tzinfo=UTC)


def click(event_id: str, visitor_id: str = "v1", product_id: str = "p1", minutes: int = 0) -> Click:
    return Click(
        event_id=event_id,
        at=AT + timedelta(minutes=minutes),
        visitor_id=visitor_id,
        product_id=product_id,
    )


def test_events_are_kept_once_each(store):
    assert store.append_events([click("a"), click("b"), click("a")]) == (["a", "b"], ["a"])
    assert store.append_events([click("b"), click("c")]) == (["c"], ["b"])
    assert store.append_events([]) == ([], [])
    assert store.count_events() == 3


def test_visitor_events_are_the_newest_oldest_first_and_of_that_visitor_only(store):
    events = [click(f"e{i}", minutes=i) for i in (3, 1, 2, 0)]
    store.append_events([*events, click("other", visitor_id="v2", minutes=9)])
    assert [e.event_id for e in store.visitor_events("v1")] == ["e0", "e1", "e2", "e3"]
    assert [e.event_id for e in store.visitor_events("v1", limit=2)] == ["e2", "e3"]
    assert store.visitor_events("v1")[0] == click("e0")
    add = BasketAdd(event_id="add", at=AT, visitor_id="v1", product_id="p9", quantity=4)
    store.append_events([add])
    assert store.visitor_events("v1", kinds=("basket_add",)) == [add]
    assert [e.event_id for e in store.events_by_id(["e3", "none", "e1"])] == ["e3", "e1"]


def test_events_since_reads_the_log_in_portions(store):
    store.append_events([click(f"e{i}") for i in range(5)])
    first, last = store.events_since(0, limit=3)
    rest, end = store.events_since(last, limit=3)
    assert [e.event_id for e in first + rest] == [f"e{i}" for i in range(5)]
    assert store.events_since(end) == ([], end)


def test_basket_set_is_idempotent_and_keeps_the_order(store):
    for product_id, variant_id, quantity in [
        ("p1", None, 2),
        ("p2", "p2-a", 1),
        ("p1", None, 3),
        ("p1", None, 3),
        ("p3", None, 0),
    ]:
        store.basket_set("v1", product_id, variant_id, quantity)
    assert store.basket("v1") == [
        BasketLine(product_id="p1", quantity=3),
        BasketLine(product_id="p2", variant_id="p2-a", quantity=1),
    ]
    store.basket_set("v1", "p1", None, 0)
    assert [line.product_id for line in store.basket("v1")] == ["p2"]
    assert store.basket("v2") == []
    store.basket_clear("v1")
    assert store.basket("v1") == []


def test_wishlist_preferences_orders(store):
    for product_id in ("b", "a", "b"):
        store.wishlist_set("v1", product_id, True)
    assert store.wishlist("v1") == ["b", "a"]
    store.wishlist_set("v1", "b", False)
    assert store.wishlist("v1") == ["a"]
    store.preference_set("v1", "diet", "vegan")
    store.preference_set("v1", "diet", "vegetarian")
    store.preference_set("v1", "size", "42")
    store.preference_set("v1", "size", None)
    assert store.preferences("v1") == {"diet": "vegetarian"}
    order = Order(order_id="o1", lines=(OrderLine(product_id="p1", quantity=2),), at=AT)
    store.basket_set("v1", "p1", None, 2)
    assert store.order_add("v1", order, clear_basket=True) is True
    store.basket_set("v1", "p7", None, 1)
    assert store.order_add("v1", order, clear_basket=True) is False
    assert store.orders("v1") == [order]
    assert [line.product_id for line in store.basket("v1")] == ["p7"]


def test_sessions_and_answers_belong_to_one_visitor(store):
    store.session_put("s", "v1", {"turn": 1})
    store.session_put("s", "v1", {"turn": 2, "wort": "牛奶"})
    assert store.session("s", "v1") == {"turn": 2, "wort": "牛奶"}
    assert store.session("s", "v2") is None
    store.answer_put("s", "r", {"reply": "first"}, visitor_id="v1")
    store.answer_put("s", "r", {"reply": "second"}, visitor_id="v1")
    assert store.answered("s", "r", visitor_id="v1") == {"reply": "first"}
    assert store.answered("s", "r", visitor_id="v2") is None


def test_together_is_all_or_nothing(store):
    def stop_half_way():
        with store.together():
            store.basket_set("v1", "p1", None, 1)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        stop_half_way()
    assert store.basket("v1") == []
    with store.together():
        store.basket_set("v1", "p1", None, 1)
        assert store.basket("v1")[0].quantity == 1
        store.session_put("s", "v1", {})
    assert store.session("s", "v1") == {}
    assert len(store.basket("v1")) == 1


def test_served_answers_come_back_with_their_inputs(store):
    store.log_response(
        "r1",
        endpoint="search",
        request={"query": "milk"},
        response={"products": []},
        model_version="m1",
        at=AT,
        slate_id="s1",
        visitor_id="v1",
        recent=["e1", "e2"],
    )
    served = store.response("r1")
    assert served is not None
    assert (served["at"], served["request"], served["recent"]) == (
        AT,
        {"query": "milk"},
        ["e1", "e2"],
    )
    assert store.response("r2") is None
    assert [r["request_id"] for r in store.responses(visitor_id="v1")] == ["r1"]


def test_posted_products_are_kept_in_their_newest_form(store):
    store.products_put(
        [Product(product_id="p1", title="Milk"), Product(product_id="p2", title="Tea")]
    )
    store.products_put([Product(product_id="p1", title="Whole milk")])
    assert {p.product_id: p.title for p in store.products()} == {"p1": "Whole milk", "p2": "Tea"}


def test_keys_are_found_by_token_until_revoked(store):
    token = store.key_add("ci", ["read", "events"], visitor_id="v1")
    key = store.key(token)
    assert key is not None
    assert (key.name, key.scopes, key.visitor_id) == ("ci", ("events", "read"), "v1")
    assert store.key(token + "x") is None
    assert store.key_revoke("ci") == 1
    assert store.key(token) is None


def test_a_setting_keeps_its_first_value(store):
    assert store.setting("clock", "a") == "a"
    assert store.setting("clock", "b") == "a"


def fill(store: Store, visitor_id: str) -> None:
    store.append_events([click(f"e-{visitor_id}", visitor_id=visitor_id)])
    store.basket_set(visitor_id, "p1", None, 1)
    store.basket_offer_set(visitor_id, "offer", True)
    store.redeem(visitor_id, {"offer": 50}, order_id="o", at=AT)
    store.wishlist_set(visitor_id, "p1", True)
    store.preference_set(visitor_id, "diet", "vegan")
    store.order_add(visitor_id, Order(order_id="o", lines=()))
    store.session_put("s", visitor_id, {"said": visitor_id})
    store.answer_put("s", "r", {}, visitor_id=visitor_id)
    store.answer_put("s", "r0", {"for": visitor_id})
    store.log_response(
        f"r-{visitor_id}",
        endpoint="search",
        request={"visitor_id": visitor_id},
        response={},
        model_version="m",
        at=AT,
        visitor_id=visitor_id,
    )
    store.key_add("token", ["read"], visitor_id=visitor_id)
    store.audit("service", "basket_set", visitor_id, visitor=visitor_id)


def test_forgetting_leaves_a_receipt_and_nothing_else(store):
    fill(store, "v1")
    fill(store, "v2")
    receipt = store.forget("v1")
    assert set(receipt.removed) >= {"events", "responses", "sessions", "answers", "orders", "keys"}
    assert all(count >= 1 for count in receipt.removed.values()), receipt.removed
    exported = store.export("v1")
    assert all(not value for name, value in exported.items() if name != "visitor_id")
    assert len(store.visitor_events("v2")) == 1
    assert store.basket("v2")
    assert store.forgotten_at("v1") == receipt.at
    assert store.forgotten_at("v2") is None
    marks = store.tombstones()
    assert receipt.digest == digest_of("v1", marks["salt"])
    assert list(marks["forgotten"]) == [receipt.digest]
    assert "v1" not in str(store.audits())


def test_a_forgotten_id_is_in_no_byte_of_the_database(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/state.db")
    visitor_id = "3d0c7e5a-6c2c-4d7f-9c55-0b1f6f3c9a11"
    fill(store, visitor_id)
    store.append_events([click(f"n{i}", visitor_id=visitor_id) for i in range(500)])
    store.forget(visitor_id)
    store.close()
    for file in tmp_path.iterdir():
        assert visitor_id.encode() not in file.read_bytes(), file


def test_migrations_make_the_tables_of_the_models(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    store = Store(f"sqlite:///{tmp_path}/state.db")
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert inspect(connection).has_table("alembic_version")
    folder = Path(sys.modules["components.state.store"].__file__ or "").parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_bad_urls_and_folders_are_one_clear_line(tmp_path):
    for url, words in [
        ("nonsense", "no database URL"),
        ("mysql://h/d", "only sqlite and postgresql"),
        ("sqlite:////proc/nowhere/state.db", "cannot make the folder"),
    ]:
        with pytest.raises(StateError, match=words):
            Store(url)
    (tmp_path / "state.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match="not a database") as caught:
        Store(f"sqlite:///{tmp_path}/state.db")
    assert "\n" not in str(caught.value)
    with pytest.raises(StateError, match="is the server up"):
        Store("postgresql://nobody:secret@127.0.0.1:1/none")


def test_a_newer_schema_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/state.db"
    store = Store(url)
    with store._engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(StateError, match="has schema 9999"):
        Store(url)


def test_passwords_are_not_shown():
    with pytest.raises(StateError) as caught:
        Store("postgresql://nobody:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


def test_many_threads_lose_nothing(store):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                store.append_events([click(f"t{number}-{i}"), click(f"shared-{i}")])
                store.basket_set("v1", f"p{number}", None, i + 1)
        except StateError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.count_events() == 8 * 10 + 10
    assert sorted(line.quantity for line in store.basket("v1")) == [10] * 8


WRITER = """
import sys
from datetime import UTC, datetime
from components.contracts.records import Click
from components.state.store import Store
store = Store(sys.argv[1])
i = 0
while True:
    event = Click(event_id=f"k{i}", at=datetime.now(UTC), visitor_id="v", product_id="p")
    accepted, _ = store.append_events([event])
    sys.stdout.write(accepted[0] + "\\n"); sys.stdout.flush()
    i += 1
"""


def test_a_killed_writer_loses_no_acknowledged_event(tmp_path):
    url = f"sqlite:///{tmp_path}/state.db"
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    store = Store(url)
    kept = {e.event_id for e in store.visitor_events("v", limit=100_000)}
    assert set(acknowledged) <= kept
    assert len(kept) - len(acknowledged) <= 1


def test_a_snapshot_reads_one_state_and_never_writes(store):
    store.preference_set("v1", "size", "M")
    others = [] if store.url == "sqlite://" else [Store(store.url)]
    with store.snapshot():
        assert store.preferences("v1") == {"size": "M"}
        for other in others:
            other.preference_set("v1", "size", "L")
            assert store.preferences("v1") == {"size": "M"}
        with pytest.raises(StateError, match="snapshot"):
            store.preference_set("v1", "size", "S")
    assert store.preferences("v1") == {"size": "L" if others else "M"}
    store.preference_set("v1", "size", "S")
    assert store.preferences("v1") == {"size": "S"}
    for other in others:
        other.close()

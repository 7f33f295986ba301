"""Offers at checkout, against the slow reference: whatever the order and repetition of steps."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from components.assistant.basket_money import PricedLine
from components.assistant.offers import Offer, Offers
from components.assistant.till import Till
from components.contracts.errors import OfferUsedError
from components.state.store import Store
from tests.property.test_basket_money import OFFERS, PRODUCTS, START, best_discount

NOW = START + timedelta(days=3)
PRICES = {"a": 250, "b": 1999, "c": 35}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PRODUCTS), st.integers(0, 4)),
        st.tuples(st.just("apply"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("take_off"), st.integers(0, 5), st.just(0)),
    ),
    max_size=8,
)


def lines_of(store, visitor="v"):
    return [
        PricedLine(line.product_id, line.quantity, PRICES[line.product_id])
        for line in store.basket(visitor)
    ]


def run(steps, offers, *, repeat=1):
    store = Store("sqlite://")
    till = Till(store, Offers(offers), "v", NOW)
    for kind, what, quantity in steps:
        for _ in range(repeat):
            if kind == "put":
                store.basket_set("v", what, None, quantity)
            else:
                getattr(till, kind)([f"o{what}"])
    return store, till


def reference(steps, offers):
    """Basket and offers as two plain dictionaries; every way of giving offers to lines is tried."""
    basket, on = {}, set()
    running = {o.promotion_id: o for o in offers if o.starts_at <= NOW <= o.ends_at}
    for kind, what, quantity in steps:
        if kind == "put":
            basket[what] = quantity
        elif kind == "apply":
            on |= {f"o{what}"} & set(running)
        else:
            on -= {f"o{what}"}
    lines = [PricedLine(p, q, PRICES[p]) for p, q in basket.items() if q]
    gross = sum(line.quantity * line.price_minor for line in lines)
    return gross, best_discount(lines, [running[i] for i in on])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STEPS, OFFERS)
def test_the_bill_is_the_reference_s_however_often_each_step_is_repeated(steps, offers):
    gross, discount = reference(steps, offers)
    for repeat in (1, 2):
        store, till = run(steps, offers, repeat=repeat)
        bill = till.bill(lines_of(store))
        assert (bill.gross_minor, bill.discount_minor) == (gross, discount)
        assert 0 <= bill.total_minor <= bill.gross_minor


@settings(max_examples=40, deadline=None, derandomize=True)
@given(OFFERS, st.randoms(use_true_random=False))
def test_the_order_of_steps_changes_nothing(offers, rng):
    steps = [("put", p, n + 1) for n, p in enumerate(PRODUCTS)]
    steps += [("apply", n, 0) for n in range(6)]
    totals = set()
    for _ in range(3):
        store, till = run(steps, offers)
        totals.add(till.bill(lines_of(store)).total_minor)
        rng.shuffle(steps)
    assert len(totals) == 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(OFFERS)
def test_a_household_uses_an_offer_once_and_others_are_not_touched(offers):
    store, till = run([("put", p, 2) for p in PRODUCTS], offers)
    till.apply([o.promotion_id for o in offers])
    bill = till.bill(lines_of(store))
    amounts = {i: minor for i, _, minor in bill.used}
    store.redeem("v", amounts, order_id="first", at=NOW)
    store.redeem("v", amounts, order_id="first", at=NOW)  # a retry of the same order
    assert not {i for i, _, _ in till.best(lines_of(store)).used} & set(amounts)
    assert not {i for i, _, _ in till.bill(lines_of(store)).used} & set(amounts)
    if amounts:
        try:
            store.redeem("v", amounts, order_id="second", at=NOW)
        except OfferUsedError:
            pass
        else:
            raise AssertionError("used twice")
    assert sum(r["amount_minor"] for r in store.redemptions("v")) == bill.discount_minor
    store.forget("v")
    assert store.redemptions("v") == []
    assert store.redeemed("v") == set(amounts)  # forgetting does not renew an offer
    other = Till(store, till.offers, "w", NOW)
    assert {o.promotion_id for o in other.usable()} >= set(amounts)


def test_what_has_ended_or_is_meant_for_others_takes_nothing_off():
    ended = Offer("o1", "x", ("a",), START, NOW - timedelta(seconds=1),
                  {"kind": "amount", "value": 50})  # fmt: skip
    others = Offer("o2", "x", ("a",), START, NOW + timedelta(days=1),
                   {"kind": "amount", "value": 50}, frozenset({"w"}), True)  # fmt: skip
    store, till = run([("put", "a", 1)], [ended, others])
    store.basket_offer_set("v", "o1", True)
    store.basket_offer_set("v", "o2", True)
    assert till.apply(["o1", "o2"]) == []
    assert till.bill(lines_of(store)).discount_minor == 0
    assert till.best(lines_of(store)).discount_minor == 0

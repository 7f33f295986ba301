"""Basket money against a slow, obvious reference: try every way of giving offers to lines."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from components.assistant.basket_money import PricedLine, price_basket, saving
from components.assistant.offers import Offer

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTS = ["a", "b", "c"]
LINES = st.lists(
    st.builds(PricedLine, st.sampled_from(PRODUCTS), st.integers(1, 5), st.integers(0, 5000)),
    max_size=4,
)
OFFERS = st.lists(
    st.builds(
        lambda n, ids, kind, value, days: Offer(
            f"o{n}",
            "x",
            tuple(ids),
            START,
            START + timedelta(days=days),
            {"kind": kind, "value": value},
        ),
        st.integers(0, 5),
        st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=3, unique=True),
        st.sampled_from(["percent", "amount"]),
        st.integers(0, 3000),
        st.integers(1, 9),
    ),
    max_size=4,
    unique_by=lambda o: o.promotion_id,
)


def best_discount(lines, offers):
    if not offers:
        return 0
    first, rest = offers[0], offers[1:]
    best = best_discount(lines, rest)
    for i, line in enumerate(lines):
        gain = saving(line, first)
        if gain:
            best = max(best, gain + best_discount(lines[:i] + lines[i + 1 :], rest))
    return best


@settings(max_examples=150, deadline=None, derandomize=True)
@given(LINES, OFFERS, st.randoms(use_true_random=False))
def test_best_choice_in_any_order_and_never_negative(lines, offers, rng):
    bill = price_basket(lines, offers)
    assert bill.discount_minor == best_discount(lines, offers)
    assert 0 <= bill.total_minor <= bill.gross_minor
    assert len({o for o, _, _ in bill.used}) == len(bill.used)
    shuffled_lines, shuffled_offers = list(lines), list(offers)
    rng.shuffle(shuffled_lines)
    rng.shuffle(shuffled_offers)
    again = price_basket(shuffled_lines, shuffled_offers)
    assert (again.total_minor, again.discount_minor) == (bill.total_minor, bill.discount_minor)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(LINES, OFFERS)
def test_a_redeemed_offer_gives_nothing_again(lines, offers):
    bill = price_basket(lines, offers)
    used = {o for o, _, _ in bill.used}
    again = price_basket(lines, offers, redeemed=used)
    assert not used & {o for o, _, _ in again.used}

"""Facts in a reply, each with the record it comes from, and the checker that verifies them.

A reply is sent only if every claim agrees with the live catalogue and store, and if its text holds
no amount of money that no claim states.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from components.assistant.money import exponent, money_text
from components.assistant.safety import safe_title
from components.assistant.sentiment import Sentiment, count, is_said
from components.assistant.variants import in_stock, line_price, variant_of
from components.contracts.messages import Claim
from components.contracts.records import Product, Review

_MONEY = re.compile(
    r"(?:[€$£¥]\s?(\d[\d,]*(?:\.\d+)?))|(?:(\d[\d,]*(?:\.\d+)?)\s?(?:欧元|美元|英镑|元|日元|EUR|USD|GBP|CNY|JPY|CHF|SEK|NOK|euros?|dollars?|pounds?))"
)


class ClaimBook:
    """Collects claims while a reply is written."""

    def __init__(self, currency: str, locale: str) -> None:
        """Write amounts in this currency and language."""
        self.currency = currency
        self.locale = locale
        self.claims: list[Claim] = []

    def _add(self, kind: Any, text: str, source: str, value: Any) -> str:
        claim = Claim(kind=kind, text=text, source=source, value=value)
        if claim not in self.claims:
            self.claims.append(claim)
        return text

    def title(self, product: Product) -> str:
        """State a product's name; in Chinese its own Chinese title where it has one."""
        name = product.title
        chinese = product.attributes.get("title_zh")
        if self.locale == "zh" and isinstance(chinese, str) and chinese:
            name = chinese
        return self._add(
            "title", safe_title(name), f"product:{product.product_id}", product.product_id
        )

    def price(self, product: Product, variant_id: str | None, minor: int) -> str:
        """State what a product's variant costs now."""
        where = f"product:{product.product_id}" + (f":{variant_id}" if variant_id else "")
        return self._add("price", money_text(minor, self.currency, self.locale), where, minor)

    def total(self, minor: int, source: str) -> str:
        """State a sum, a difference or a limit."""
        return self._add("total", money_text(minor, self.currency, self.locale), source, minor)

    def stock(self, product: Product, variant_id: str | None, text: str, left: int | None) -> str:
        """State whether, or how many of, a product there are."""
        where = f"product:{product.product_id}" + (f":{variant_id}" if variant_id else "")
        return self._add("stock", text, where, left)

    def attribute(self, product: Product, name: str, text: str, value: Any) -> str:
        """State an attribute."""
        return self._add("attribute", text, f"product:{product.product_id}:{name}", value)

    def rating(self, product: Product, text: str) -> str:
        """State the mean stars."""
        return self._add("rating", text, f"product:{product.product_id}", product.rating)

    def count(self, n: int, source: str) -> str:
        """State a number of things."""
        return self._add("count", str(n), source, n)

    def superlative(self, product: Product, by: str, text: str, among: Sequence[str]) -> str:
        """State that a product is the most of something among others."""
        return self._add("superlative", text, f"product:{product.product_id}:{by}", list(among))

    def review(self, product: Product, review_id: str, sentence: str) -> str:
        """Repeat a sentence of a review."""
        return self._add("review", sentence, f"reviews:{product.product_id}:{review_id}", None)

    def voices(self, product: Product, what: str, n: int) -> str:
        """State how many reviews there are (`total`), or `praise` or `fault` a product."""
        return self._add("count", str(n), f"reviews:{product.product_id}:{what}", n)

    def offer(self, product: Product, text: str) -> str:
        """State an offer that runs."""
        return self._add("offer", text, f"product:{product.product_id}", text)


def stale(
    claims: Sequence[Claim],
    product_of: Callable[[str], Product | None],
    reviews_of: Callable[[str], Sequence[Review]] = lambda product_id: (),
    sentiment: Sentiment | None = None,
) -> list[Claim]:
    """Return the claims that the live catalogue and its reviews do not bear out.

    Args:
        claims: what a reply states.
        product_of: product id to the live record, None if there is none.
        reviews_of: product id to its reviews as they are now.
        sentiment: what counted the reviews without stars.
    """
    return [
        claim
        for claim in claims
        if (claim.source.startswith("product:") and not _holds(claim, product_of))
        or (claim.source.startswith("reviews:") and not _heard(claim, reviews_of, sentiment))
    ]


def _heard(
    claim: Claim, reviews_of: Callable[[str], Sequence[Review]], sentiment: Sentiment | None
) -> bool:
    product_id, _, what = claim.source.removeprefix("reviews:").rpartition(":")
    reviews = reviews_of(product_id)
    if claim.kind == "review":
        return is_said(claim.text, reviews, what)
    return getattr(count(reviews, sentiment), what, None) == claim.value


def _holds(claim: Claim, product_of: Callable[[str], Product | None]) -> bool:
    _, product_id, *rest = claim.source.split(":", 2)
    product = product_of(product_id)
    if product is None:
        return False
    tail = rest[0] if rest else None
    if claim.kind == "title":
        titles = [product.title, product.attributes.get("title_zh")]
        return any(isinstance(t, str) and safe_title(t) == claim.text for t in titles)
    if claim.kind == "price":
        return line_price(product, tail) == claim.value
    if claim.kind == "stock":
        variant = variant_of(product, tail)
        if claim.value is None or isinstance(claim.value, bool):
            live = (
                in_stock(product, variant)
                if variant or not product.variants
                else any(in_stock(product, v) for v in product.variants)
            )
            return live == (claim.value is not False)
        return (variant.stock if variant else None) == claim.value
    if claim.kind == "rating":
        return product.rating == claim.value
    if claim.kind == "attribute" and tail is not None:
        if tail.startswith("option "):
            name = tail.removeprefix("option ")
            live = {
                v.options[name]
                for v in product.variants
                if name in v.options and in_stock(product, v)
            }
            return set(claim.value) <= live
        if tail in ("brand", "type"):
            return getattr(product, tail) == claim.value
        return product.attributes.get(tail) == claim.value
    if claim.kind == "superlative" and tail is not None:
        return _tops(product, tail, claim.value, product_of)
    return True


def _tops(
    product: Product, by: str, among: Sequence[str], product_of: Callable[[str], Product | None]
) -> bool:
    name, _, direction = by.partition(" ")

    def value(p: Product) -> float | None:
        raw = (
            line_price(p, None)
            if name == "price"
            else p.rating
            if name == "rating"
            else p.attributes.get(name)
        )
        return float(raw) if isinstance(raw, int | float) else None

    own = value(product)
    others = [v for i in among if (p := product_of(i)) is not None and (v := value(p)) is not None]
    if own is None:
        return False
    return (
        own <= min(others, default=own) if direction == "low" else own >= max(others, default=own)
    )


def unstated_money(text: str, claims: Sequence[Claim], currency: str) -> list[str]:
    """Return amounts of money in a text that no claim states.

    >>> unstated_money("It costs €5.00.", [], "EUR")
    ['5.00']
    """
    places = exponent(currency)
    stated = {
        Decimal(c.value).scaleb(-places)
        for c in claims
        if c.kind in ("price", "total") and isinstance(c.value, int)
    }
    for claim in claims:
        if claim.kind == "offer":  # an amount in an offer's own name is stated by the offer
            stated |= {_amount(m) for m in _MONEY.finditer(claim.text)}
    found = []
    for match in _MONEY.finditer(text):
        if _amount(match) not in stated:
            found.append(match.group(1) or match.group(2))
    return found


def _amount(match: re.Match[str]) -> Decimal:
    return Decimal((match.group(1) or match.group(2)).replace(",", ""))

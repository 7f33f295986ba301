# ruff: noqa: E501
"""Products as cards, and the small pieces around them. Every text from data is escaped here.

`gr.HTML` shows what it is given and also reads `${...}` and `{{...}}` as a template, so `text`
escapes the characters of both. A card is plain HTML: its buttons name their act in `data-act`.
"""

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from components.contracts.merchandise import Companion, FeedReview
from components.contracts.messages import (
    Facet,
    Filters,
    Offer,
    Relaxation,
    ScoredProduct,
    SearchResponse,
    Span,
)
from components.contracts.records import Product
from ui.reasons import in_words, origin_in_words
from ui.words import say

_TEMPLATE = str.maketrans({"$": "&#36;", "{": "&#123;", "}": "&#125;", "`": "&#96;", "\\": "&#92;"})
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}
_WITHOUT_MINOR = frozenset({"JPY", "KRW"})

# Line drawings by what a department is called; the first word found decides.
_ICONS = {
    "produce fruit vegetable salad": "M12 21c-5 0-8-3.6-8-8 0-5 5-9 16-9 0 9-3 17-8 17Zm-4-4c2-4 5-7 9-9",
    "dairy milk cheese yogurt egg butter": "M9 3h6v4l2 4v9a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-9l2-4V3Zm-2 10h10",
    "meat poultry seafood fish deli beef pork": "M5 14c0-6 5-10 10-10 3 0 5 2 5 5 0 6-6 8-9 8-2 0-3 3-4.500 3S5 17 5 14Zm10-6.500v.01",
    "bakery bread pastry cake bun sandwich tortilla": "M4 11c0-3 3.600-5 8-5s8 2 8 5c0 1.500-1 2-1 2v6H5v-6s-1-.5-1-2Zm5-1v4m3-5v5m3-4v4",
    "frozen ice": "M12 3v18M4 7.500l16 9M20 7.500l-16 9M9.500 4.500 12 7l2.500-2.500M9.500 19.500 12 17l2.500 2.500",
    "drink beverage juice water soda coffee tea soft beer wine liquor spirit": "M7 4h10l-1 16a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1L7 4Zm.4 6h9.200M13 4l1-3",
    "baby infant": "M10 3h4v3l2 2v12a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V8l2-2V3Zm-2 9h3m-3 4h3",
    "pet dog cat": "M7 11.500a1.800 2.200 0 1 1 0-4.400 1.800 2.200 0 0 1 0 4.400Zm10 0a1.800 2.200 0 1 1 0-4.400 1.800 2.200 0 0 1 0 4.400ZM10 7a1.600 2 0 1 1 0-4 1.600 2 0 0 1 0 4Zm4 0a1.600 2 0 1 1 0-4 1.600 2 0 0 1 0 4Zm-2 5c3 0 5 2.500 5 5s-2 3-5 3-5-.5-5-3 2-5 5-5Z",
    "household clean laundry paper detergent tissue towel": "M9 8h6l1 3v9a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1v-9l1-3Zm0 0V5h5l3 2M14 3v2",
    "drug health cosmetic beauty personal care vitamin medicine pharmacy hair soap lens dental oral": "M12 21S4 15.500 4 10a4 4 0 0 1 8-1.500A4 4 0 0 1 20 10c0 5.500-8 11-8 11Zm0-10v5m-2.500-2.500h5",
    "snack candy chip cookie chocolate cracker": "M6 5l2-1 2 1 2-1 2 1 2-1 2 1v14l-2 1-2-1-2 1-2-1-2 1-2-1V5Zm3 6h6m-6 3h4",
    "cereal breakfast oatmeal granola pancake waffle syrup": "M4 12h16a8 8 0 0 1-5 7.400V20H9v-.6A8 8 0 0 1 4 12Zm3-3c0-2 2-2 2-4m3 4c0-2 2-2 2-4",
    "can soup sauce pasta rice bean condiment spice baking oil dressing canned dry mix pudding gelatin sugar flour seasoning peanut jelly pickle olive": "M6 7c0-1.500 3-2.500 6-2.500s6 1 6 2.500-3 2.500-6 2.500S6 8.500 6 7Zm0 0v11c0 1.500 3 2.500 6 2.500s6-1 6-2.500V7m-12 4c0 1.500 3 2.500 6 2.500s6-1 6-2.500",
    "kitchen cookware utensil gadget tool hardware": "M7 3v6a2 2 0 0 0 4 0V3M9 3v18M16 21v-8c-2-1-2-9 1-10v18",
    "foil wrap bag trash storage plastic": "M5 7h14l-1 13a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1L5 7Zm4-3h6v3H9V4Zm1 7v6m4-6v6",
    "magazine book card toy party seasonal halloween christmas easter gift": "M4 10h16v10H4V10Zm-1-3h18v3H3V7Zm9 0v13M12 7c-4 0-5-4-2.500-4S12 7 12 7Zm0 0c4 0 5-4 2.500-4S12 7 12 7Z",
    "garden floral flower plant": "M12 21v-9m0 0c-3 0-4-2-4-4s2-3 4-1c2-2 4-1 4 1s-1 4-4 4Zm0 6c2-3 4-3 6-3-.500 2-3 3.500-6 3Z",
}  # fmt: skip
_BAG = "M5 8h14l1 13H4L5 8Zm4 3V7a3 3 0 0 1 6 0v4"


def text(value: object) -> str:
    """Return any value as text that is safe in HTML, in an attribute and in a template.

    >>> text('<b onclick="x">${1}</b>')
    '&lt;b onclick=&quot;x&quot;&gt;&#36;&#123;1&#125;&lt;/b&gt;'
    """
    return html.escape(str(value), quote=True).translate(_TEMPLATE)


def money(minor: int | None, currency: str, language: str = "en") -> str:
    """Return an amount as a shopper reads it.

    >>> money(349, "USD"), money(1200, "JPY"), money(-50, "CHF")
    ('$3.49', '¥1,200', 'CHF -0.50')
    """
    if minor is None:
        return say(language, "no_price")
    amount = f"{minor:,}" if currency in _WITHOUT_MINOR else f"{minor / 100:,.2f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{amount}" if symbol else f"{currency} {amount}"


def is_part(name: str, names: Collection[str]) -> bool:
    """Say whether an attribute only takes another one apart: `size value` beside `size`.

    >>> is_part("size unit", ["size", "size unit"]), is_part("unit", ["size"])
    (True, False)
    """
    whole, _, last = name.replace("_", " ").rpartition(" ")
    return last in ("unit", "value") and whole in {n.replace("_", " ") for n in names}


def icon(category: Sequence[str]) -> str:
    """Return a line drawing for a category path, narrowest name first."""
    for name in reversed(category):
        lowered = name.lower()
        for words, path in _ICONS.items():
            if any(word in lowered for word in words.split()):
                return _svg(path)
    return _svg(_BAG)


def _svg(path: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
        f'<path d="{path}"></path></svg>'
    )


def hue(category: Sequence[str]) -> int:
    """Return a colour angle in [0, 360) that is always the same for a department."""
    name = category[0] if category else ""
    return sum((i + 1) * ord(c) for i, c in enumerate(name)) * 47 % 360


def button(act: str, label: str, *, kind: str = "", title: str = "", **data: object) -> str:
    """Return a button that does `act`; `title` is what a screen reader says."""
    extra = "".join(f' data-{name}="{text(value)}"' for name, value in data.items())
    spoken = f' aria-label="{text(title)}"' if title else ""
    return (
        f'<button type="button" class="sw-btn {kind}" data-act="{text(act)}"{extra}{spoken}>'
        f"{text(label)}</button>"
    )


def price_line(price: int | None, list_price: int | None, currency: str, language: str) -> str:
    """Return the price, and the former one struck through where it was higher."""
    line = f'<span class="sw-price">{text(money(price, currency, language))}</span>'
    if list_price is not None and price is not None and list_price > price:
        was = text(money(list_price, currency, language))
        line += f' <s class="sw-was"><span class="sw-sr">{say(language, "was")} </span>{was}</s>'
    return line


def card(
    product: ScoredProduct,
    language: str,
    *,
    slate_id: str = "",
    basket: Mapping[str, int] | None = None,
    compared: Collection[str] = (),
) -> str:
    """Return one product as a card."""
    title = text(product.title)
    held = (basket or {}).get(product.product_id, 0)
    data = {"product": product.product_id, "slate": slate_id, "variant": product.variant_id or ""}
    tags = "".join(
        [
            f'<span class="sw-tag sw-sponsored">{say(language, "sponsored")}</span>'
            if product.sponsored
            else "",
            *(
                f'<span class="sw-tag sw-offer">{text(offer)}</span>'
                for offer in product.offers[:2]
            ),
        ]
    )
    reason = in_words(product.reasons[0].text, language) if product.reasons else ""
    chip = f'<p class="sw-reason">{text(reason)}</p>' if reason else ""
    buy = (
        button("add", say(language, "add"), kind="sw-primary",
               title=say(language, "add_long", x=product.title), **data)
        if product.available
        else f'<span class="sw-soldout">{say(language, "sold_out")}</span>'
    )  # fmt: skip
    is_compared = product.product_id in compared
    compare = (
        f'<label class="sw-compare"><input type="checkbox" data-act="compare" '
        f'data-product="{text(product.product_id)}" {"checked" if is_compared else ""} '
        f'aria-label="{text(say(language, "compare_long", x=product.title))}">'
        f"{say(language, 'compare')}</label>"
    )
    count = f'<span class="sw-held">{held} {say(language, "in_basket")}</span>' if held else ""
    return (
        f'<li class="sw-card" data-product-id="{text(product.product_id)}">'
        f'<div class="sw-tile" style="--h:{hue(product.category)}">{icon(product.category)}{tags}'
        f"{count}</div>"
        f'<p class="sw-brand">{text(product.brand or (product.category[-1] if product.category else ""))}</p>'
        f'<h3><button type="button" class="sw-link" data-act="open" '
        f'data-product="{text(product.product_id)}" data-slate="{text(slate_id)}">{title}</button></h3>'
        f'{chip}<div class="sw-buy"><div>'
        f"{price_line(product.price_minor, product.list_price_minor, product.currency, language)}</div>{buy}</div>"
        f'<div class="sw-foot">{compare}{_why(product, language)}</div></li>'
    )


def _why(product: ScoredProduct, language: str) -> str:
    if not product.reasons and not product.origin:
        return ""
    lines = []
    for reason in product.reasons:
        line = text(in_words(reason.text, language))
        if reason.counterfactual_rank is not None:
            line += " " + say(language, "why_rank", n=reason.counterfactual_rank)
        lines.append(f"<li>{line}</li>")
    if product.origin:
        names = ", ".join(text(origin_in_words(o, language)) for o in product.origin)
        lines.append(f"<li>{say(language, 'why_origin')}: {names}</li>")
    return f"<details><summary>{say(language, 'why')}</summary><ul>{''.join(lines)}</ul></details>"


def grid(cards: Iterable[str], *, label: str) -> str:
    """Return cards as a list with a name."""
    return f'<ul class="sw-cards" aria-label="{text(label)}">{"".join(cards)}</ul>'


def skeleton(language: str, *, count: int = 8) -> str:
    """Return grey cards that stand in while the first answer comes."""
    blank = (
        '<li class="sw-card sw-blank" aria-hidden="true"><div class="sw-tile"></div>'
        "<p></p><p></p><p></p></li>"
    )
    return (
        f'<p class="sw-sr" role="status">{say(language, "loading")}</p>'
        f'<ul class="sw-cards">{blank * count}</ul>'
    )


def value_name(field: str, value: Any, currency: str, language: str) -> str:
    """Return a constraint in words: `up to $4.00`, `in stock`, `not chocolate`."""
    if field in ("price_max", "price_min"):
        return say(language, field, x=money(int(value), currency, language))
    if field == "min_rating":
        return say(language, field, x=f"{float(value):g}")
    if field in ("in_stock", "promotion"):
        words = say(language, field)
        return words if value else say(language, "not", x=words)
    if field == "terms":
        return say(language, "terms", x=value)
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    if value is True:
        return field.replace("_", " ")
    return str(value)


def span_of(response: SearchResponse, name: str) -> Span | None:
    """Return the words that a constraint came from; an attribute's span has its bare name."""
    fields = (name, name.removeprefix("attributes."))
    if name in ("price_min", "price_max"):
        fields = (name, "price")
    return next((s for s in response.spans if s.field in fields), None)


def span_name(span: Span, currency: str, language: str) -> str:
    """Return what a part of the query was understood as."""
    field, value = span.field, span.value
    if field.startswith("exclude"):
        inner = field.partition(".")[2] or "terms"
        shown = value if inner == "terms" else value_name(inner, value, currency, language)
        if isinstance(shown, list | tuple):
            shown = ", ".join(str(one) for one in shown)
        return say(language, "not", x=shown)
    name = field.removeprefix("attributes.")
    is_whole = isinstance(value, int) and value % 100 == 99 and currency not in _WITHOUT_MINOR
    if name == "price_max" and is_whole:  # as it was said: "under $4", not "up to $3.99"
        return say(language, "price_below", x=money(value + 1, currency, language))
    if isinstance(value, int | float | str | bool | list | tuple):
        return value_name(name, value, currency, language)
    return span.text


def filter_values(filters: Filters) -> list[tuple[str, Any]]:
    """Return every single constraint of filters as (field, value)."""
    found: list[tuple[str, Any]] = []
    for field in ("category", "type", "brand", "terms"):
        found += [(field, value) for value in getattr(filters, field)]
    for field in ("price_min", "price_max", "min_rating", "in_stock", "promotion"):
        if getattr(filters, field) is not None:
            found.append((field, getattr(filters, field)))
    for name, values in filters.attributes.items():
        found += [(f"attributes.{name}", value) for value in values]
    for name, values in filters.exclude.items():
        found += [(f"exclude.{name}", value) for value in values]
    return found


def without(filters: Filters, field: str, value: str) -> Filters:
    """Return filters without one constraint; one that is not there changes nothing.

    >>> without(Filters(brand=("A", "B"), price_max=400), "brand", "A").brand
    ('B',)
    """
    head, _, name = field.partition(".")
    present = getattr(filters, head)
    if name:
        left = {n: tuple(v for v in vs if n != name or v != value) for n, vs in present.items()}
        return filters.model_copy(update={head: {n: vs for n, vs in left.items() if vs}})
    if isinstance(present, tuple):
        return filters.model_copy(update={head: tuple(v for v in present if v != value)})
    return filters.model_copy(update={head: None})


def with_value(filters: Filters, field: str, value: str) -> Filters:
    """Return filters with one more accepted value of a facet; a repeated one takes it out.

    >>> with_value(Filters(), "brand", "A").brand
    ('A',)
    """
    if field in ("brand", "category", "type"):
        if value in getattr(filters, field):
            return without(filters, field, value)
        return filters.model_copy(update={field: (*getattr(filters, field), value)})
    if value in filters.attributes.get(field, ()):
        return without(filters, f"attributes.{field}", value)
    held = {**filters.attributes, field: (*filters.attributes.get(field, ()), value)}
    return filters.model_copy(update={"attributes": held})


def chips(response: SearchResponse, filters: Filters, currency: str, language: str) -> str:
    """Return what is in force as removable chips: parts of the query, and chosen filters."""
    made, told = [], set()
    for number, span in enumerate(response.spans):
        name = span_name(span, currency, language)
        if (span.start, span.end, name) in told:  # one part of the query, read for two fields
            continue
        told.add((span.start, span.end, name))
        made.append(_chip(name, language, act="drop_span", number=number))
    for field, value in filter_values(filters):
        base = field.partition(".")[2] or field
        name = value_name(base, value, currency, language)
        if field.startswith("exclude."):
            name = say(language, "not", x=name)
        made.append(_chip(name, language, act="drop_filter", field=field, value=value))
    if not made:
        return ""
    if len(made) > 1:
        made.append(f"<li>{button('clear', say(language, 'clear_all'), kind='sw-quiet')}</li>")
    return (
        f'<ul class="sw-chips" aria-label="{say(language, "understood")}">'
        f'<li class="sw-chiplabel" aria-hidden="true">{say(language, "understood")}</li>'
        f"{''.join(made)}</ul>"
    )


def _chip(name: str, language: str, *, act: str, **data: object) -> str:
    extra = "".join(f' data-{key}="{text(value)}"' for key, value in data.items())
    label = text(say(language, "remove", x=name))
    return (
        f'<li><button type="button" class="sw-chip" data-act="{act}"{extra} aria-label="{label}">'
        f'{text(name)}<span aria-hidden="true">×</span></button></li>'
    )


def facets(found: Iterable[Facet], filters: Filters, language: str, *, most: int = 7) -> str:
    """Return counts as checkboxes; what is chosen stays visible."""
    groups = []
    found = list(found)
    names = [facet.field for facet in found]
    for facet in found:
        name = facet.field
        chosen = set(
            getattr(filters, name)
            if name in ("brand", "category", "type")
            else filters.attributes.get(name, ())
        )
        values = [v for i, v in enumerate(facet.values) if i < most or v[0] in chosen]
        if (
            name == "price"
            or not values
            or (len(values) == 1 and not chosen)
            or is_part(name, names)
        ):
            continue
        title = say(language, name) if name in ("brand", "category", "type") else name
        rows = "".join(
            f'<label><input type="checkbox" data-act="facet" data-field="{text(name)}" '
            f'data-value="{text(value)}" {"checked" if value in chosen else ""}>'
            f'<span>{text(value)}</span><span class="sw-count">{count:,}</span></label>'
            for value, count in values
        )
        shown = text(title.replace("_", " ").capitalize())
        groups.append(f"<fieldset><legend>{shown}</legend>{rows}</fieldset>")
    if not groups:
        return ""
    return (
        f'<details class="sw-narrow" open><summary>{say(language, "narrow")}</summary>'
        f"{''.join(groups)}</details>"
    )


def nothing(response: SearchResponse, currency: str, language: str) -> str:
    """Return the way out of an empty result: which constraint to drop and what that brings."""
    made = ways(response, currency, language)
    help_ = say(language, "none_help" if made else "none_else")
    return (
        f'<div class="sw-empty"><p class="sw-lead">{say(language, "none")}</p><p>{help_}</p>'
        f"{made}</div>"
    )


def ways(response: SearchResponse, currency: str, language: str) -> str:
    """Return what each smallest set of constraints to drop brings, as buttons.

    What drops the words as well is left out: their products stand below already.
    """
    found = [way for way in response.relaxations if "query" not in way.drop][:4]
    made = "".join(_way(way, response, currency, language) for way in found)
    return f'<div class="sw-ways">{made}</div>' if made else ""


def _way(way: Relaxation, response: SearchResponse, currency: str, language: str) -> str:
    named = []
    for field in way.drop:
        base = field.partition(".")[2] or field
        span = span_of(response, field)
        if field == "query":
            named.append(f"“{response.query}”")
        elif span is not None:
            named.append(span_name(span, currency, language))
        else:
            value = getattr(response.understood, field, None)
            named.append(
                base.replace("_", " ")
                if value in (None, ())
                else value_name(base, value, currency, language)
            )
    label = say(language, "drop", x=", ".join(named), n=f"{way.hits:,}")
    return button("relax", label, kind="sw-outline", fields="|".join(way.drop))


def offers(found: Sequence[Offer], language: str) -> str:
    """Return offers as a strip; each opens its products."""
    if not found:
        return ""

    def when(offer: Offer) -> str:
        return say(language, "offer_until", x=offer.ends_at[:10]) if offer.ends_at else ""

    made = "".join(
        f'<li><button type="button" class="sw-offercard" data-act="offer" '
        f'data-offer="{text(offer.promotion_id)}"><b>{text(offer.title)}</b>'
        f"<span>{text(offer.reason or when(offer))}</span></button></li>"
        for offer in found
    )
    return f'<section class="sw-offers"><h2>{say(language, "offers")}</h2><ul>{made}</ul></section>'


def feed(found: Sequence[FeedReview], language: str) -> str:
    """Return what other shoppers say; each opens its product."""
    if not found:
        return ""
    made = []
    for one in found:
        shown = f"{one.rating:g}" if one.rating is not None else ""
        stars = (
            f'<span class="sw-stars" role="img" aria-label="{text(say(language, "stars", x=shown))}">'
            f"{'★' * round(one.rating)}{'☆' * (5 - round(one.rating))}</span>"
            if one.rating is not None
            else ""
        )
        about = [one.reason or "", (one.at.date().isoformat() if one.at else "")]
        if one.helpful_votes:
            about.append(say(language, "helpful", n=one.helpful_votes))
        made.append(
            f'<li class="sw-feedcard" data-review="{text(one.review_id)}">{stars}'
            f"<blockquote>{text(one.text)}</blockquote>"
            f'<button type="button" class="sw-link" data-act="open" data-slate="" '
            f'data-product="{text(one.product_id)}">{text(one.title)}</button>'
            f'<p class="sw-soft">{text(" · ".join(a for a in about if a))}</p></li>'
        )
    return (
        f'<section class="sw-feed" aria-label="{say(language, "feed")}"><h2>{say(language, "feed")}</h2>'
        f'<p class="sw-soft">{say(language, "feed_lead")}</p><ul>{"".join(made)}</ul></section>'
    )


def companion_card(companion: Companion, rank: int) -> ScoredProduct:
    """Return a product that goes with another as a card shows it."""
    return ScoredProduct(
        product_id=companion.product_id,
        title=companion.title,
        price_minor=companion.price_minor,
        currency=companion.currency,
        score=companion.lift,
        rank=rank,
        brand=companion.brand,
        category=companion.category,
    )


def detail(
    product: Product,
    language: str,
    *,
    slate_id: str,
    reasons: Sequence[str] = (),
    alike: str = "",
) -> str:
    """Return a product in full: its words, its variants to choose from, why, and what is alike."""
    facts = [
        (say(language, "brand"), product.brand),
        (say(language, "category"), " › ".join(product.category)),
        (say(language, "type"), product.type),
        (
            say(language, "rating"),
            f"{product.rating:.1f} ({product.rating_count:,})" if product.rating else None,
        ),
        *(
            (name.replace("_", " "), _plain(value))
            for name, value in product.attributes.items()
            if not is_part(name, product.attributes)
        ),
    ]
    seen: set[str] = set()
    rows = []
    for name, value in facts:
        if value and str(value) not in seen:
            seen.add(str(value))
            rows.append(
                f"<tr><th scope=row>{text(name.capitalize())}</th><td>{text(value)}</td></tr>"
            )
    why = "".join(f"<li>{text(in_words(reason, language))}</li>" for reason in reasons)
    explained = f"<h3>{say(language, 'why')}</h3><ul>{why}</ul>" if why else ""
    described = f"<p>{text(product.description)}</p>" if product.description else ""
    return (
        f'<section class="sw-detail" aria-label="{text(product.title)}"><header>'
        f'<div class="sw-tile" style="--h:{hue(product.category)}">{icon(product.category)}</div>'
        f'<div><p class="sw-brand">{text(product.brand or "")}</p>'
        f'<h2 tabindex="-1">{text(product.title)}</h2>'
        f"<p>{price_line(product.price_minor, product.list_price_minor, product.currency, language)}</p>"
        f"{_variants(product, language, slate_id)}</div>"
        f"{button('close', '×', kind='sw-round', title=say(language, 'close'))}</header>"
        f"{described}<div class='sw-two'><table>{''.join(rows)}</table><div>{explained}</div></div>"
        f"{alike}</section>"
    )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return "✓" if value is True else "" if value in (None, False) else str(value)


def _variants(product: Product, language: str, slate_id: str) -> str:
    data = {"product": product.product_id, "slate": slate_id}
    distinct = {tuple(sorted(v.options.items())) for v in product.variants}
    if len(distinct) < 2:
        variant = product.variants[0].variant_id if len(product.variants) == 1 else ""
        if not product.available:
            return f'<span class="sw-soldout">{say(language, "sold_out")}</span>'
        return button("add", say(language, "add"), kind="sw-primary",
                      title=say(language, "add_long", x=product.title), variant=variant, **data)  # fmt: skip
    rows = []
    for variant in product.variants[:12]:
        name = ", ".join(variant.options.values()) or variant.variant_id
        price = money(variant.price_minor, product.currency, language)
        sold_out = variant.stock == 0
        left = (
            say(language, "sold_out")
            if sold_out
            else say(language, "stock_left", n=variant.stock)
            if variant.stock is not None and variant.stock < 10
            else ""
        )
        add = (
            ""
            if sold_out
            else button("add", say(language, "add"), kind="sw-primary sw-small",
                        title=say(language, "add_long", x=f"{product.title}, {name}"),
                        variant=variant.variant_id, **data)
        )  # fmt: skip
        rows.append(
            f"<li><span>{text(name)}</span><span>{text(price)}</span><em>{text(left)}</em>{add}</li>"
        )
    return f'<ul class="sw-variants" aria-label="{say(language, "choose")}">{"".join(rows)}</ul>'

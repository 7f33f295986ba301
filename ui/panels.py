# ruff: noqa: E501
"""The side of the shop: conversation, basket, memory, comparison. All data escaped by `cards.text`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.contracts.messages import (
    BasketDiscount,
    BasketResponse,
    Confirmation,
    ScoredProduct,
    TurnResponse,
    VisitorResponse,
)
from components.contracts.records import Product
from ui.cards import button, hue, icon, is_part, money, price_line, text, value_name
from ui.words import say


@dataclass(frozen=True)
class Said:
    """One bubble: who said it, the words, and the whole answer where it is the assistant's."""

    by: str
    words: str
    answer: TurnResponse | None = None
    is_open: bool = False


def chat(said: Sequence[Said], language: str) -> str:
    """Return the conversation; only the last bubble's buttons are alive."""
    if not said:
        tries = "".join(
            f"<li>{button('say', say(language, name), kind='sw-outline', words=say(language, name))}</li>"
            for name in ("try_1", "try_2", "try_3")
        )
        return (
            f'<div class="sw-hello"><p>{say(language, "assistant_hello")}</p>'
            f'<ul aria-label="{say(language, "try")}">{tries}</ul></div>'
        )
    bubbles = [_bubble(one, language, is_last=i == len(said) - 1) for i, one in enumerate(said)]
    return f'<div role="log" aria-live="polite"><ol class="sw-log">{"".join(bubbles)}</ol></div>'


def _bubble(one: Said, language: str, *, is_last: bool) -> str:
    who = say(language, "you_said" if one.by == "visitor" else "assistant")
    words = "<br>".join(text(line) for line in one.words.split("\n"))
    if one.is_open and not one.words:
        words = f'<span class="sw-dots" role="status">{say(language, "thinking")}</span>'
    parts = [f'<p><span class="sw-sr">{who}: </span>{words}</p>']
    answer = one.answer
    if answer is not None:
        if answer.products:
            slate = answer.slate_id or ""
            rows = "".join(
                _row(p, i, language, slate) for i, p in enumerate(answer.products[:6], 1)
            )
            parts.append(f'<ol class="sw-rows">{rows}</ol>')
        if is_last:
            parts.append(_choices(answer.choices))
            parts.append(_confirmation(answer.confirmation, language, said=one.words))
        if answer.claims:
            count = say(language, "checked", n=len(answer.claims))
            facts = "".join(
                f"<li>{text(c.text)} <code>{text(c.source)}</code></li>" for c in answer.claims[:20]
            )
            parts.append(f"<details><summary>{count}</summary><ul>{facts}</ul></details>")
    return f'<li class="sw-said sw-{one.by}">{"".join(parts)}</li>'


def _row(product: ScoredProduct, number: int, language: str, slate: str) -> str:
    paid = (
        f' <span class="sw-tag sw-sponsored">{say(language, "sponsored")}</span>'
        if product.sponsored
        else ""
    )
    add = (
        button("add", "+", kind="sw-round", title=say(language, "add_long", x=product.title),
               product=product.product_id, variant=product.variant_id or "", slate=slate)
        if product.available
        else f'<span class="sw-soldout">{say(language, "sold_out")}</span>'
    )  # fmt: skip
    return (
        f'<li><span class="sw-num" aria-hidden="true">{number}</span>'
        f'<span><button type="button" class="sw-link" data-act="open" '
        f'data-slate="{text(slate)}" data-product="{text(product.product_id)}">'
        f"{text(product.title)}</button>{paid}</span>"
        f"<span>{price_line(product.price_minor, product.list_price_minor, product.currency, language)}</span>"
        f"{add}</li>"
    )


def _choices(choices: Sequence[str]) -> str:
    made = "".join(
        f"<li>{button('say', choice, kind='sw-outline', words=choice)}</li>" for choice in choices
    )
    return f'<ul class="sw-choices">{made}</ul>' if made else ""


def _confirmation(confirmation: Confirmation | None, language: str, *, said: str) -> str:
    if confirmation is None:
        return ""
    # What the bubble above says already is not said twice.
    is_said = confirmation.summary.strip() in said
    summary = say(language, "total") if is_said else text(confirmation.summary)
    total = (
        f"<b>{text(money(confirmation.total_minor, confirmation.currency or 'USD', language))}</b>"
        if confirmation.total_minor is not None
        else ""
    )
    return (
        f'<div class="sw-confirm"><p>{summary} {total}</p>'
        f"{button('confirm', say(language, 'confirm'), kind='sw-primary', confirmation=confirmation.id)}"
        f"{button('refuse', say(language, 'not_now'), kind='sw-outline')}</div>"
    )


def ledger(state: Mapping[str, Any], currency: str, language: str) -> str:
    """Return the constraints the assistant works under as removable chips."""
    held = state.get("constraints") or {}
    made = []
    for field, value in _constraints(held):
        name = value_name(field, value, currency, language)
        if field == "exclude":
            name = say(language, "not", x=name)
        words = say(language, "remove", x=name)
        made.append(
            f'<li><button type="button" class="sw-chip" data-act="unledger" data-field="{text(field)}" '
            f'data-value="{text(_first(value))}" aria-label="{text(words)}">{text(name)}'
            f'<span aria-hidden="true">×</span></button></li>'
        )
    if not made:
        return ""
    label = say(language, "in_force")
    return f'<ul class="sw-chips sw-ledger" aria-label="{label}">{"".join(made)}</ul>'


def _constraints(held: Any) -> list[tuple[str, Any]]:
    """Return (field, value) of a ledger, given as a mapping or as a list of entries."""
    if isinstance(held, Mapping):
        found = []
        for field, value in held.items():
            if field == "currency" or value in (None, (), [], {}):
                continue
            if field == "exclude" and isinstance(value, Mapping):
                found += [("exclude", one) for vs in value.values() for one in _many(vs)]
            else:
                found.append((str(field), value))
        return found
    if not isinstance(held, Sequence) or isinstance(held, str):
        return []
    found = []
    for entry in held:
        if isinstance(entry, Mapping) and "field" in entry:
            field, op = str(entry["field"]), entry.get("op", "is")
            values = list(_many(entry.get("values", entry.get("value", ()))))
            value = values[0] if len(values) == 1 else values
            if op == "not":
                found.append(("exclude", value))
            elif field == "price" and op in ("min", "max"):
                found.append((f"price_{op}", value))
            elif field == "rating":
                found.append(("min_rating", value))
            else:
                found.append((field, value))
    return found


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _first(value: Any) -> Any:
    return next(iter(_many(value)), "")


def basket(held: BasketResponse | None, language: str) -> str:
    """Return the basket with its total; quantities change by buttons."""
    if held is None or not held.items:
        return (
            f'<div class="sw-empty"><p class="sw-lead">{say(language, "basket_empty")}</p>'
            f"<p>{say(language, 'basket_help')}</p></div>"
        )
    rows = []
    for item in held.items:
        data = {"product": item.product_id, "variant": item.variant_id or "", "slate": ""}
        shown = "" if item.available else f'<em class="sw-soldout">{say(language, "sold_out")}</em>'
        rows.append(
            f'<li><div><button type="button" class="sw-link" data-act="open" '
            f'data-product="{text(item.product_id)}" data-slate="">{text(item.title)}</button>{shown}'
            f'<span class="sw-soft">{text(money(item.price_minor, held.currency, language))}</span></div>'
            f'<div class="sw-steps">'
            f"{button('set', '−', kind='sw-round', title=say(language, 'less', x=item.title), quantity=item.quantity - 1, **data)}"
            f"<output>{item.quantity}</output>"
            f"{button('set', '+', kind='sw-round', title=say(language, 'plus', x=item.title), quantity=item.quantity + 1, **data)}"
            f"</div><b>{text(money(item.total_minor, held.currency, language))}</b></li>"
        )
    sums = ""
    if held.discounts:
        sums = _sum(say(language, "subtotal"), money(held.subtotal_minor, held.currency, language))
        for discount in held.discounts:
            off = money(-discount.amount_minor, held.currency, language).replace("$-", "−$")
            sums += _off(discount, off, language)
    total = _sum(
        say(language, "total"), money(held.total_minor, held.currency, language), kind="sw-total"
    )
    usable = ""
    if held.usable:
        saved = text(money(held.usable_saving_minor, held.currency, language))
        names = "".join(f"<li>{text(one.title)}</li>" for one in held.usable)
        usable = (
            f'<div class="sw-usable"><p>{say(language, "offers_fit", x=f"<b>{saved}</b>")}</p>'
            f"<ul>{names}</ul>{button('offers_apply', say(language, 'use_offers'), kind='sw-outline')}</div>"
        )
    order = button(
        "say",
        say(language, "checkout"),
        kind="sw-primary sw-order",
        words=say(language, "checkout"),
    )
    return (
        f'<ul class="sw-lines">{"".join(rows)}</ul>{usable}'
        f'<dl class="sw-sums">{sums}{total}</dl>{order}'
    )


def _off(discount: BasketDiscount, amount: str, language: str) -> str:
    """Return what an offer takes off, with a button that keeps it for another time."""
    words = say(language, "offer_drop", x=discount.title)
    drop = button("offers_drop", "×", kind="sw-round", title=words, offer=discount.promotion_id)
    return f'<div class="sw-off"><dt>{text(discount.title)}</dt><dd>{text(amount)}{drop}</dd></div>'


def _sum(name: str, amount: str, *, kind: str = "") -> str:
    return f'<div class="{kind}"><dt>{text(name)}</dt><dd>{text(amount)}</dd></div>'


def memory(kept: VisitorResponse | None, language: str, *, is_asking: bool, receipt: str) -> str:
    """Return what the shop knows of a visitor, each part to correct or to forget."""
    lead = f"<p>{say(language, 'memory_lead')}</p>"
    if receipt:
        note = text(say(language, "forgotten", x=receipt))
        lead = f'<p class="sw-note" role="status">{note}</p>{lead}'
    habits = preferences = counts = ""
    if kept is not None:
        habits = "".join(f"<li>{text(title)}</li>" for title in kept.habits)
        preferences = "".join(
            f"<li><span><b>{text(name.replace('_', ' '))}</b> {text(value)}</span>"
            f"{button('forget_preference', '×', kind='sw-round', name=name, title=say(language, 'forget_one', x=name))}</li>"
            for name, value in kept.preferences.items()
        )
        counts = say(language, "memory_counts", e=len(kept.events), o=len(kept.orders))
    nothing = f'<p class="sw-soft">{say(language, "memory_nothing")}</p>'
    form = (
        f'<form class="sw-pref" data-form="preference"><input name="name" maxlength="80" required '
        f'aria-label="{say(language, "pref_name")}" placeholder="{say(language, "pref_name")}">'
        f'<input name="value" maxlength="500" required aria-label="{say(language, "pref_value")}" '
        f'placeholder="{say(language, "pref_value")}">'
        f'<button class="sw-btn sw-outline">{say(language, "pref_save")}</button></form>'
    )
    ask = (
        f'<div class="sw-confirm" role="alertdialog" aria-label="{say(language, "forget")}">'
        f"<p>{say(language, 'forget_sure')}</p>"
        f"{button('forget_yes', say(language, 'forget_yes'), kind='sw-danger')}"
        f"{button('forget_no', say(language, 'not_now'), kind='sw-outline')}</div>"
        if is_asking
        else button("forget", say(language, "forget"), kind="sw-outline sw-dangerous")
    )
    return (
        f'<div class="sw-memory">{lead}<h2>{say(language, "memory_habits")}</h2>'
        f"{f'<ul>{habits}</ul>' if habits else nothing}"
        f"<h2>{say(language, 'memory_prefs')}</h2>"
        f"{f'<ul class=sw-prefs>{preferences}</ul>' if preferences else nothing}{form}"
        f'<p class="sw-soft">{counts}</p>{ask}</div>'
    )


def compare(products: Sequence[Product], language: str) -> str:
    """Return products side by side; rows in which they differ are marked."""
    if not products:
        return ""
    names = list(dict.fromkeys(n for p in products for n in p.attributes))
    names = [n for n in names if not is_part(n, names)][:8]
    rows: list[tuple[str, list[str]]] = [
        (say(language, "price"), [money(p.price_minor, p.currency, language) for p in products]),
        (say(language, "brand"), [p.brand or "–" for p in products]),
        (say(language, "type"), [p.type or "–" for p in products]),
        *((n.replace("_", " "), [_value(p.attributes.get(n)) for p in products]) for n in names),
    ]
    if any(p.rating for p in products):
        rows.append(
            (say(language, "rating"), [f"{p.rating:.1f}" if p.rating else "–" for p in products])
        )
    head = "".join(
        f'<th scope="col"><span class="sw-tile" style="--h:{hue(p.category)}">{icon(p.category)}</span>'
        f"{text(p.title)}{button('compare', '×', kind='sw-round', product=p.product_id, title=say(language, 'remove', x=p.title))}</th>"
        for p in products
    )
    body = "".join(
        f'<tr class="{"sw-differs" if len(set(cells)) > 1 else ""}"><th scope="row">{text(name.capitalize())}</th>'
        + "".join(f"<td>{text(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    buys = "".join(
        f"<td>{button('add', say(language, 'add'), kind='sw-primary sw-small', product=p.product_id, variant='', slate='', title=say(language, 'add_long', x=p.title))}</td>"
        for p in products
    )
    return (
        f'<section class="sw-comparison" aria-label="{say(language, "comparing")}"><header>'
        f"<h2>{say(language, 'comparing')}</h2>"
        f"{button('compare_clear', say(language, 'compare_clear'), kind='sw-quiet')}</header>"
        f'<div class="sw-scroll" tabindex="0"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}<tr><td></td>{buys}</tr></tbody></table></div></section>"
    )


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "✓" if value else "–"
    return ", ".join(str(v) for v in _many(value))


def toast(words: str, language: str, *, may_undo: bool = False, number: int = 0) -> str:
    """Return a short message; `number` makes a repeated one appear again."""
    if not words:
        return ""
    undo = button("undo", say(language, "undo"), kind="sw-quiet") if may_undo else ""
    return f'<div class="sw-toast" role="status" data-number="{number}">{text(words)}{undo}</div>'

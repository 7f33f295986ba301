"""Words from results only: a small template grammar in English and Chinese.

Nothing is said that the result does not hold; every price, stock, attribute, count and superlative
goes through the claim book. Untrusted text is quoted only where `safety` lets it.
"""

# ruff: noqa: E501, D102  (an English and a Chinese sentence side by side; a template needs no docstring)

from collections.abc import Callable, Sequence
from typing import Any

from components.assistant.aspects import aspects_of
from components.assistant.claims import ClaimBook
from components.assistant.results import Item, Result
from components.assistant.safety import (
    addresses_machine,
    quotable,
    safe_all,
    safe_value,
    safe_words,
)
from components.assistant.sentiment import Heard
from components.assistant.shelf import is_sold, public_names
from components.assistant.variants import in_stock, line_price, option_text, variant_of
from components.contracts.commands import Constraint
from components.contracts.records import Product

_FIELDS_ZH = {
    "price_max": "价格上限", "price_min": "价格下限", "price": "价格", "color": "颜色", "colour": "颜色", "size": "尺码", "brand": "品牌", "category": "类别",
    "type": "类型", "min_rating": "评分", "rating": "评分", "in_stock": "库存", "promotion": "优惠", "query": "关键词", "exclude": "排除条件", "material": "材质",
    "waterproof": "防水", "wireless": "无线", "noise_cancelling": "降噪", "organic": "有机", "electric": "电动", "pack": "包装", "audience": "适用人群", "battery_hours": "续航", "terms": "关键词",
}  # fmt: skip
_FIELDS_EN = {
    "price_max": "price limit", "price_min": "lowest price", "min_rating": "rating", "in_stock": "stock", "query": "search words", "color": "colour", "exclude": "exclusions",
    "promotion": "offer", "terms": "search words",
}  # fmt: skip


def count_noun(n: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> count_noun(1, "product"), count_noun(3, "box", "boxes")
    ('1 product', '3 boxes')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(parts: Sequence[str], locale: str = "en", last: str = "and") -> str:
    """Join parts as a list.

    >>> listed(["a", "b", "c"]), listed(["a", "b"], "zh")
    ('a, b and c', 'a、b')
    """
    parts = [p for p in parts if p]
    if locale == "zh":
        return "、".join(parts)
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


class Writer:
    """Writes one turn's reply."""

    def __init__(self, book: ClaimBook) -> None:
        """Write in the book's language and currency."""
        self.b = book
        self.zh = book.locale == "zh"

    def write(self, result: Result) -> str:
        """Return the words for one result."""
        method: Callable[[Result], str] | None = getattr(self, f"say_{result.outcome}", None)
        if method is None:
            return self.t("Done.", "好的。")
        return method(result)

    def t(self, en: str, zh: str) -> str:
        return zh if self.zh else en

    def field(self, name: str) -> str:
        if self.zh:
            return _FIELDS_ZH.get(name, name.replace("_", " "))
        return _FIELDS_EN.get(name, name.replace("_", " "))

    def priced(self, item: Item) -> str:
        """Name a product with what it costs now."""
        product, variant = item.hit.product, item.hit.variant
        title = self.b.title(product)
        options = (
            option_text(variant)
            if variant is not None and len({v.price_minor for v in product.variants}) > 1
            else ()
        )
        inside = f" ({', '.join(safe_value(o) for o in options)})" if options else ""
        paid = self.t(" (sponsored)", "（赞助）") if item.hit.sponsored else ""
        minor = item.hit.price_minor
        if minor is None:
            return title + inside + paid
        amount = self.b.price(product, variant.variant_id if variant else None, minor)
        return f"{title}{inside} {self.t('at', '')} {amount}{paid}".replace("  ", " ")

    def constraint(self, c: Constraint) -> str:
        values = [safe_value(v) if not isinstance(v, bool) else "" for v in c.values]
        if c.field == "price":
            amount = self.b.total(int(c.values[0]), "constraint:price")
            return self.t(
                f"{'over' if c.op == 'min' else 'up to'} {amount}",
                f"{amount}{'以上' if c.op == 'min' else '以内'}",
            )
        if c.field == "rating":
            return self.t(f"rated {c.values[0]:g} or more", f"评分 {c.values[0]:g} 以上")
        if isinstance(c.values[0], bool):
            name = self.field(c.field)
            if c.field == "in_stock":
                return self.t("in stock", "有货")
            if c.field == "promotion":
                return self.t("on offer", "有优惠")
            return name if c.values[0] else self.t(f"not {name}", f"非{name}")
        words = listed([v for v in values if v], self.b.locale, "or")
        if c.op == "not":
            return self.t(f"not {words}", f"不含{words}")
        if c.op in ("min", "max"):
            sign = self.t(
                "at least" if c.op == "min" else "at most", "至少" if c.op == "min" else "最多"
            )
            return f"{self.field(c.field)} {sign} {words}"
        return self.t(f"size {words}", f"{words}码") if c.field == "size" else words

    def names(self, items: Sequence[Item], limit: int = 3) -> str:
        return listed([self.priced(i) for i in items[:limit]], self.b.locale)

    # -- lists

    def say_found(self, r: Result) -> str:
        items, total = r.products, r.facts.get("total", len(r.products))
        corrected = r.facts.get("corrected") or ()
        head = ""
        if corrected:
            words = listed([safe_words(b) for _, b in corrected], self.b.locale)
            head = self.t(f"I read that as {words}. ", f"我理解为：{words}。")
        if r.facts.get("more"):
            return head + self.t(f"More: {self.names(items)}.", f"更多：{self.names(items)}。")
        if len(items) == 1:
            why = self._conditions(r)
            return head + self.t(
                f"One fits{why}: {self.priced(items[0])}.",
                f"有一款符合{why}：{self.priced(items[0])}。",
            )
        n = self.b.count(total, "result:total")
        sort = r.state.sort
        order = ""
        if sort == "price":
            order = self.t(", cheapest first", "，按价格从低到高")
        elif sort == "-price":
            order = self.t(", most expensive first", "，按价格从高到低")
        elif sort == "rating":
            order = self.t(", best rated first", "，按评分从高到低")
        why = self._conditions(r)
        return head + self.t(
            f"{n} products fit{why}{order}. First: {self.names(items)}.",
            f"有 {n} 款符合{why}{order}。例如：{self.names(items)}。",
        )

    def _conditions(self, r: Result) -> str:
        shown = [c for c in r.state.constraints if c.hard and c.field not in ("category",)][:4]
        if not shown:
            return ""
        words = listed([self.constraint(c) for c in shown], self.b.locale)
        return self.t(f" ({words})", f"（{words}）")

    def say_nearest(self, r: Result) -> str:
        unmatched = [safe_words(t) for t in r.facts.get("unmatched", ())]
        if "query" in r.relaxed:
            words = listed([w for w in unmatched if w], self.b.locale) or self.t("that", "您要的")
            return self.t(
                f"I found nothing for {words} here. What I do have: {self.names(r.products)}.",
                f"没有找到{words}。可以看看这些：{self.names(r.products)}。",
            )
        relaxed = [n for n in r.relaxed if n != "exclude" or len(r.relaxed) == 1]
        if relaxed == ["in_stock"]:
            names = listed([self.b.title(i.hit.product) for i in r.products[:3]], self.b.locale)
            for i in r.products[:3]:
                self.b.stock(
                    i.hit.product,
                    i.hit.variant.variant_id if i.hit.variant else None,
                    self.t("sold out", "已售罄"),
                    False,
                ) if not is_sold(i.hit.product) else None
            return self.t(
                f"That would be {names}, but it is sold out right now.",
                f"符合的是{names}，但目前已售罄。",
            )
        missing = listed([self.field(n) for n in relaxed], self.b.locale)
        ways = [(f, n) for f, n in r.facts.get("ways_out", ()) if f != "category"][1:3]
        more = ""
        if ways:
            parts = [
                self.t(f"without the {self.field(f)}: {n}", f"去掉{self.field(f)}：{n} 款")
                for f, n in ways
            ]
            more = self.t(
                f" Other ways ({'; '.join(parts)}).", f" 其他办法（{'；'.join(parts)}）。"
            )
        return self.t(
            f"Nothing meets all of that. Nearest, missing only the {missing}: {self.names(r.products)}.{more}",
            f"没有完全符合的。最接近的（不满足：{missing}）：{self.names(r.products)}。{more}",
        )

    def say_none(self, r: Result) -> str:
        kind = r.command.kind
        if kind == "promotions":
            return self.t("There is no running offer for that right now.", "目前没有相关的优惠。")
        if kind == "restock":
            if r.facts.get("known"):
                return self.t(
                    "Nothing you buy regularly is due yet.", "您常买的商品目前都还不需要补货。"
                )
            return self.t(
                "I don't know of any purchases of yours yet, so I can't tell what is running low.",
                "我还没有您的购买记录，无法判断该补什么。",
            )
        if kind == "usual":
            return self.t(
                "I don't see that among what you bought before.", "您以前没有买过这类商品。"
            )
        if kind == "bundle":
            return self.t(
                "I could not put that together from what is in stock.", "现有库存无法凑出这个组合。"
            )
        return self.t("I found nothing that fits.", "没有找到合适的商品。")

    def say_no_more(self, r: Result) -> str:
        return self.t(
            "That is all there is for these conditions. Drop one and I can show more.",
            "符合这些条件的就这些了。放宽条件可以看到更多。",
        )

    def say_similar(self, r: Result) -> str:
        anchor = self.b.title(r.facts["anchor"].hit.product)
        return self.t(
            f"Similar to {anchor}: {self.names(r.products)}.",
            f"与{anchor}类似的有：{self.names(r.products)}。",
        )

    def say_recommended(self, r: Result) -> str:
        if r.facts.get("known"):
            first = r.products[0]
            reason = self.reason(first.reasons[0], r) if first.reasons else ""
            return self.t(
                f"For you: {self.names(r.products)}. {reason}".strip(),
                f"为您推荐：{self.names(r.products)}。{reason}",
            )
        return self.t(
            f"I don't know your taste yet, so here is what others rate highly: {self.names(r.products)}. What is it for, and what is your budget?",
            f"我还不了解您的喜好，先看看大家评价高的：{self.names(r.products)}。是什么用途，预算多少？",
        )

    def reason(self, reason: str, r: Result) -> str:
        kind, _, what = reason.partition(":")
        if kind == "preference":
            return self.t(
                f"It fits your preference for {self.field(what)}.",
                f"符合您对{self.field(what)}的偏好。",
            )
        if kind in ("bought", "viewed"):
            title = r.facts.get("titles", {}).get(what, "")
            if not title:
                return ""
            return self.t(
                f"It goes with {title}, which you {'bought' if kind == 'bought' else 'looked at'}.",
                f"与您{'买过' if kind == 'bought' else '看过'}的{title}相关。",
            )
        if kind == "sponsored":
            return self.t("Its place was paid for.", "这个位置由商家付费赞助。")
        if kind == "popular":
            return self.t("Others rate it highly.", "其他顾客评价很高。")
        if kind == "similar":
            return self.t("It is like the one you asked about.", "与您问的那款相似。")
        if kind == "promotion":
            return self.t("It is on offer now.", "目前有优惠。")
        if kind == "bundle":
            return self.t("It completes the set within your budget.", "在预算内凑齐了组合。")
        return ""

    def say_bundled(self, r: Result) -> str:
        items = r.products
        total = self.b.total(r.facts["total_minor"], "result:bundle")
        anchor = r.facts.get("anchor")
        names = listed(
            [self.priced(i) + (f" × {i.quantity}" if i.quantity > 1 else "") for i in items],
            self.b.locale,
        )
        budget = r.facts.get("budget_minor")
        lead = (
            self.t(
                f"To go with {self.b.title(anchor.hit.product)}: ",
                f"搭配{self.b.title(anchor.hit.product)}：",
            )
            if anchor
            else ""
        )
        missing = r.facts.get("missing") or ()
        gap = (
            self.t(
                f" I have nothing in stock for {listed([safe_words(m) for m in missing])}.",
                f" 缺货：{listed([safe_words(m) for m in missing], 'zh')}。",
            )
            if missing
            else ""
        )
        if r.facts.get("over_minor"):
            limit = self.b.total(int(budget or 0), "constraint:budget")
            over = self.b.total(r.facts["over_minor"], "result:over")
            return self.t(
                f"{lead}Even the cheapest choice, {names}, comes to {total}, which is {over} over your {limit}.{gap}",
                f"{lead}最便宜的组合是{names}，共 {total}，超出预算 {limit} {over}。{gap}",
            )
        within = (
            self.t(
                f", within your {self.b.total(budget, 'constraint:budget')}",
                f"，在预算 {self.b.total(budget, 'constraint:budget')} 之内",
            )
            if budget is not None
            else ""
        )
        return self.t(
            f"{lead}{names}. Together {total}{within}.{gap}",
            f"{lead}{names}。合计 {total}{within}。{gap}",
        )

    def say_promoted(self, r: Result) -> str:
        parts = []
        for item in r.products[:4]:
            offers = r.facts["offers"].get(item.product_id, ())
            label = ""
            if offers:
                title, percent, _ends = offers[0]
                words = safe_words(title, limit=40)
                label = self.b.offer(
                    item.hit.product, f"{words}" + (f", -{percent}%" if percent else "")
                )
            parts.append(f"{self.priced(item)}{f' ({label})' if label else ''}")
        return self.t(f"On offer now: {listed(parts)}.", f"正在优惠：{listed(parts, 'zh')}。")

    def say_saving(self, r: Result) -> str:
        if not r.facts["used"]:
            return self.t(
                "None of your offers fits this basket.", "您的优惠都不适用于购物车里的商品。"
            )
        parts = self.reductions(r.facts["used"])
        saved = self.b.total(r.facts["saved_minor"], "result:saved")
        total = self.b.total(r.facts["total_minor"], "result:after_offers")
        if r.facts["is_on"]:
            return self.t(
                f"On your basket already: {listed(parts)}. You save {saved} and pay {total}.",
                f"已经用在购物车上：{listed(parts, 'zh')}。共省 {saved}，应付 {total}。",
            )
        return self.t(
            f"For your basket: {listed(parts)}. Together you would save {saved} and pay {total}. Shall I apply them?",
            f"适用于购物车：{listed(parts, 'zh')}。共可省 {saved}，应付 {total}。要使用吗？",
        )

    def say_due(self, r: Result) -> str:
        first = r.products[0]
        gap, times = r.facts["due"][first.product_id]
        names = self.names(r.products, 4)
        return self.t(
            f"Probably due again: {names}. You bought {self.b.title(first.hit.product)} {times} times, about every {gap:.0f} days.",
            f"可能该补货了：{names}。{self.b.title(first.hit.product)}您买过 {times} 次，大约每 {gap:.0f} 天一次。",
        )

    def say_usual(self, r: Result) -> str:
        first = r.products[0]
        times = r.facts["times"].get(first.product_id, 0)
        return self.t(
            f"Your usual: {self.priced(first)}, bought {count_noun(times, 'time')}. Shall I add it?",
            f"您常买的是：{self.priced(first)}，买过 {times} 次。要加入购物车吗？",
        )

    # -- one product

    def say_described(self, r: Result) -> str:
        item = r.products[0]
        product = item.hit.product
        asked = r.facts.get("asked", ())
        parts: list[str] = []
        title = self.b.title(product)
        for name in asked:
            parts.extend(self.answer(item, name, r))
        for option, value, there in r.facts.get("wanted", ()):
            word = safe_value(value)
            parts.append(
                self.t(
                    f"{'Yes, ' if there else 'No, not in '}{self.field(option)} {word}{' is in stock' if there else ''}",
                    f"{self.field(option)}{word}{'有货' if there else '没有货'}",
                )
            )
        if parts:
            unique = list(dict.fromkeys(p for p in parts if p))
            return self.t(f"{title}: {'; '.join(unique)}.", f"{title}：{'；'.join(unique)}。")
        if asked:
            told = " ".join(quotable(product.description))
            lead = self.t(
                f"The record of {title} does not say. {self.priced(item)}.",
                f"{title}的资料里没有这一项。{self.priced(item)}。",
            )
            return f"{lead} {told}".strip()
        return self.whole(item, r)

    def whole(self, item: Item, r: Result) -> str:
        product = item.hit.product
        facts = [self.priced(item)]
        if product.brand:
            facts.append(
                self.b.attribute(
                    product,
                    "brand",
                    self.t(f"by {safe_value(product.brand)}", f"品牌 {safe_value(product.brand)}"),
                    product.brand,
                )
            )
        if product.rating is not None:
            facts.append(
                self.b.rating(
                    product,
                    self.t(
                        f"rated {product.rating:g} of 5 by {product.rating_count}",
                        f"评分 {product.rating:g}（{product.rating_count} 条）",
                    ),
                )
            )
        for name, value in list(product.attributes.items())[:6]:
            text = self.attribute_text(product, name, value)
            if text:
                facts.append(text)
        for name, values in r.facts.get("options", {}).items():
            if values:
                words = listed([safe_value(v) for v in values], self.b.locale)
                facts.append(
                    self.b.attribute(
                        product,
                        f"option {name}",
                        self.t(f"{self.field(name)}: {words}", f"{self.field(name)}：{words}"),
                        list(values),
                    )
                )
        if not r.facts.get("sold", True):
            facts.append(
                self.b.stock(product, None, self.t("sold out at the moment", "目前售罄"), False)
            )
        for title, percent, ends in r.facts.get("offers", ()):
            facts.append(
                self.b.offer(
                    product,
                    self.t(
                        f"offer {safe_words(title, limit=40)}"
                        + (f" (-{percent}%)" if percent else "")
                        + f" until {ends}",
                        f"优惠：{safe_words(title, limit=40)}"
                        + (f"（-{percent}%）" if percent else ""),
                    ),
                )
            )
        told = (
            ""
            if self.zh and product.attributes.get("title_zh")
            else " ".join(quotable(product.description))
        )
        return f"{'；'.join(facts) if self.zh else '; '.join(facts)}. {told}".replace(
            "; .", "."
        ).strip()

    def attribute_text(self, product: Product, name: str, value: Any) -> str:
        if name.startswith("title") or value is None:
            return ""
        label = self.field(name)
        if isinstance(value, bool):
            words = label if value else self.t(f"not {label}", f"不{label}")
        elif isinstance(value, int | float):
            stem, _, unit = name.rpartition("_")
            words = (
                f"{self.field(stem) if stem else ''} {value:g} {unit}".strip()
                if stem
                else f"{label} {value:g}"
            )
        else:
            text = safe_value(
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            )
            if not text:
                return ""
            words = f"{label} {text}"
        return self.b.attribute(product, name, words, value)

    def answer(self, item: Item, name: str, r: Result) -> list[str]:
        """Answer one question about a product; empty if its record does not say."""
        product, variant = item.hit.product, item.hit.variant
        options = r.facts.get("options", {})
        if name == "price":
            prices = r.facts.get("price_range", ())
            if len(prices) > 1:
                low = [
                    f"{listed([safe_value(o) for o in option_text(v)])} {self.b.price(product, v.variant_id, v.price_minor)}"
                    for v in product.variants
                    if in_stock(product, v)
                ]
                return [
                    self.t("it costs ", "价格 ")
                    + listed(list(dict.fromkeys(low))[:4], self.b.locale)
                ]
            minor = item.hit.price_minor
            return (
                [
                    self.t("it costs ", "价格 ")
                    + self.b.price(product, variant.variant_id if variant else None, minor)
                ]
                if minor is not None
                else []
            )
        if name == "stock":
            if not r.facts.get("sold", True):
                return [
                    self.b.stock(
                        product, None, self.t("it is sold out at the moment", "目前售罄"), False
                    )
                ]
            if len(product.variants) == 1 and variant is not None and variant.stock is not None:
                return [
                    self.b.stock(
                        product,
                        variant.variant_id,
                        self.t(f"yes, {variant.stock} in stock", f"有货，剩 {variant.stock} 件"),
                        variant.stock,
                    )
                ]
            return [self.b.stock(product, None, self.t("yes, in stock", "有货"), True)]
        if name == "rating":
            return (
                [
                    self.b.rating(
                        product,
                        self.t(
                            f"rated {product.rating:g} of 5 by {product.rating_count} buyers",
                            f"评分 {product.rating:g}，{product.rating_count} 条评价",
                        ),
                    )
                ]
                if product.rating is not None
                else []
            )
        if name == "promotion":
            offers = r.facts.get("offers", ())
            if offers:
                title, percent, ends = offers[0]
                return [
                    self.b.offer(
                        product,
                        self.t(
                            f"yes, {safe_words(title, limit=40)}"
                            + (f", {percent}% off" if percent else "")
                            + f", until {ends}",
                            f"有优惠：{safe_words(title, limit=40)}"
                            + (f"，{percent}%" if percent else ""),
                        ),
                    ),
                    *self.answer(item, "price", r),
                ]
            if r.facts.get("reduced"):
                return [
                    self.b.offer(product, self.t("yes, it is reduced", "已降价")),
                    *self.answer(item, "price", r),
                ]
            return [
                self.t("no offer runs on it right now", "目前没有优惠"),
                *self.answer(item, "price", r),
            ]
        if name == "brand":
            return (
                [
                    self.b.attribute(
                        product,
                        "brand",
                        self.t(
                            f"it is by {safe_value(product.brand)}",
                            f"品牌是 {safe_value(product.brand)}",
                        ),
                        product.brand,
                    )
                ]
                if product.brand
                else []
            )
        if name in ("color", "size", "colour") or name in options:
            values = options.get(name) or options.get(
                {"color": "colour", "colour": "color"}.get(name, name)
            )
            if values:
                words = listed([safe_value(v) for v in values], self.b.locale)
                return [
                    self.b.attribute(
                        product,
                        f"option {name}",
                        self.t(
                            f"{self.field(name)}s in stock: {words}",
                            f"有货的{self.field(name)}：{words}",
                        ),
                        list(values),
                    )
                ]
            return (
                [
                    self.t(
                        f"it comes in one {self.field(name)} only",
                        f"没有不同的{self.field(name)}可选",
                    )
                ]
                if name in ("color", "size", "colour")
                else []
            )
        if name in product.attributes:
            value = product.attributes[name]
            if isinstance(value, bool):
                label = self.field(name)
                return [
                    self.b.attribute(
                        product,
                        name,
                        self.t(
                            f"{'yes, it is' if value else 'no, it is not'} {label}",
                            f"{'是' if value else '不是'}{label}的",
                        ),
                        value,
                    )
                ]
            return [self.attribute_text(product, name, value)]
        return []

    def say_compared(self, r: Result) -> str:
        items = r.products
        by = r.facts.get("by")
        among = [i.product_id for i in items]
        lines = []
        differing = [
            n
            for n in dict.fromkeys(k for i in items for k in i.hit.product.attributes)
            if not n.startswith("title")
            and len({repr(i.hit.product.attributes.get(n)) for i in items}) > 1
        ]
        for item in items[:4]:
            product = item.hit.product
            facts = [self.priced(item)]
            if product.rating is not None:
                facts.append(
                    self.b.rating(
                        product, self.t(f"rated {product.rating:g}", f"评分 {product.rating:g}")
                    )
                )
            names = ([by] if by and by in product.attributes else []) + [
                n for n in differing if n != by
            ]
            facts.extend(
                t
                for n in names[:4]
                if (t := self.attribute_text(product, n, product.attributes.get(n)))
            )
            lines.append((", " if not self.zh else "，").join(facts))
        body = ("; " if not self.zh else "；").join(lines)
        if by is None:
            asked = r.facts.get("asked_by")
            lead = (
                self.t(
                    f"Their records don't say the {self.field(asked)}. ",
                    f"资料里没有{self.field(asked)}。",
                )
                if asked
                else ""
            )
            return f"{lead}{body}."
        first = items[0].hit.product
        direction = "high" if r.facts.get("prefer") == "high" else "low"
        words = {
            ("price", "low"): ("the cheaper one", "更便宜的是"), ("price", "high"): ("the more expensive one", "更贵的是"), ("rating", "high"): ("the better rated one", "评分更高的是"),
        }.get((by, direction), (f"ahead in {self.field(by)}", f"{self.field(by)}更好的是"))  # fmt: skip
        if len(items) > 2 and by == "price":
            words = (
                ("the cheapest one", "最便宜的是")
                if direction == "low"
                else ("the most expensive one", "最贵的是")
            )
        value = first.attributes.get(by)
        claimed = not isinstance(value, bool)
        title = self.b.title(first)
        lead = self.t(f"{title} is {words[0]}. ", f"{words[1]}{title}。")
        if claimed:
            self.b.superlative(first, f"{by} {direction}", lead.strip(), among)
        return f"{lead}{body}."

    def say_explained(self, r: Result) -> str:
        item = r.products[0]
        parts = []
        met = [c for c in r.facts["constraints"] if c.field != "in_stock"]
        if met:
            words = listed([self.constraint(c) for c in met], self.b.locale)
            parts.append(
                self.t(f"it meets what you asked for ({words})", f"它符合您的要求（{words}）")
            )
        for reason in r.facts["reasons"]:
            text = self.reason(reason, r).rstrip("。.")
            if text:
                parts.append(text[0].lower() + text[1:] if not self.zh else text)
        if item.hit.product.rating is not None:
            parts.append(
                self.b.rating(
                    item.hit.product,
                    self.t(
                        f"buyers rate it {item.hit.product.rating:g} of 5",
                        f"买家评分 {item.hit.product.rating:g}",
                    ),
                )
            )
        if not parts:
            parts.append(self.t("it is among the most popular", "它很受欢迎"))
        title = self.b.title(item.hit.product)
        return self.t(
            f"I showed {title} because {'; '.join(parts)}.",
            f"推荐{title}的理由：{'；'.join(parts)}。",
        )

    def say_absent(self, r: Result) -> str:
        item = r.products[0]
        title = self.b.title(item.hit.product)
        broken = r.facts["broken"]
        if r.facts.get("bought"):
            return self.t(
                f"{title} was left out because you bought it already.",
                f"没有推荐{title}，因为您已经买过。",
            )
        if not broken:
            return self.t(
                f"{self.priced(item)} fits too; it is only further down the list.",
                f"{self.priced(item)}也符合，只是排在后面。",
            )
        names = []
        for c in broken:
            if c.field == "in_stock":
                names.append(
                    self.b.stock(item.hit.product, None, self.t("it is sold out", "已售罄"), False)
                    if not is_sold(item.hit.product)
                    else self.t("the form that fits is sold out", "符合的款式已售罄")
                )
            elif c.field == "price":
                limit = self.b.total(int(c.values[0]), "constraint:price")
                price = self.b.price(
                    item.hit.product,
                    item.hit.variant.variant_id if item.hit.variant else None,
                    item.hit.price_minor or 0,
                )
                names.append(
                    self.t(
                        f"it costs {price} and your limit is {limit}",
                        f"价格 {price}，您的限制是 {limit}",
                    )
                )
            else:
                names.append(
                    self.t(
                        f"it does not meet: {self.constraint(c)}", f"不满足：{self.constraint(c)}"
                    )
                )
        return self.t(
            f"{title} was left out: {listed(names)}.", f"没有列出{title}：{listed(names, 'zh')}。"
        )

    def say_reviewed(self, r: Result) -> str:
        item = r.products[0]
        product = item.hit.product
        title = self.b.title(product)
        reviews = r.facts["reviews"]
        if not reviews and product.rating is None:
            return self.t(f"There are no reviews of {title} yet.", f"{title}还没有评价。")
        head = title
        if product.rating is not None:
            head = self.t(f"{title}: ", f"{title}：") + self.b.rating(
                product,
                self.t(
                    f"{product.rating:g} of 5 stars from {count_noun(product.rating_count, 'rating')}",
                    f"{product.rating_count} 条评分，平均 {product.rating:g} 星",
                ),
            )
        heard: Heard = r.facts["heard"]
        counted = self.voices(product, heard)
        good, bad = aspects_of(reviews)
        liked = safe_all(
            [
                x.text
                for x in sorted(reviews, key=lambda x: -(x.rating or 3))
                if (x.rating or 3) >= 4
            ],
            limit=2,
        )
        faulted = safe_all(
            [x.text for x in sorted(reviews, key=lambda x: x.rating or 3) if (x.rating or 3) <= 3],
            limit=2,
        )
        if heard.liked or heard.criticised:  # the review model chose the sentences
            liked = tuple(self.b.review(product, i, s) for i, s in heard.liked)
            faulted = tuple(self.b.review(product, i, s) for i, s in heard.criticised)
        parts = [head, counted] if counted else [head]
        if liked:
            parts.append(self.t("Liked: ", "好评：") + " ".join(f"“{s}”" for s in liked))
        elif good:
            parts.append(self.t("Liked: ", "好评：") + listed(good, self.b.locale))
        if faulted:
            parts.append(self.t("Criticised: ", "差评：") + " ".join(f"“{s}”" for s in faulted))
        elif bad:
            parts.append(self.t("Criticised: ", "差评：") + listed(bad, self.b.locale))
        return (". " if not self.zh else "。").join(p.rstrip(".。") for p in parts) + self.t(
            ".", "。"
        )

    def voices(self, product: Product, heard: Heard) -> str:
        """Return how many reviews praise and fault a product; nothing for fewer than three."""
        if heard.total < 3 or not (heard.praise or heard.fault):
            return ""
        total = self.b.voices(product, "total", heard.total)
        praise = self.b.voices(product, "praise", heard.praise)
        fault = self.b.voices(product, "fault", heard.fault)
        return self.t(
            f"Of {total} reviews {praise} speak well of it and {fault} find fault",
            f"{total} 条评价中 {praise} 条好评、{fault} 条差评",
        )

    def say_unknown_product(self, r: Result) -> str:
        return self.t("I know of no such product here.", "这里没有这个商品。")

    # -- basket

    def basket_line(
        self, product: Product | None, variant_id: str | None, quantity: int, price: int | None
    ) -> str:
        if product is None:
            return ""
        variant = variant_of(product, variant_id)
        options = [safe_value(o) for o in option_text(variant)]
        inside = f" ({', '.join(options)})" if options else ""
        amount = (
            self.b.price(product, variant.variant_id if variant else variant_id, price)
            if price is not None
            else ""
        )
        return f"{quantity} × {self.b.title(product)}{inside} {self.t('at ', '')}{amount}"

    def contents(self, r: Result) -> str:
        lines = [
            self.basket_line(p, line.variant_id, line.quantity, price)
            for line, p, price in r.facts["lines"]
        ]
        total = self.b.total(r.facts["total_minor"], "basket:total")
        off = self.off(r)
        return self.t(
            f"{listed(lines)}.{off} Total {total}.", f"{listed(lines, 'zh')}。{off}合计 {total}。"
        )

    def off(self, r: Result) -> str:
        """Say what the offers on the basket take off; nothing where none does."""
        used = r.facts.get("used") or ()
        if not used:
            return ""
        parts = self.reductions(used)
        return self.t(f" {listed(parts)}.", f"{listed(parts, 'zh')}。")

    def reductions(self, used: Sequence[tuple[Any, str, int]]) -> list[str]:
        """Return "the offer ... takes ... off" for each offer used, five at most."""
        made = []
        for hit, title, minor in used[:5]:
            amount = self.b.total(minor, f"offer:{hit.product_id}")
            label = self.b.offer(hit.product, self.offer_name(title))
            made.append(self.t(f"“{label}” takes {amount} off", f"“{label}”减 {amount}"))
        return made

    def offer_name(self, title: str) -> str:
        """Name an offer by its title, unless that speaks to the machinery."""
        named = "" if addresses_machine(title) else safe_words(title, limit=40)
        return named or self.t("an offer", "优惠")

    def say_offers_on(self, r: Result) -> str:
        saved = self.b.total(r.facts["saved_minor"], "result:saved")
        total = self.b.total(r.facts["total_minor"], "basket:total")
        return self.t(
            f"Applied:{self.off(r)} You save {saved} and pay {total}. Say undo to take it back.",
            f"已使用：{self.off(r)}共省 {saved}，应付 {total}。说“撤销”可以取消。",
        )

    def say_offers_same(self, r: Result) -> str:
        total = self.b.total(r.facts["total_minor"], "basket:total")
        return self.t(
            f"Already on your basket:{self.off(r)} You pay {total}.",
            f"已经在用了：{self.off(r)}应付 {total}。",
        )

    def say_no_offer_fits(self, r: Result) -> str:
        total = self.b.total(r.facts["total_minor"], "basket:total")
        if not r.facts["named"]:
            return self.t(
                f"I know of no such offer of yours.{self.off(r)} Your total is {total}.",
                f"没有找到这样的优惠。{self.off(r)}合计 {total}。",
            )
        return self.t(
            f"No offer of yours takes anything more off this basket.{self.off(r)} Your total is {total}.",
            f"没有可以再减的优惠。{self.off(r)}合计 {total}。",
        )

    def say_offers_off(self, r: Result) -> str:
        total = self.b.total(r.facts["total_minor"], "basket:total")
        return self.t(
            f"Taken off; you can use it another time.{self.off(r)} Your total is {total}.",
            f"已取消，以后还可以使用。{self.off(r)}合计 {total}。",
        )

    def say_no_offer_on(self, r: Result) -> str:
        total = self.b.total(r.facts["total_minor"], "basket:total")
        return self.t(
            f"No such offer is on your basket.{self.off(r)} Your total is {total}.",
            f"购物车没有使用这样的优惠。{self.off(r)}合计 {total}。",
        )

    def say_basket(self, r: Result) -> str:
        return self.t("Your basket: ", "您的购物车：") + self.contents(r)

    def say_empty(self, r: Result) -> str:
        return self.t("Your basket is empty.", "您的购物车是空的。")

    def say_added(self, r: Result) -> str:
        item = r.products[0]
        variant = item.hit.variant
        options = [safe_value(o) for o in option_text(variant)]
        inside = f" ({', '.join(options)})" if options else ""
        total = self.b.total(r.facts["total_minor"], "basket:total")
        added = self.b.count(r.facts["added"], "result:added")
        title = self.b.title(item.hit.product)
        minor = line_price(item.hit.product, variant.variant_id if variant else None)
        each = (
            self.b.price(item.hit.product, variant.variant_id if variant else None, minor)
            if minor is not None
            else ""
        )
        have = (
            self.t(f", {r.facts['quantity']} in all", f"，共 {r.facts['quantity']} 件")
            if r.facts["before"]
            else ""
        )
        return self.t(
            f"Added {added} × {title}{inside} at {each}{have}. Basket total {total}.",
            f"已加入 {added} 件 {title}{inside}，单价 {each}{have}。购物车合计 {total}。",
        )

    def say_set(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        total = self.b.total(r.facts["total_minor"], "basket:total")
        n = self.b.count(r.facts["quantity"], "basket:quantity")
        return self.t(
            f"Your basket now holds {n} × {title}. Total {total}.",
            f"购物车里现在有 {n} 件 {title}。合计 {total}。",
        )

    def say_removed(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        rest = (
            self.t(
                f"Total {self.b.total(r.facts['total_minor'], 'basket:total')}.",
                f"合计 {self.b.total(r.facts['total_minor'], 'basket:total')}。",
            )
            if r.facts["lines"]
            else self.t("Your basket is empty now.", "购物车现在是空的。")
        )
        return self.t(f"Removed {title}. {rest}", f"已移除 {title}。{rest}")

    def say_not_in_basket(self, r: Result) -> str:
        return self.t("That is not in your basket.", "购物车里没有这个商品。")

    def say_cleared(self, r: Result) -> str:
        return self.t(
            "Your basket is empty now. Say undo to bring it back.",
            "购物车已清空，说“撤销”可以恢复。",
        )

    def say_swapped(self, r: Result) -> str:
        new, old = r.products[0], r.facts["old"]
        saved = r.facts["saved_minor"]
        gain = (
            self.t(
                f", saving {self.b.total(saved, 'result:saved')}",
                f"，省 {self.b.total(saved, 'result:saved')}",
            )
            if saved > 0
            else ""
        )
        return self.t(
            f"Swapped {self.b.title(old.hit.product)} for {self.priced(new)}{gain}. Total {self.b.total(r.facts['total_minor'], 'basket:total')}.",
            f"已把{self.b.title(old.hit.product)}换成{self.priced(new)}{gain}。合计 {self.b.total(r.facts['total_minor'], 'basket:total')}。",
        )

    def say_no_swap(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        if r.facts.get("target") == "store_brand":
            return self.t(
                f"There is no store-brand alternative to {title} in stock.",
                f"{title}没有自有品牌的替代品。",
            )
        return self.t(
            f"{title} is already the cheapest of its kind in stock.",
            f"{title}已经是同类中最便宜的。",
        )

    def say_ask_option(self, r: Result) -> str:
        title = self.b.title(r.facts["title_of"].hit.product)
        words = listed([safe_value(v) for v in r.choices], self.b.locale, "or")
        return self.t(
            f"Which {self.field(r.facts['option'])} of {title} would you like: {words}?",
            f"{title}要哪个{self.field(r.facts['option'])}：{words}？",
        )

    def say_sold_out(self, r: Result) -> str:
        item = r.products[0]
        title = self.b.title(item.hit.product)
        self.b.stock(item.hit.product, None, "sold out", False) if not is_sold(
            item.hit.product
        ) else None
        others = r.facts.get("alternatives", ())
        more = (
            self.t(
                f" In stock instead: {self.names([Item(h) for h in others], 2)}.",
                f" 有货的同类：{self.names([Item(h) for h in others], 2)}。",
            )
            if others
            else ""
        )
        return self.t(
            f"{title} is sold out, so I did not add it (out of stock).{more}",
            f"{title}已售罄（缺货），没有加入购物车。{more}",
        )

    def say_unknown(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        words = listed([safe_value(v) for v in r.choices], self.b.locale, "or")
        wanted = safe_words(str(r.facts.get("wanted", "")))
        if not words:
            return self.t(f"{title} does not come in {wanted}.", f"{title}没有{wanted}。")
        return self.t(
            f"{title} does not come in {wanted}. In stock: {words}. Which would you like?",
            f"{title}没有{wanted}。有货的：{words}。要哪个？",
        )

    def say_unknown_stock(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        words = listed([safe_value(v) for v in r.choices], self.b.locale, "or")
        wanted = safe_words(str(r.facts.get("wanted", "")))
        return self.t(
            f"{title} in {self.field(r.facts.get('option') or '')} {wanted} is sold out (out of stock). In stock: {words}. Which would you like?".replace(
                "  ", " "
            ),
            f"{title}的{wanted}已售罄（缺货）。有货的：{words}。要哪个？",
        )

    def say_too_many(self, r: Result) -> str:
        item = r.products[0]
        variant = item.hit.variant
        title = self.b.title(item.hit.product)
        stock = r.facts["stock"]
        left = self.b.stock(
            item.hit.product,
            variant.variant_id if variant and variant.stock == stock else None,
            str(stock),
            stock if variant and variant.stock == stock else None,
        )
        return self.t(
            f"There are only {left} of {title} in stock, so I changed nothing. How many would you like?",
            f"{title}只剩 {left} 件，因此没有更改。要几件？",
        )

    # -- checkout

    def say_preview(self, r: Result) -> str:
        return self.t(
            f"Please confirm: {self.contents(r)}{self.could_save(r)} Shall I place this order?",
            f"请确认：{self.contents(r)}{self.could_save(r)}要下单吗？",
        )

    def could_save(self, r: Result) -> str:
        """Say that the visitor's offers would take more off; nothing where they would not."""
        more = r.facts.get("could_save_minor", 0)
        if more <= 0:
            return ""
        amount = self.b.total(more, "result:could_save")
        return self.t(
            f" Your offers would take {amount} more off; say apply my offers to use them.",
            f"您的优惠券还可以再省 {amount}，说“使用优惠券”即可。",
        )

    def say_changed(self, r: Result) -> str:
        return self.t(
            f"Your basket or a price changed since, so please confirm again: {self.contents(r)} Shall I place this order?",
            f"购物车或价格有变化，请重新确认：{self.contents(r)}要下单吗？",
        )

    def say_short(self, r: Result) -> str:
        names = [
            self.t(f"{self.b.title(p)} ({n} left)", f"{self.b.title(p)}（剩 {n} 件）")
            for p, n in r.facts["short"]
        ]
        return self.t(
            f"I can't order that: not enough stock of {listed(names)}. Please change the quantity.",
            f"无法下单，库存不足：{listed(names, 'zh')}。请修改数量。",
        )

    def say_no_consent(self, r: Result) -> str:
        return self.t(
            "There is nothing waiting for that confirmation, so I placed nothing. Say checkout to see your basket's total.",
            "没有等待该确认的操作，因此没有下单。说“结账”可以查看合计。",
        )

    def say_ordered(self, r: Result) -> str:
        order = r.facts["order"]
        total = self.b.total(order.total_minor or 0, f"order:{order.order_id}")
        saved = r.facts.get("saved_minor", 0)
        gain = (
            self.t(
                f", {self.b.total(saved, 'result:saved')} of offers taken off",
                f"，优惠已减 {self.b.total(saved, 'result:saved')}",
            )
            if saved
            else ""
        )
        return self.t(
            f"Thank you, order {order.order_id} is placed: {total}{gain}.",
            f"谢谢，订单 {order.order_id} 已提交：{total}{gain}。",
        )

    def say_cancelled(self, r: Result) -> str:
        return self.t(
            "All right, I did not order anything. Your basket is as it was.",
            "好的，没有下单，购物车保持不变。",
        )

    def say_nothing_pending(self, r: Result) -> str:
        return self.t("There is nothing to cancel.", "没有需要取消的操作。")

    # -- records

    def say_orders(self, r: Result) -> str:
        parts = []
        for order in r.facts["orders"][-5:]:
            lines = [
                f"{line.quantity} × {self.b.title(p)}"
                for line in order.lines
                if (p := r.facts.get("products_of", {}).get(line.product_id)) is not None
            ]
            total = (
                self.b.total(order.total_minor, f"order:{order.order_id}")
                if order.total_minor is not None
                else ""
            )
            parts.append(
                self.t(
                    f"{order.order_id} ({safe_words(order.status)}): {listed(lines)}, {total}",
                    f"{order.order_id}（{safe_words(order.status)}）：{listed(lines, 'zh')}，{total}",
                ).rstrip(", ，")
            )
        return (
            self.t("Your orders: ", "您的订单：")
            + ("; ".join(parts) if not self.zh else "；".join(parts))
            + self.t(".", "。")
        )

    def say_no_orders(self, r: Result) -> str:
        return self.t("You have no orders yet.", "您还没有订单。")

    def say_no_such_order(self, r: Result) -> str:
        return self.t("I find no such order among yours.", "在您的订单里没有找到它。")

    def say_wishlist(self, r: Result) -> str:
        return self.t(
            f"On your wishlist: {self.names(r.products, 6)}.",
            f"您的收藏：{self.names(r.products, 6)}。",
        )

    def say_empty_wishlist(self, r: Result) -> str:
        return self.t("Your wishlist is empty.", "您的收藏是空的。")

    def say_wished(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        return self.t(f"{title} is on your wishlist now.", f"已收藏{title}。")

    def say_unwished(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        return self.t(f"{title} is off your wishlist.", f"已从收藏移除{title}。")

    def say_already_wished(self, r: Result) -> str:
        title = self.b.title(r.products[0].hit.product)
        return self.t(f"{title} is on your wishlist already.", f"{title}已在收藏里。")

    def say_not_wished(self, r: Result) -> str:
        return self.t("That is not on your wishlist.", "收藏里没有这个商品。")

    def say_preferred(self, r: Result) -> str:
        key, value = self.field(r.facts["key"]), safe_words(r.facts["value"])
        return self.t(
            f"Noted: {key} {value}. Say undo to take it back.",
            f"已记住：{key} {value}。说“撤销”可以取消。",
        )

    def say_unpreferred(self, r: Result) -> str:
        key = self.field(r.facts["key"])
        return self.t(f"Forgotten: your {key}.", f"已忘记：{key}。")

    def say_profile(self, r: Result) -> str:
        preferences = [
            f"{self.field(k)}: {safe_words(str(v))}" for k, v in r.facts["preferences"].items()
        ]
        bought = [self.b.title(i.hit.product) for i in r.facts["bought"][-12:]]
        viewed = [self.b.title(i.hit.product) for i in r.facts["viewed"][-5:]]
        parts = []
        if preferences:
            parts.append(self.t("preferences: ", "偏好：") + listed(preferences, self.b.locale))
        if bought:
            parts.append(self.t("bought: ", "买过：") + listed(bought, self.b.locale))
        if viewed:
            parts.append(self.t("looked at: ", "看过：") + listed(viewed, self.b.locale))
        if not parts:
            return self.t(
                "I have nothing stored about you: no preferences and no purchases.",
                "我没有保存您的任何偏好或购买记录。",
            )
        return (
            self.t("This is what I know about you. ", "我所知道的：")
            + ("; ".join(parts) if not self.zh else "；".join(parts))
            + self.t(". Say forget me and it is erased.", "。说“忘记我”即可删除。")
        )

    def say_forgotten(self, r: Result) -> str:
        return self.t(
            "Done: your preferences, history and basket are erased.",
            "已删除您的偏好、历史和购物车。",
        )

    def say_undone(self, r: Result) -> str:
        body = (
            self.contents(r)
            if r.facts.get("lines")
            else self.t("Your basket is empty.", "购物车是空的。")
        )
        return self.t(f"Taken back. {body}", f"已撤销。{body}")

    def say_nothing_to_undo(self, r: Result) -> str:
        return self.t("There is nothing to undo.", "没有可以撤销的操作。")

    # -- talk

    def say_asked(self, r: Result) -> str:
        about = r.facts["about"]
        if about == "which_product":
            names = listed([self.b.title(i.hit.product) for i in r.products], self.b.locale, "or")
            return self.t(f"Which one do you mean: {names}?", f"您指的是哪一个：{names}？")
        return {
            "empty": self.t("What are you looking for?", "您想找什么？"),
            "what": self.t(
                "I did not get that. Tell me what you are looking for, for instance a kind of product and a price.",
                "我没有听懂。请告诉我想找什么，例如种类和价格。",
            ),
            "what_product": self.t("Which product do you mean?", "您指的是哪个商品？"),
            "quantity": self.t(
                "How many would you like? Please give a whole number.", "要几件？请给一个整数。"
            ),
            "compare_what": self.t("Which products shall I compare?", "要比较哪些商品？"),
            "bundle_what": self.t(
                "What shall it be for, and what is your budget?", "用途是什么，预算多少？"
            ),
            "currency": self.t(
                f"I have no exchange rate for {safe_words(r.facts.get('subject', ''))}. What would that be in {self.b.currency}?",
                f"我没有 {safe_words(r.facts.get('subject', ''))} 的汇率，折合 {self.b.currency} 是多少？",
            ),
            "no_such_place": self.t(
                "There are not that many in the list. Which one do you mean?",
                "列表里没有这么多，您指的是哪一个？",
            ),
            "cancel_what": self.t(
                "What shall I cancel? Say undo to take back the last change.",
                "要取消什么？说“撤销”可以取消上一步。",
            ),
        }.get(about, self.t("Could you say that another way?", "能换个说法吗？"))

    def say_told(self, r: Result) -> str:
        about = r.facts["about"]
        if about == "too_many" and r.facts.get("title_of") is not None:
            return self.t(
                f"That is more of {self.b.title(r.facts['title_of'].hit.product)} than there is, so I changed nothing.",
                f"数量超过{self.b.title(r.facts['title_of'].hit.product)}的库存，没有更改。",
            )
        return {
            "nothing_pending": self.t(
                "There is nothing waiting for a yes. Say checkout when you are ready to order.",
                "目前没有等待确认的操作。准备好了可以说“结账”。",
            ),
            "unknown_product": self.t("I know of no such product here.", "这里没有这个商品。"),
            "not_in_basket": self.t("That is not in your basket.", "购物车里没有这个商品。"),
            "empty_basket": self.t("Your basket is empty.", "您的购物车是空的。"),
            "not_on_wishlist": self.t("That is not on your wishlist.", "收藏里没有这个商品。"),
            "no_search": self.t("There is no such limit in force.", "目前没有这个限制。"),
        }.get(about, self.t("I can't do that.", "我做不到。"))

    def say_declined(self, r: Result) -> str:
        reason = r.facts["reason"]
        if reason == "privacy":
            return self.t(
                "I can only show what belongs to you, not other people's data.",
                "我只能显示您自己的信息，不能查看他人的数据。",
            )
        if reason == "machinery":
            return self.t(
                "I can't do that. I can help you find, compare and order products.",
                "这个我不能做。我可以帮您找商品、比较和下单。",
            )
        if reason == "service":
            return self.t(
                "I know nothing about shipping, payment, returns or stores; please see the shop's "
                "help pages. I can help you find, compare and order products.",
                "我不了解运费、付款、退货或门店的信息，请查看商店的帮助页面。我可以帮您找商品、比较和下单。",
            )
        return self.t(
            "That is outside what I can help with here. I can help you find, compare and order products.",
            "这超出了我的范围。我可以帮您找商品、比较和下单。",
        )

    def say_said(self, r: Result) -> str:
        about = r.facts["about"]
        return {
            "greeting": self.t("Hello! What are you looking for?", "您好！想找点什么？"),
            "thanks": self.t("You're welcome.", "不客气。"),
            "farewell": self.t("Goodbye!", "再见！"),
            "identity": self.t("I am the shop's assistant, a program.", "我是商店的助手程序。"),
            "acknowledge": self.t("All right.", "好的。"),
            "help": self.t(
                "I can search, narrow down, compare and explain products, put together a set for a budget, manage your basket and wishlist, show your orders and offers, and forget what I know about you.",
                "我可以搜索、筛选、比较商品，按预算搭配，管理购物车和收藏，查看订单和优惠，也可以忘记您的信息。",
            ),
        }[about]


__all__ = ["Writer", "count_noun", "listed", "public_names"]

# ruff: noqa: E501
"""The service's reasons in the page's language.

They come as English sentences with data in them; those that are known are said in Chinese, any
other stays as it came.
"""

import re

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip
_DAY = rf"(\d{{1,2}}) ({'|'.join(_MONTHS)})"
_REASONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Popular in the shop now", "店里正热卖"),
        (r"Chosen by the shop", "店家精选"),
        (r"New here: we are finding out who likes it", "新品：看看谁会喜欢"),
        (r"New here, and likely something for you", "新品，可能适合你"),
        (r"New in the shop", "店里的新品"),
        (r"New; much like (.+)", "新品，与{0}相近"),
        (r"In this week's mailer or on display", "本周宣传册或陈列商品"),
        (r"Similar to what you are looking at", "与你正在看的商品相似"),
        (
            rf"You bought it (\d+) times, about every (\d+) days; last on {_DAY}",
            "你买过 {0} 次，约每 {1} 天一次，最近一次是 {3} {2} 日",
        ),
        (rf"You bought it on {_DAY}", "你在 {1} {0} 日买过"),
        (r"You looked at it", "你看过它"),
        (r"You put into your basket it", "你放进过购物篮"),
        (r"You just bought it", "你刚买过"),
        (r"You rated it", "你评价过它"),
        (r"You looked at (.+)", "因为你看过{0}"),
        (r"You put into your basket (.+)", "因为你把{0}放进了购物篮"),
        (r"You just bought (.+)", "因为你刚买了{0}"),
        (r"You rated (.+)", "因为你评价过{0}"),
        (r"Often bought by people who buy (.+), as you do", "买{0}的人常买它，你也买过"),
        (r"Popular among people like you: (.+)", "与你相似的顾客爱买：{0}"),
        (r"Popular among (\d+) people you are connected with", "你认识的 {0} 人爱买"),
        (
            r"No single group of your purchases put it here: it would stand anyway",
            "不因你某一类购买：没有它们也会排在这里",
        ),
    )
)
_WITHOUT = re.compile(
    r"(?P<why>.+)\. Without (?P<what>(?:\d+ (?:events?|purchases?)(?: and )?)+) of yours it would be "
    r"(?P<then>\d+)\w{2} instead of (?P<now>\d+)\w{2}"
)
_ORIGINS = {
    "popularity": "热卖", "sequence": "购买顺序", "item knn": "常一起买", "repeat": "再次购买",
    "content": "相似内容", "graph": "购买关系", "segment": "相似顾客", "promoted": "宣传", "pinned": "店家精选",
    "exploration": "新品试推", "lexical": "字面相符", "dense": "意思相近", "search": "搜索",
}  # fmt: skip


def in_words(reason: str, language: str) -> str:
    """Return a reason in a language; as it came where it is not known.

    >>> in_words("You bought it on 3 May", "zh")
    '你在 5月 3 日买过'
    >>> in_words("Popular in the shop now. Without 2 events of yours it would be 9th instead of 3rd", "zh")
    '店里正热卖。没有你的 2 次浏览，它会排第 9，而不是第 3'
    """
    if language != "zh":
        return reason
    found = _WITHOUT.fullmatch(reason)
    if found is not None:
        what = re.sub(r"(\d+) events?", r"\1 次浏览", found["what"])
        what = re.sub(r"(\d+) purchases?", r"\1 次购买", what).replace(" and ", "和")
        return (
            f"{in_words(found['why'], language)}。没有你的 {what}，"
            f"它会排第 {found['then']}，而不是第 {found['now']}"
        )
    for pattern, words in _REASONS:
        match = pattern.fullmatch(reason)
        if match is not None:
            groups = [f"{_MONTHS.index(g) + 1}月" if g in _MONTHS else g for g in match.groups()]
            return words.format(*groups)
    return reason


def origin_in_words(origin: str, language: str) -> str:
    """Return who put a product forward, in a language."""
    name = origin.replace("_", " ")
    return _ORIGINS.get(name, name) if language == "zh" else name

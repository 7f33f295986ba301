# ruff: noqa: E501 (an alternation reads best on its line)
"""How people say prices, sizes, ratings, negation and wishes, in English and Chinese.

Regular expressions and word lists only; `components.search.query` gives them their meaning.
"""

import re

from components.data.words import UNITS

MINOR = {"JPY": 0, "KRW": 0, "VND": 0}
CURRENCIES = {
    "$": "USD", "usd": "USD", "dollar": "USD", "buck": "USD", "美元": "USD", "美金": "USD", "刀": "USD",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP", "quid": "GBP",
    "pound sterling": "GBP", "英镑": "GBP", "¥": "CNY", "￥": "CNY", "cny": "CNY", "rmb": "CNY", "yuan": "CNY",
    "元": "CNY", "块": "CNY", "块钱": "CNY", "元钱": "CNY", "人民币": "CNY", "yen": "JPY", "jpy": "JPY", "日元": "JPY",
}  # fmt: skip
LOOSE = ("元", "块", "块钱", "元钱")  # everyday words for money: the shop's own unit without rates
SIGNS = "$€£¥￥"
ZH_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
N = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
WORDS_MONEY = r"us dollars?|dollars?|bucks?|usd|euros?|eur|quid|pounds? sterling|gbp|yuan|rmb|cny|yen|jpy|cents?"
ZH_MONEY = "美元|美金|刀|欧元|英镑|人民币|日元|块钱|元钱|元|块"
ZH_N = r"[零一二两三四五六七八九十百千万〇]+"


def money(name: str) -> str:
    """Return a pattern for an amount of money; group `name` + n (number), s (sign), w (word)."""
    return (
        rf"(?:(?P<{name}s>[{SIGNS}]|us\$)\s*)?(?P<{name}n>{N}|{ZH_N})(?![\d])"
        rf"(?:\s*(?P<{name}w>{WORDS_MONEY}|{ZH_MONEY}|[{SIGNS}]))?"
    )


UNIT_AHEAD = "|".join(
    sorted((re.escape(u) for u in UNITS if u not in ("pound", "pounds")), key=len, reverse=True)
)
# What may not follow an amount that is to be a price, unless it carries a sign ("$8 in stock").
NO_UNIT = rf"(?!\s*-?\s*(?!in[ -]stock)(?:{UNIT_AHEAD}|stars?|star|星|%|packs?|pk|hours?|reviews?)(?![a-z]))"
UNSIGNED = rf"(?(as)|{NO_UNIT})"
UNSIGNED_RANGE = rf"(?(bs)|{UNSIGNED})"
STRICT_MAX = r"under|below|less than|cheaper than|lower than|beneath|smaller than|fewer than|<(?!=)"
LOOSE_MAX = (
    r"up to|at most|no more than|not more than|max(?:imum)?(?: of)?|not over|within|<=|not above"
    r"|(?:my |a )?budget (?:of|is)|for less than|no higher than|not exceeding|or less than"
)
MIN = r"over|above|more than|at least|min(?:imum)?(?: of)?|starting (?:at|from)|from|>=?|no less than|dearer than"
PRICE_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("range", rf"(?:price[ds]? )?(?:between|from)\s+{money('a')}\s*(?:and|to|-|–)\s*{money('b')}{UNSIGNED_RANGE}"),
        ("range", rf"(?<![\w.]){money('a')}\s*(?:到|至|~|－|—)\s*{money('b')}(?:之间|左右)?"),
        ("signed_range", rf"(?<![\w.]){money('a')}\s*(?:-|–|to)\s*{money('b')}{UNSIGNED_RANGE}"),
        ("around", rf"(?:around|about|roughly|approximately|circa|~)\s*{money('a')}{UNSIGNED}"),
        ("around_zh", rf"{money('a')}\s*(?:左右|上下)"),
        ("below_zh", rf"(?:低于|少于|不到|小于|便宜过|低過)\s*{money('a')}"),
        ("most_zh", rf"(?:不超过|不高于|最多|至多|不要超过|别超过|预算)\s*(?:是|在)?\s*{money('a')}"),
        ("least_zh", rf"(?:超过|高于|多于|大于|至少|不低于|最少)\s*{money('a')}"),
        ("most_zh", rf"(?<![\w.]){money('a')}\s*(?:以下|以内|之内|内|封顶)"),
        ("least_zh", rf"(?<![\w.]){money('a')}\s*(?:以上|起)"),
        ("below", rf"(?:price[ds]? |costs? |costing |for )?(?:{STRICT_MAX})\s*{money('a')}{UNSIGNED}"),
        ("most", rf"(?:price[ds]? |costs? |costing |for )?(?:{LOOSE_MAX})\s*{money('a')}{UNSIGNED}"),
        ("least", rf"(?:price[ds]? |costs? |costing )?(?:{MIN})\s*{money('a')}{UNSIGNED}"),
        ("most", rf"(?<![\w.]){money('a')}\s*(?:or less|or under|or cheaper|max(?:imum)?|tops|at most)\b"),
        ("least", rf"(?<![\w.]){money('a')}\s*(?:or more|and up|and above|and over|\+)(?=\W|$)"),
    )
)  # fmt: skip
RATING = re.compile(
    r"(?:(?:rated|rating|with|of)\s+)*(?:(?:at least|over|above|min(?:imum)?|more than|>=?)\s*)?"
    r"(?P<n>[1-5](?:\.\d)?)\s*(?:\+\s*)?(?:-?\s*stars?)(?:\s*(?:and (?:up|above)|or (?:more|better|higher)|\+|rating))*"
    r"|(?:rated|rating)\s+(?:at least|over|above|of|min(?:imum)?|>=?)?\s*(?P<m>[1-5](?:\.\d)?)(?:\s*(?:\+|and up|or (?:more|better|higher)))?"
    r"|(?P<z>[1-5](?:\.\d)?|[一二三四五])\s*(?:颗)?星(?:级)?(?:\s*(?:以上|或以上|及以上))?",
    re.IGNORECASE,
)
STOCK = re.compile(
    r"\b(?:in[ -]stock|available (?:now|today)|ready to ship|only available)\b|有货|现货",
    re.IGNORECASE,
)
OFFER = re.compile(
    r"\b(?:on sale|on (?:special )?offer|on promotion|on special|discounted|special offers?|with (?:a )?discount"
    r"|(?:deals?|promotions?|offers?) (?:on|for)|promotional)\b|打折|促销|特价|优惠(?:的)?|折扣",
    re.IGNORECASE,
)
SORTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("price", r"\b(?:cheapest|lowest[ -]priced?|least expensive|low(?:est)? price first|sort(?:ed)? by price|price low to high)\b|最便宜(?:的)?|价格最低(?:的)?"),
        ("-price", r"\b(?:most expensive|priciest|dearest|highest[ -]priced?|price high to low)\b|最贵(?:的)?"),
        ("rating", r"\b(?:best|top|highest)[ -](?:rated|reviewed|rating)\b|\bbest reviews?\b|评分最高(?:的)?|评价最好(?:的)?|好评(?:最多)?(?:的)?"),
        ("newest", r"\b(?:newest|latest|most recent|new arrivals?)\b|最新(?:的)?|新品"),
    )
)  # fmt: skip
SHOE_SIZE = re.compile(
    r"\b(?:in )?size\s*(?P<v>\d{1,3}(?:\.\d)?|[x]{0,3}[sml]|small|medium|large)\b|(?P<z>\d{2,3})\s*(?:码|号)",
    re.IGNORECASE,
)
SIZE_UNITS = "|".join(sorted((re.escape(u) for u in UNITS), key=len, reverse=True))
SIZE = re.compile(
    rf"(?<![\w.$€£])(?P<n>{N})\s*-?\s*(?P<u>fl\.?\s*oz|{SIZE_UNITS})(?![a-z])", re.IGNORECASE
)
NEGATION = re.compile(
    r"\b(?:but not|and not|not from|not by|not in|nothing|not|no|without|with no|excluding|exclude|except(?: for)?"
    r"|other than|anything but|avoid|minus|isn't|isnt|is not|aren't|arent|free of|don't want|dont want|do not want|hate)\b"
    r"|(?:不要|不含|不带|别要|除了|(?<!有)没有|不是|不想要|不需要|去掉|排除)",
    re.IGNORECASE,
)  # fmt: skip
NEGATION_END = re.compile(
    r"[.;!?。；！？]|\b(?:but|with|under|below|over|above|between|from \d|less than|more than|please|that|which|for|in|size|cheaper|"
    r"at (?:least|most)|up to|around|about)\b|[，,](?!\s*(?:and|or|nor)\b)|的",
    re.IGNORECASE,
)
NEGATION_PARTS = re.compile(r"\b(?:or|nor|and|any)\b|[，,、/]|和|或者?|以及", re.IGNORECASE)
NEGATION_FILLERS_TEXT = """
either too also neither instead rather a an the any made of containing contain contains with from by please one ones thing things stuff
kind type that is are have has flavor flavored flavour flavoured based brand product products
item items s
"""
NEGATION_FILLERS = frozenset(NEGATION_FILLERS_TEXT.split())
STOP_WORDS_TEXT = """
either too neither instead rather a an the i me my we you your it its is are am be do does did can could would will shall may have
has had to of for and or in on at by with from that this these those some any all please show
find get give want need needs looking look search buy purchase shop shopping something anything
thing things stuff what which who where there here also just only really very good nice best
great cheap cheaper inexpensive affordable budget price priced cost costs costing let lets us
like d s m im id ive am go into put about as so if then than one ones them they us order tell
recommend suggest kind sort type brand brands products product items item available sell selling
got
"""
STOP_WORDS = frozenset(STOP_WORDS_TEXT.split())
ZH_STOP_TEXT = """
的 了 吗 呢 吧 啊 我 你 想 要 买 找 请 给 帮 有 有没有 一些 一个 一下 什么 哪些 哪个 推荐 看看 看 能 可以 想要 需要 最 好 便宜 一点 一点的 点 便宜的 和 或
在 是 这 那 个 款 种 适合 用 用的 来 钱 价格 贵 之间 左右 以下 以上 怎么 东西 完
"""
ZH_STOP = frozenset(ZH_STOP_TEXT.split())
CHAT = re.compile(
    r"^\s*(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|thanks?(?: you| a lot| so much)?|thank you(?: very much)?|bye|goodbye|see you"
    r"|how are you(?: doing)?(?: today)?|who are you|what(?:'s| is) your name|you are (?:great|nice|awesome)|tell me a joke|lol|ok(?:ay)?|cool"
    r"|你好|您好|谢谢(?:你)?|再见|早上好|晚上好|你是谁|讲个笑话|哈哈)[\s!.?,。！？～~]*(?:there|everyone|all|friend|啊|呀)?[\s!.?。！？]*$",
    re.IGNORECASE,
)
REPLENISH = re.compile(
    r"\b(?:my usual|the usual|usual (?:order|groceries|shopping|stuff)|re-?order|buy again|order again|again please|running low|run(?:ning)? out(?: of)?"
    r"|re-?stock|refill|replenish|same as last (?:time|week|month)|last (?:order|basket|purchase)|what i (?:usually|normally|always) (?:buy|get|order)"
    r"|i (?:usually|always|normally) (?:buy|get|order)|due for|bought (?:before|last (?:time|week)))\b"
    r"|老样子|照旧|常买|再来一份|再买一次|上次买的|快用完|用完了|快没了|补货|复购|平时买",
    re.IGNORECASE,
)  # fmt: skip
QUESTION = re.compile(
    r"^\s*(?:how|why|when|where|who|whose|is|are|does|do|did|can|could|should|will|would|what(?:'s| is| are| does)?|which)\b.*"
    r"|.*(?:吗|呢|么|怎么|如何|为什么|多少钱|哪个|哪种|什么时候|是否|能不能|几天)[？?]?\s*$|.*[?？]\s*$",
    re.IGNORECASE | re.DOTALL,
)
WANTS = re.compile(
    r"^\s*(?:do you (?:have|sell|carry|stock)|have you got|can (?:you|i) (?:show|find|get|give|buy|see|have|order)|could you (?:show|find)|what\b.*\b(?:do you have|have you got|are there|can i buy)"
    r"|are there any|is there any|which\b.*\bdo you (?:have|sell)|where can i find|would you (?:show|find))|有没有|有(?!什么区别).{1,12}吗",
    re.IGNORECASE,
)
OPPOSITE = {"wired": "wireless", "non electric": "electric", "manual": "electric", "decaf": "caffeine", "decaffeinated": "caffeine"}  # fmt: skip


QUERY_WORDS_TEXT = """
under below less than cheaper over above more between around about least most without not no
nothing except excluding exclude other anything but avoid hate compare again usual reorder
restock low running out cheapest hello hi hey thanks thank bye how why when where who should
gluten lactose dairy vegan vegetarian organic halal kosher keto difference between today tomorrow yes ok okay either neither instead rather too also well way
cook thing gift present birthday christmas woman man boy girl mom dad friend wife husband
beginner
"""
QUERY_WORDS = frozenset(QUERY_WORDS_TEXT.split())

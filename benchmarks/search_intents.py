# ruff: noqa: E501 (patterns and wordings read best on their lines)
"""Fit and judge the intents of queries: `python -m benchmarks.search_intents`.

Queries are put together from wordings and a catalogue's own kinds, brands, titles and values, so
that their intent is known from how they were made. The weights are fitted on the wordings of
`FIT`, the temperature on wordings left out of the fit fold by fold; `HELD_OUT` holds other
wordings that nothing was fitted on, and they are asked of catalogues that were not used either.
Writes `components/search/intents.json` and `reports/search_intents.json`.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import Layout
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.data.words import UNITS, stems
from components.evaluate.report import write_report
from components.search.intents import FEATURES, INTENTS, IntentModel, evidence_of, load_model
from components.search.lexicon import load_lexicon
from components.search.query import parse_query
from components.search.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
SEED = 7
WEIGHTS = Path("components/search/intents.json")
THINGS = (
    ("Kettle", "Kitchen"), ("Toaster", "Kitchen"), ("Frying pan", "Kitchen"), ("Knife", "Kitchen"),
    ("Desk lamp", "Lighting"), ("Floor lamp", "Lighting"), ("Bulb", "Lighting"), ("Chair", "Furniture"),
    ("Desk", "Furniture"), ("Shelf", "Furniture"), ("Backpack", "Bags"), ("Suitcase", "Bags"),
    ("Running shoes", "Shoes"), ("Sandals", "Shoes"), ("Boots", "Shoes"), ("Jacket", "Clothing"),
    ("T-shirt", "Clothing"), ("Socks", "Clothing"), ("Headphones", "Audio"), ("Speaker", "Audio"),
    ("Keyboard", "Computers"), ("Mouse", "Computers"), ("Monitor", "Computers"), ("Tent", "Camping"),
    ("Sleeping bag", "Camping"), ("Shampoo", "Care"), ("Soap", "Care"), ("Toothbrush", "Care"),
)  # fmt: skip
COLOURS = ("black", "white", "teal", "red", "green", "silver")
MATERIALS = ("steel", "wool", "cotton", "leather", "bamboo", "glass")
# Things that one shop or the other lacks: a shopper who asks for them wants a shelf, not a talk.
ABSENT = (
    "lobster", "okra", "violin", "saddle", "kimchi", "chorizo", "trumpet", "canoe", "anvil", "kayak",
    "piano", "tractor", "couscous", "falafel", "harmonica", "snorkel", "parachute", "easel", "hammock",
    "trampoline", "accordion", "bagpipes", "caviar", "crowbar", "wheelbarrow", "surfboard", "telescope",
    "tambourine", "venison", "sundial", "chisel", "lathe", "oboe", "pheasant", "quiver", "rudder",
)  # fmt: skip
ABSENT_HELD_OUT = (
    "xylophone", "quinoa", "crayfish", "cello", "chainsaw", "greenhouse", "skateboard", "flute",
    "hummus", "kohlrabi", "microscope", "oyster", "pickaxe", "rickshaw", "scythe", "ukulele", "wetsuit",
)  # fmt: skip
TEMPERATURES = tuple(round(0.6 + 0.1 * n, 1) for n in range(30))
FIT: Mapping[str, tuple[str, ...]] = {
    "navigational": (
        "{title}", "{title}", "{title}", "{brand}", "{brand}", "{start}", "{start}",
        "{brand} products", "{title}?", "show me {title}", "find {title}", "buy {title}",
        "the {title}", "{start} please",
    ),
    "category": (
        "{kind}", "{kind}", "{kind}", "{category}", "{category}", "some {kind}", "i want {kind}",
        "do you have {kind}", "{kind} for my mother", "show me {kind}", "{kind} please",
        "looking for {kind}", "{kind} and {kind2}", "have you got any {kind}?", "i need {kind}",
        "good {kind}", "{kind} free of worries", "{kind} for {category}", "{category} for the {kind}", "{category} aisle", "what {kind} do you have?", "gifts {kind}",
        "day {kind}", "good morning {kind}", "cool {kind}", "happy birthday {kind}", "name brand {kind}",
        "cold weather {kind}", "dairy free {kind}", "fat free {kind}", "love {kind}", "{kind} for a rainy day",
        "{absent}", "{absent}", "{absent} {kind}", "good {absent}",
        "{zh}", "{zh}", "我想买{zh}", "有{zh}吗", "买点{zh}", "{zh}推荐", "找{zh}",
    ),
    "attribute": (
        "{kind} under ${price}", "{value} {kind}", "{value} {kind}", "{kind} not {value}",
        "cheapest {kind}", "{kind} in stock", "{kind} {size}", "{size} {kind}", "{kind} less than {price} dollars",
        "{kind} between ${price} and ${price2}", "{kind} without {value}", "{kind} on sale",
        "{kind} at least 4 stars", "{kind}, {value}, max ${price}", "i need {value} {kind} under ${price}",
        "best rated {kind}", "no {value} {kind}", "{kind} with {value}", "newest {kind}",
        "do you have {kind} under ${price}?", "any {kind} over ${price}", "{value} {category}",
        "低于{price}元的{zh}", "{zh}不要{value}", "最便宜的{zh}", "有货的{zh}", "{price}元以内的{zh}", "打折的{zh}",
    ),
    "question": (
        "how long does {kind} keep?", "is {title} gluten free?", "what is the difference between {kind} and {kind2}?",
        "why is {kind} so expensive", "how do i return an order", "when do you open on sundays?",
        "does {kind} contain sugar", "can dogs eat {kind}?", "which {kind} is better for children?",
        "how much is {title}?", "what's in {kind}", "is it safe to freeze {kind}", "how do i clean {kind}",
        "should i buy {kind} or {kind2}", "where is my parcel", "do you deliver on saturday?",
        "who makes {kind}?", "how many calories in {kind}", "what does {value} mean", "are {kind} healthy",
        "how to use {kind}", "can i pay with a card", "what is {kind} good for?",
        "{zh}怎么保存？", "{zh}多少钱", "{zh}和别的有什么区别", "为什么{zh}这么贵", "你们几点开门？", "怎么退货", "{zh}健康吗",
    ),
    "replenish": (
        "my usual {kind}", "reorder {kind}", "{kind} again", "we are out of {kind}", "same {kind} as last time",
        "restock {kind}", "i need more {kind}", "running low on {kind}", "what i usually buy",
        "buy again", "the {kind} i bought last week", "refill {kind}", "repeat my last order",
        "what am i running low on?", "another {kind} like last month", "the same {kind} again please",
        "my regular {kind}", "we finished the {kind}", "{kind} is nearly empty", "order {kind} again",
        "上次买的{zh}", "{zh}快用完了", "再来一份{zh}", "老样子", "{zh}没了，补一下", "常买的{zh}", "又该买{zh}了",
    ),
    "chat": (
        "hi", "hello there", "thanks so much", "good morning", "how are you?", "you are funny",
        "tell me a joke", "what's your name?", "are you a robot?", "bye bye", "i am bored", "nice to meet you",
        "ok cool", "good night", "happy new year", "lol that was great", "how was your day?", "hey shop",
        "i love you", "what can you do?", "thank you for the help", "sorry about that", "wow", "i feel tired today",
        "你好", "谢谢你", "你是谁", "讲个笑话", "晚安", "哈哈哈", "今天天气怎么样", "很高兴认识你", "你真聪明", "再见啦",
    ),
}  # fmt: skip
HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "navigational": (
        "{title}", "{title}", "{start}", "{brand}", "get {title}", "i want the {title}",
        "{title} please", "{brand} shop", "where can i find {title}",
    ),
    "category": (
        "{kind}", "{kind}", "{category}", "all {kind}", "shopping for {kind}", "{kind} for a birthday",
        "could you show me {kind}", "any {kind}", "{kind} or {kind2}", "a few {kind}", "are there any {kind}?",
        "night {kind}", "great {kind}", "welcome {kind}", "nut free {kind}", "thank you {kind}", "okay {kind}",
        "{absent_held}", "some {absent_held}",
        "{zh}", "给我看看{zh}", "需要{zh}", "有没有{zh}",
    ),
    "attribute": (
        "{kind} below ${price}", "{value} {kind}", "{kind} {value}", "{kind} up to {price} dollars", "lowest priced {kind}",
        "{kind} excluding {value}", "{kind} but not {value}", "discounted {kind}", "{kind} for {price} dollars or less",
        "show me {value} {kind}", "{kind} available now", "find {kind} over ${price}", "{size} of {kind}", "top rated {kind}",
        "不超过{price}元的{zh}", "{zh}现货", "便宜的{zh}，低于{price}元", "最贵的{zh}",
    ),
    "question": (
        "what temperature should {kind} be kept at?", "why does {kind} go bad", "is {kind} suitable for babies?",
        "how often should i replace {kind}", "which is healthier, {kind} or {kind2}?", "what are {kind} made of?",
        "when will my order arrive?", "do i need a receipt for a refund", "can {kind} go in the freezer",
        "will {title} last until june?", "how big is {title}", "how do people eat {kind}", "what time do you close",
        "{zh}能放多久？", "怎么用{zh}", "{zh}哪个更好", "可以用信用卡吗",
    ),
    "replenish": (
        "top up on {kind}", "we've run out of {kind}", "the {kind} i always get", "get me the same {kind} as before",
        "replenish {kind}", "time for more {kind}", "my weekly {kind}", "no {kind} left at home", "last month's order once more",
        "out of {kind}", "same as last week", "{kind} like always",
        "还要上次的{zh}", "家里{zh}用完了", "照旧", "补货{zh}", "跟上回一样的{zh}",
    ),
    "chat": (
        "hey", "hello shop", "thanks a lot", "good evening", "how are you doing today?", "you're great",
        "do you like music?", "who are you", "see you tomorrow", "have a nice day", "haha", "cheers",
        "what do you think of me", "good afternoon!", "that was helpful, thanks",
        "您好", "多谢", "早上好", "你叫什么名字", "好无聊啊，陪我聊聊",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A query whose intent is known from how it was made, and which wording it came from."""

    text: str
    intent: str
    wording: str


def generated(
    products: Sequence[Product],
    wordings: Mapping[str, Sequence[str]],
    *,
    each: int,
    seed: int = SEED,
    vocabulary: Vocabulary | None = None,
) -> list[Asked]:
    """Make queries.

    Args:
        products: of a catalogue; slots that it cannot fill leave a wording out.
        wordings: by intent.
        each: how many queries per intent.
        seed: of the choices.
        vocabulary: of these products, where it is at hand.
    """
    generator = np.random.default_rng(seed)
    vocabulary = vocabulary or Vocabulary.from_products(products)
    fillers = _fillers(products, vocabulary)
    out: dict[str, Asked] = {}
    for intent in INTENTS:
        made, tries = 0, 0
        while made < each and tries < each * 20:
            tries += 1
            wording = str(generator.choice(np.asarray(wordings[intent], object)))
            asked = _filled(wording, fillers, generator)
            if asked is None or (asked.lower() in out and "{" in wording):
                continue
            if intent in ("attribute", "navigational") and _is_kind(asked, vocabulary):
                continue  # then it says no more than the kind does
            out[asked.lower() if "{" in wording else f"{asked} {tries}"] = Asked(
                _worn(asked, generator), intent, wording
            )
            made += 1
    return list(out.values())


def _is_kind(text: str, vocabulary: Vocabulary) -> bool:
    phrase = " ".join(stems(text))
    return phrase in vocabulary.types or phrase in vocabulary.categories


def _fillers(products: Sequence[Product], vocabulary: Vocabulary) -> dict[str, list[str]]:
    brands = {p.brand for p in products if p.brand}
    kinds = {p.type for p in products if p.type} - brands
    values = {
        str(v)
        for p in products
        for name, v in p.attributes.items()
        if isinstance(v, str) and len(v) < 24 and "size" not in name and "model" not in name
    }
    zh = [
        term
        for term, phrase in load_lexicon().chinese.items()
        if len(term) > 1 and all(w in vocabulary.nouns for w in phrase.split()[-1:])
    ]
    held = Counter(p.brand for p in products if p.brand)
    # A brand of everything, as a shop's own, is a quality rather than a place to go to.
    makers = {b for b, n in held.items() if n <= max(3, len(products) // 20)}
    named = [p for p in products if _singles_out(p, makers)]
    return {
        "title": [p.title for p in named],
        "start": [
            " ".join(p.title.split()[:3]).strip(",")
            for p in named
            if len(p.title.split()) > 4 and p.title.startswith(p.brand or " ")
        ],
        "brand": sorted(makers),
        "kind": sorted(k for k in kinds if len(k) < 40),
        "category": sorted({p.category[-1] for p in products if p.category}),
        "value": sorted(values),
        "size": ["12 oz", "1 gal", "size 42", "16 gb", "2 lb", "500 ml", "15 inch"],
        "zh": zh,
        "absent": [w for w in ABSENT if not vocabulary.knows(w)],
        "absent_held": [w for w in ABSENT_HELD_OUT if not vocabulary.knows(w)],
    }


def _singles_out(product: Product, makers: set[str]) -> bool:
    """Say whether a title holds more than what kind of thing it is, how large, and by whom."""
    plain = {*stems(product.type or ""), *(s for c in product.category for s in stems(c))}
    if product.brand not in makers:
        plain |= set(stems(product.brand or ""))
    return any(w.isalpha() and w not in plain and w not in UNITS for w in stems(product.title))


def invented(count: int = 600) -> list[Product]:
    """Return a shop of made-up makers, models and things, so that more than one shop is learned."""
    generator = np.random.default_rng(SEED)

    def name() -> str:
        return "".join(
            generator.choice(list("bdfgklmnprstvz")) + generator.choice(list("aeiou"))
            for _ in range(3)
        ).title()

    makers, shelf = [name() for _ in range(60)], []
    for n in range(count):
        kind, group = THINGS[int(generator.integers(len(THINGS)))]
        maker, colour = makers[int(generator.integers(60))], str(generator.choice(COLOURS))
        model = f"{name()[:2].upper()}{int(generator.integers(10, 999))}"
        shelf.append(
            Product(
                product_id=f"i{n}",
                title=f"{maker} {model} {colour} {kind}",
                brand=maker,
                type=kind,
                category=(group,),
                price_minor=int(generator.integers(300, 30000)),
                attributes={"colour": colour, "material": str(generator.choice(MATERIALS))},
            )
        )
    return shelf


def _filled(
    wording: str, fillers: Mapping[str, list[str]], generator: np.random.Generator
) -> str | None:
    price = int(generator.integers(2, 60))
    held: dict[str, Any] = {"price": price, "price2": price + int(generator.integers(1, 40))}
    for name, options in fillers.items():
        if f"{{{name}" in wording:
            if not options:
                return None
            first, second = generator.choice(len(options), 2)
            held |= {name: options[first], f"{name}2": options[second]}
            if name in ("kind", "category", "value"):
                held |= {n: held[n].lower() for n in (name, f"{name}2")}
    return wording.format(**held)


def _worn(text: str, generator: np.random.Generator) -> str:
    """Return a text as people type it: lower case, no mark at the end, now and then a slip."""
    if generator.random() < 0.7:
        text = text.lower()
    if generator.random() < 0.4:
        text = text.rstrip("?？!")
    words = text.split(" ")
    long = [n for n, w in enumerate(words) if len(w) > 4 and w.isalpha() and w.isascii()]
    if long and generator.random() < 0.12:
        place = int(generator.choice(long))
        at = int(generator.integers(1, len(words[place]) - 1))
        words[place] = words[place][:at] + words[place][at + 1 :]
    return " ".join(words)


def described(
    products: Sequence[Product], asked: Sequence[Asked], vocabulary: Vocabulary | None = None
) -> FloatArray:
    """Return (n, F) evidence of queries put to a catalogue."""
    vocabulary = vocabulary or Vocabulary.from_products(products)
    return np.stack([evidence_of(parse_query(a.text, vocabulary), vocabulary) for a in asked])


def fit(evidence: FloatArray, asked: Sequence[Asked], *, folds: int = 5) -> IntentModel:
    """Fit weights on all, and a temperature on wordings that the weights were not fitted on."""
    truth = np.asarray([INTENTS.index(a.intent) for a in asked])
    wordings = sorted({a.wording for a in asked})
    order = np.random.default_rng(SEED).permutation(len(wordings))
    fold_of = {wordings[place]: n % folds for n, place in enumerate(order)}
    fold = np.asarray([fold_of[a.wording] for a in asked])
    logits = np.zeros((len(asked), len(INTENTS)))
    for n in range(folds):
        weights = _weights(evidence[fold != n], truth[fold != n])
        logits[fold == n] = evidence[fold == n] @ weights

    def loss(temperature: float) -> float:
        chances = IntentModel(np.eye(len(INTENTS)), temperature).chances(logits)
        return float(-np.log(chances[np.arange(len(truth)), truth] + 1e-12).mean())

    return IntentModel(_weights(evidence, truth), min(TEMPERATURES, key=loss))


def _weights(evidence: FloatArray, truth: NDArray[np.int64]) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.3, fit_intercept=False, max_iter=5000)
    model.fit(evidence, truth)
    weights = np.zeros((evidence.shape[1], len(INTENTS)))
    weights[:, model.classes_] = model.coef_.T
    return weights


def judged(model: IntentModel, evidence: FloatArray, asked: Sequence[Asked]) -> dict[str, float]:
    """Return how often the likeliest intent is right, and how far its confidence is from that."""
    truth = np.asarray([INTENTS.index(a.intent) for a in asked])
    chances = model.chances(evidence)
    confidence, right = chances.max(1), chances.argmax(1) == truth
    rule = evidence[:, 1 : 1 + len(INTENTS)].argmax(1) == truth
    return {
        "n": len(asked),
        "accuracy": round(float(right.mean()), 4),
        "accuracy_rule": round(float(rule.mean()), 4),
        "confidence": round(float(confidence.mean()), 4),
        "ece": round(calibration_error(confidence, right), 4),
        "brier": round(float(((chances - np.eye(len(INTENTS))[truth]) ** 2).sum(1).mean()), 4),
        "right_when_sure": round(float(right[confidence >= 0.9].mean()), 4),
        "sure": round(float((confidence >= 0.9).mean()), 4),
    }


def calibration_error(confidence: FloatArray, right: NDArray[np.bool_], *, bins: int = 10) -> float:
    """Return the expected calibration error over equally filled bins.

    >>> calibration_error(np.array([0.5, 0.5]), np.array([True, False]), bins=1)
    0.0
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [abs(confidence[p].mean() - right[p].mean()) * len(p) for p in parts if len(p)]
    return float(sum(gaps) / len(order))


def catalogues() -> dict[str, list[Product]]:
    """Return the catalogues at hand: the built one, and the electronics of the benchmark data."""
    found = {}
    if (Layout().artefact("catalogue") / "manifest.json").is_file():
        held = Catalogue.load(Layout().artefacts)
        found["built"] = [held.products[i] for i in held.ids]
    folder = Path(os.environ.get("SHELFWISE_BENCH_DATA", "")) / "chorus_electronics"
    if (folder / "products.parquet").is_file():
        from components.stages.bench_search import read_products

        found["electronics"] = read_products(folder / "products.parquet")
    return found


def _write(model: IntentModel) -> None:
    held = {
        "temperature": model.temperature,
        "weights": {
            name: [round(float(v), 4) for v in model.weights[n]] for n, name in enumerate(FEATURES)
        },
    }
    WEIGHTS.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    load_model.cache_clear()


def _is_fitted() -> bool:
    """Say whether there are weights for the features of now."""
    if not WEIGHTS.is_file():
        return False
    return set(json.loads(WEIGHTS.read_text(encoding="utf-8"))["weights"]) == set(FEATURES)


def main() -> None:
    """Fit on the built catalogue, judge on held-out wordings and on a catalogue not seen."""
    if not _is_fitted():  # a query is read with some weights while others are fitted
        _write(IntentModel(np.zeros((len(FEATURES), len(INTENTS)))))
    shelves = catalogues()
    words = {name: Vocabulary.from_products(products) for name, products in shelves.items()}
    asked, evidence = [], []
    for name, products in (("built", shelves["built"]), ("invented", invented())):
        made = generated(products, FIT, each=250, vocabulary=words.get(name))
        asked += made
        evidence.append(described(products, made, words.get(name)))
    model = fit(np.concatenate(evidence), asked)
    _write(model)
    rows = []
    for name, products in shelves.items():
        test = generated(products, HELD_OUT, each=150, seed=SEED + 1, vocabulary=words[name])
        figures = judged(load_model(), described(products, test, words[name]), test)
        rows.append({"model": "intents", "shipped": True, "slice": name, **figures})
        print(rows[-1])
    write_report(
        Path("reports/search_intents.json"),
        protocol="Intents of queries",
        dataset="generated queries in wordings not fitted on; electronics: nor the catalogue",
        split="weights and temperature on other wordings, of the built and an invented catalogue",
        cut_off="none",
        n=sum(r["n"] for r in rows),
        seed=SEED,
        rows=rows,
    )


if __name__ == "__main__":
    main()

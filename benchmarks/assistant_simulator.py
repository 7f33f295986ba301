"""Seeded shoppers with hidden wishes talk to the assistant until content, or give up.

A shopper wants a kind of thing with hard limits (price, colour or brand), makes typos, changes a
limit once, refuses what does not fit, and puts a fitting product into the basket. Judged: success,
turns, hard constraints violated in what was shown without being said, regret in price, pass^k. A
popularity and a broken assistant are run beside it: an honest simulator ranks them lower.
"""

import argparse
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.golden.dialogue_checks import Shop
from tests.harness.assistant import AssistantUnderTest

MAX_TURNS = 10
SHOPPERS = 40
SEEDS = (1, 2, 3, 4, 5)
ASK = (
    "show me {kind}",
    "i'm looking for {kind}",
    "do you have any {kind}?",
    "hi, i need {kind}",
    "{kind} please",
)
LIMIT = ("under {n}", "no more than {n}", "my budget is {n}", "it should cost less than {n}")
QUALITY = ("in {q}", "{q} please", "only {q}", "it has to be {q}")
CHANGE = ("actually make it {q}", "sorry, i meant {q}", "no, {q}")
TAKE = ("add the {nth} one to my basket", "i'll take the {nth} one", "put the {nth} in my cart")
NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


class Popular:
    """A baseline: shows what is rated best, whatever was said; adds what is pointed at."""

    def reset(self, state: Mapping[str, Any]) -> None:
        products = json.loads(Path(state["catalogue"]).read_text(encoding="utf-8"))["products"]
        self.top = sorted(products, key=lambda p: (-p["rating"], p["id"]))[:8]
        self.cart: list[dict[str, Any]] = []

    def turn(self, message: str) -> dict[str, Any]:
        nth = next((n for n, word in enumerate(NTH) if f" {word}" in message), None)
        if nth is not None:
            pick = self.top[nth]
            self.cart = [{"id": pick["id"], "variant": pick["variants"][0]["sku"], "quantity": 1}]
        shown = [{"id": p["id"], "variant": None} for p in self.top]
        return {
            "products": shown,
            "relaxed": [],
            "question": False,
            "state": {"cart": self.cart},
            "reply": "",
        }


class Broken(Popular):
    """A baseline that answers nothing."""

    def turn(self, message: str) -> dict[str, Any]:
        return {
            "products": [],
            "relaxed": [],
            "question": False,
            "state": {"cart": []},
            "reply": "",
        }


def _typo(text: str, rng: random.Random) -> str:
    words = text.split()
    long = [i for i, w in enumerate(words) if len(w) > 6 and w.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    at = rng.randrange(2, len(words[i]) - 2)
    word = words[i]
    words[i] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def wish_of(shop: Shop, rng: random.Random) -> dict[str, Any]:
    """Draw a wish that at least one product in stock meets."""
    while True:
        product = shop.by_id[rng.choice(sorted(shop.by_id))]
        variants = [v for v in product["variants"] if v["stock"] > 0]
        if not variants:
            continue
        variant = rng.choice(variants)
        want: dict[str, Any] = {
            "type": product["type"],
            "price_max": variant["price"] + rng.choice((1, 500, 2000)),
        }
        if "color" in variant and rng.random() < 0.6:
            want["color"] = variant["color"]
        elif rng.random() < 0.5:
            want["brand"] = product["brand"]
        return {"want": want, "size": variant.get("size"), "color": variant.get("color")}


def shop_once(target: Any, shop: Shop, seed: int) -> dict[str, Any]:
    """Play one shopper; returns success, turns, violations and regret."""
    rng = random.Random(seed)
    wish = wish_of(shop, rng)
    want = wish["want"]
    target.reset(
        {"session_id": f"s{seed}", "user_id": f"u{seed}", "catalogue": str(shop.path), "state": {}}
    )
    said: dict[str, Any] = {"type": want["type"]}
    plan = [rng.choice(ASK).format(kind=want["type"].lower())]
    price = f"{-(-want['price_max'] // 100)}"
    want["price_max"] = int(price) * 100
    steps: list[tuple[str, dict[str, Any]]] = [(plan[0], dict(said))]
    if rng.random() < 0.3:
        steps[0] = (_typo(steps[0][0], rng), steps[0][1])
    quality = "color" if "color" in want else "brand" if "brand" in want else None
    if quality and rng.random() < 0.3:
        other = "black" if quality == "color" else "Koba"
        if other != want[quality]:
            steps.append((rng.choice(QUALITY).format(q=other), {**said, quality: other}))
            steps.append(
                (rng.choice(CHANGE).format(q=want[quality]), {**said, quality: want[quality]})
            )
            said[quality] = want[quality]
    if quality and quality not in said:
        said[quality] = want[quality]
        steps.append((rng.choice(QUALITY).format(q=want[quality]), dict(said)))
    said["price_max"] = want["price_max"]
    steps.append((rng.choice(LIMIT).format(n=price), dict(said)))
    turns = violations = 0
    answer: dict[str, Any] = {"products": [], "state": {"cart": []}}
    for message, rules in steps:
        answer = target.turn(message)
        turns += 1
        if not answer["relaxed"]:
            violations += sum(
                not shop.meets(p["id"], rules, p["variant"]) for p in answer["products"]
            )
    while turns < MAX_TURNS:
        fitting = [
            n
            for n, p in enumerate(answer["products"][:8])
            if shop.meets(p["id"], {**want, "in_stock": True})
        ]
        if not fitting:
            answer = target.turn("show me more")
            turns += 1
            if not answer["products"]:
                break
            continue
        chosen = answer["products"][fitting[0]]["id"]
        answer = target.turn(rng.choice(TAKE).format(nth=NTH[fitting[0]]))
        turns += 1
        tries = 0
        sizes = {
            v.get("size")
            for v in shop.by_id[chosen]["variants"]
            if v["stock"] > 0 and ("color" not in want or v.get("color") == want["color"])
        }
        while (
            answer["question"]
            and not answer["state"]["cart"]
            and tries < 3
            and turns < MAX_TURNS
            and sizes - {None}
        ):
            answer = target.turn(f"{sorted(s for s in sizes if s)[0]}")
            turns += 1
            tries += 1
        break
    cart = answer["state"]["cart"]
    success = len(cart) == 1 and shop.meets(cart[0]["id"], want, cart[0]["variant"])
    best = min(shop.price(i) for i in shop.by_id if shop.meets(i, {**want, "in_stock": True}))
    regret = (shop.price(cart[0]["id"]) - best) / best if success else None
    return {"success": success, "turns": turns, "violations": violations, "regret": regret}


def run(
    folders: list[Path], seeds: tuple[int, ...] = SEEDS, shoppers: int = SHOPPERS
) -> list[dict[str, Any]]:
    """Run all shoppers of all seeds against the assistant and the two baselines."""
    rows = []
    for name, make in (
        ("assistant", AssistantUnderTest),
        ("popularity", Popular),
        ("broken", Broken),
    ):
        for folder in folders:
            shop = Shop(folder)
            per_seed = []
            results = []
            for seed in seeds:
                batch = [shop_once(make(), shop, seed * 10_000 + n) for n in range(shoppers)]
                results.extend(batch)
                per_seed.append(sum(r["success"] for r in batch) / len(batch))
            regrets = [r["regret"] for r in results if r["regret"] is not None]
            rows.append(
                {
                    "model": name,
                    "slice": f"simulator:{folder.name.partition('_')[0]}",
                    "n": len(results),
                    "seeds": len(seeds),
                    "success": round(sum(r["success"] for r in results) / len(results), 6),
                    "success_worst_seed": round(min(per_seed), 6),
                    "success_best_seed": round(max(per_seed), 6),
                    "violations": sum(r["violations"] for r in results),
                    "turns": round(sum(r["turns"] for r in results) / len(results), 6),
                    "regret": round(sum(regrets) / len(regrets), 6) if regrets else None,
                }
            )
    return rows


def main() -> None:
    """Print the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        default=[
            Path("tests/golden/dialogues/home_develop"),
            Path("tests/golden/dialogues/grocery_develop"),
        ],
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--shoppers", type=int, default=SHOPPERS)
    options = parser.parse_args()
    print(json.dumps(run(options.folders, SEEDS[: options.seeds], options.shoppers), indent=1))


if __name__ == "__main__":
    main()

"""Generated utterances with their intent: templates x slots, paraphrased by rules, seeded.

The slots are everyday retail words, not one shop's names, so the classifier learns the frame of a
sentence. Templates of the held-out set differ from those of the training set.
"""

# ruff: noqa: E501  (templates are one line per intent)

import random
from collections.abc import Iterator

_THINGS = [
    "shoes",
    "jacket",
    "milk",
    "cereal",
    "headphones",
    "backpack",
    "lamp",
    "coffee",
    "guitar",
    "watch",
    "sofa",
    "bread",
    "mug",
    "drill",
    "tent",
    "scarf",
    "keyboard",
    "perfume",
    "yogurt",
    "socks",
    "camera",
    "desk",
    "pillow",
    "soap",
    "pizza",
]
_QUALITIES = [
    "red",
    "cheap",
    "waterproof",
    "organic",
    "wireless",
    "small",
    "black",
    "leather",
    "fresh",
    "wooden",
    "light",
    "big",
    "warm",
    "sugar-free",
    "vintage",
]
_PLACES = (
    "the first one",
    "the second one",
    "the last one",
    "it",
    "this",
    "that one",
    "the cheaper one",
    "the {quality} one",
    "the {thing}",
    "both",
    "them",
)

TRAIN: dict[str, tuple[str, ...]] = {
    "search": ("show me {thing}", "i am looking for a {quality} {thing}", "{quality} {thing}", "do you sell {thing}", "find {thing} under {n}", "i need {thing} for work", "looking to get a new {thing}", "got any {quality} {thing}", "where can i find {thing}", "{thing} please"),
    "refine": ("only {quality} ones", "make it {quality}", "under {n} please", "in {quality}", "not {quality}", "something {quality} instead", "size {n}", "with better reviews", "actually {quality}", "can it be {quality}"),
    "basket_add": ("add {place} to my basket", "i will take {place}", "put {place} in the cart", "buy {place}", "i'd like to have {place}", "{place} goes in my basket", "let me get {place}", "toss {place} into the cart", "two of {place} please", "pack {place} for me"),
    "basket_remove": ("remove {place}", "take {place} out", "i don't want {place} anymore", "delete {place} from my cart", "drop {place} from the basket", "get rid of {place}", "no longer need {place}", "kick {place} out of my basket"),
    "basket_view": ("what is in my basket", "show my cart", "what have i put in so far", "how much is my basket", "view basket", "let me see the cart", "what did i add already", "current basket please"),
    "basket_clear": ("empty my basket", "clear the cart", "remove everything from my basket", "throw out all items in the cart", "start my cart over", "wipe the basket clean"),
    "checkout": ("check out", "i want to pay", "place my order", "let's finish the purchase", "ready to pay now", "take me to payment", "complete the order", "i am done shopping, let me pay"),
    "details": ("tell me about {place}", "how much is {place}", "is {place} {quality}", "what is {place} made of", "give me the specs of {place}", "does {place} come in {quality}", "more info on {place}", "what are the features of {place}", "how heavy is {place}"),
    "compare": ("compare {place} and {place}", "which one is better", "what is the difference between them", "{place} or {place}, which is cheaper", "how do they differ", "which of these lasts longer", "put them side by side"),
    "similar": ("show me something like {place}", "anything similar to {place}", "alternatives to {place}", "more like {place}", "what else is comparable to {place}", "other {thing} in that style"),
    "recommend": ("what do you recommend", "suggest something for me", "surprise me", "what should i buy", "any ideas for me", "pick something i would like", "what is good here", "i don't know what to get", "help me decide on something"),
    "bundle": ("what goes with {place}", "a complete set for {n}", "put together an outfit for {n}", "everything i need for a party", "a {thing} and a {thing} for {n} in total", "build me a basket for {n}", "what would match {place}", "complete the look"),
    "explain": ("why did you show {place}", "why {place}", "what made you pick {place}", "explain this choice", "how come you suggest {place}", "reason for {place}"),
    "promotions": ("any deals today", "what is on sale", "show current offers", "do you have discounts", "which {thing} are reduced", "any coupons for me", "what bargains do you have"),
    "reviews": ("what do people say about {place}", "reviews of {place}", "is {place} well liked", "any complaints about {place}", "do buyers like {place}", "opinions on {place}", "how do customers find {place}"),
    "orders": ("where is my order", "show my orders", "track my package", "what did i buy last time", "order history", "has my parcel been sent", "when does my delivery arrive"),
    "profile": ("what do you know about me", "show my profile", "what have you stored on me", "which preferences did i give you", "what data do you keep about me"),
    "forget_me": ("forget me", "delete my data", "erase everything about me", "remove all you know of me", "wipe my information", "i want my data gone"),
    "undo": ("undo", "take that back", "revert the last step", "put it back how it was", "that was a mistake, reverse it", "go back on that"),
    "wishlist_add": ("save {place} for later", "put {place} on my wishlist", "add {place} to favourites", "bookmark {place}", "keep {place} on my wish list"),
    "wishlist_view": ("show my wishlist", "what is on my wish list", "my saved items", "open my favourites"),
    "restock": ("what am i running low on", "what do i need to buy again", "what should i restock", "anything i am about to run out of", "time to refill something?"),
    "preference": ("my shoe size is {n}", "remember that i prefer {quality}", "i always buy {quality} {thing}", "note that i am vegan", "from now on only {quality}", "i never eat {thing}"),
    "greeting": ("hello", "hi there", "good morning", "hey, anyone there", "good day to you"),
    "help": ("what can you do", "help", "how does this work", "what are you able to help with"),
    "out_of_scope": ("what is the weather tomorrow", "tell me a joke", "who won the match", "write a poem about spring", "what is 12 times 7", "who is the president", "translate this sentence", "how do i fix my car", "sing me a song", "what is the capital of france", "give me medical advice", "book a flight", "is it going to rain", "solve my homework"),
}  # fmt: skip
HELD_OUT: dict[str, tuple[str, ...]] = {
    "search": ("could you show some {quality} {thing}", "i want to see {thing}", "are there {thing} here"),
    "refine": ("just the {quality} kind", "not over {n}", "has to be {quality}"),
    "basket_add": ("please add {place}", "i'm going for {place}", "stick {place} in my basket"),
    "basket_remove": ("please take {place} away", "remove {place} again"),
    "basket_view": ("can i see my basket", "what's my cart looking like"),
    "basket_clear": ("please empty the whole basket", "clear everything out of my cart"),
    "checkout": ("i would like to check out", "let me pay for this"),
    "details": ("i want to know more about {place}", "what does {place} cost", "has {place} got {quality}"),
    "compare": ("which is the better one", "can you compare them", "{place} versus {place}"),
    "similar": ("is there anything like {place}", "similar ones please"),
    "recommend": ("have you any recommendation", "what would you suggest i get"),
    "bundle": ("which things go well with {place}", "make up a set for {n}"),
    "explain": ("why exactly {place}", "what's the reason you chose {place}"),
    "promotions": ("are there offers right now", "anything reduced today"),
    "reviews": ("what are buyers saying about {place}", "is {place} rated well by people"),
    "orders": ("when will my order come", "list my past orders"),
    "profile": ("tell me what you know about me", "what's saved about me"),
    "forget_me": ("please delete all my data", "erase me"),
    "undo": ("please undo that", "reverse the last thing"),
    "wishlist_add": ("wishlist {place} please", "keep {place} for later"),
    "wishlist_view": ("let me see my wishlist",),
    "restock": ("what is nearly used up at my place", "what should i buy again"),
    "preference": ("please remember i like {quality}", "my size is {n}"),
    "greeting": ("hello hello", "hey good evening"),
    "help": ("what can i ask you", "how can you help"),
    "out_of_scope": ("will it snow this weekend", "tell me something funny", "who scored yesterday", "what is the square root of 9", "write me a story"),
}  # fmt: skip
_LEADS = ("", "", "", "please ", "hey, ", "ok ", "could you ", "and ", "well ")
_TAILS = ("", "", "", " please", " thanks", " now", "?")


def _fill(template: str, rng: random.Random) -> str:
    while "{place}" in template:
        template = template.replace("{place}", rng.choice(_PLACES), 1)
    for slot, values in (("{thing}", _THINGS), ("{quality}", _QUALITIES)):
        while slot in template:
            template = template.replace(slot, rng.choice(values), 1)
    return template.replace("{n}", str(rng.choice((10, 20, 30, 40, 42, 50, 80, 100, 150))))


def _typo(text: str, rng: random.Random) -> str:
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    kind = rng.random()
    if kind < 0.4:
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return text[:i] + text[i + 1 :] if kind < 0.8 else text[:i] + text[i] + text[i:]


def utterances(n: int, seed: int, *, held_out: bool = False) -> Iterator[tuple[str, str]]:
    """Yield `n` (text, intent) pairs, the intents evenly spread; the same for the same seed."""
    rng = random.Random(seed)
    table = HELD_OUT if held_out else TRAIN
    intents = sorted(table)
    for i in range(n):
        intent = intents[i % len(intents)]
        text = rng.choice(_LEADS) + _fill(rng.choice(table[intent]), rng) + rng.choice(_TAILS)
        if rng.random() < 0.15:
            text = _typo(text, rng)
        yield text, intent

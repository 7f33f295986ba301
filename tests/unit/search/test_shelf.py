"""Columns and plain Python say the same of every candidate."""

import math
from collections import Counter

import numpy as np
import pytest

from components.search.features import ACCESSORIES, NAMES, Asked, Card, Signals
from components.search.shelf import Shelf, log_rank

WORDS = ["milk", "case", "for", "compatible", "red", "tv", "x1", "usb", "bag", "tea", "acme", "cup"]
COLUMN = {name: n for n, name in enumerate(NAMES)}


def some(generator, most, least=0):
    return tuple(generator.choice(WORDS, int(generator.integers(least, most + 1))).tolist())


def a_card(generator):
    head = some(generator, 3)
    return Card(
        title=some(generator, 6),
        head=head,
        brand=some(generator, 2) if generator.random() < 0.6 else (),
        body=frozenset(some(generator, 5)),
        price=float(generator.integers(1, 5)) if generator.random() < 0.8 else math.nan,
        newness=float(generator.integers(2000, 2005)) if generator.random() < 0.5 else math.nan,
        fullness=float(generator.random()),
        popularity=float(generator.random()),
        family=str(generator.integers(5)),
        nouns=frozenset(head[-1:]),
    )


def an_asked(generator):
    words = tuple(dict.fromkeys((*some(generator, 3, 1), *(["nope"] * (generator.random() < 0.3)))))
    same = tuple(some(generator, 2) for _ in range(int(generator.integers(3))))
    noun = words[-1:] if generator.random() < 0.6 else ()
    return Asked(words, same, frozenset(some(generator, 2)), noun)


def idf(word, cards):
    count = sum(word in card.title for card in cards)
    return math.log1p((len(cards) - count + 0.5) / (count + 0.5))


def text_features(card, asked, cards):
    """The features of one product, sentence by sentence."""
    words, title = asked.words, card.title
    found = {w for w in words if w in title}
    weights = {w: idf(w, cards) for w in words}
    cover = len(found) / len(words)
    phrase = cover if len(words) == 1 else 0.0
    if len(words) > 1:
        size = len(words)
        phrase = float(any(title[i : i + size] == words for i in range(len(title))))
    first = next((i for i, w in enumerate(title) if w in words), len(title))
    in_head = {w for w in words if w in card.head}
    after_for = 0.0
    for mark in ("for", "compatible"):
        if mark in title:
            at = title.index(mark)
            if any(w in words for w in title[at + 1 :]) and not found & set(title[:at]):
                after_for = 1.0
    models = {w for w in words if any(c.isdigit() for c in w)}
    same = 0.0
    for phrase_said in map(set, asked.same):
        if phrase_said:
            both = sum(w in title or w in card.head for w in phrase_said)
            same = max(same, both / len(phrase_said))
    noun_hit = math.nan
    if asked.noun:
        noun = asked.noun[-1]
        level = 1.0 if noun in card.nouns else 0.6 if noun in card.head else 0.4
        share = sum(map(card.holds, asked.noun)) / len(asked.noun)
        noun_hit = level * share if card.holds(noun) else 0.0
    return {
        "title_cover": cover,
        "title_cover_idf": sum(weights[w] for w in found) / (sum(weights.values()) or 1.0),
        "title_phrase": phrase,
        "title_first": first / max(len(title), 1),
        "title_density": len(found) / max(len(title), 1),
        "head_cover": len(in_head) / len(words),
        "head_covered": len(in_head) / max(len(set(card.head)), 1),
        "head_last": float(bool(card.head) and card.head[-1] in words),
        "head_exact": float(bool(card.head) and set(card.head) == set(words)),
        "after_for": after_for,
        "accessory": float(ACCESSORIES.isdisjoint(words) and not ACCESSORIES.isdisjoint(card.head)),
        "brand_hit": float(bool(card.brand) and set(card.brand) <= set(words)),
        "brand_other": float(bool(asked.brands) and not set(card.brand) & asked.brands),
        "model_hit": len(models & set(title)) / len(models) if models else 0.0,
        "body_cover": sum(w in card.body or w in title for w in words) / len(words),
        "same_cover": same,
        "noun_hit": noun_hit,
    }


def places(values):
    known = [v for v in values if not math.isnan(v)]
    return [
        math.nan
        if math.isnan(v)
        else (sum(o < v for o in known) + sum(o <= v for o in known)) / 2 / len(known)
        for v in values
    ]


def places_of_kind(cards):
    kinds = [card.head[-1] if card.head else "" for card in cards]
    out = [math.nan] * len(cards)
    for kind in set(kinds):
        members = [n for n, k in enumerate(kinds) if k == kind]
        held = places([cards[n].price for n in members])
        for n, value in zip(members, held, strict=True):
            out[n] = 0.5 if len(members) == 1 and not math.isnan(value) else value
    return out


def type_shares(cards, signals):
    order = log_rank(signals.words) + log_rank(signals.meaning)
    best = np.argsort(order, kind="stable")[:30]
    weight = Counter()
    for place in best:
        for word in set(cards[place].head[-2:]):
            weight[word] += 1 / len(best)
    return [max((weight[w] for w in card.head[-2:]), default=0.0) for card in cards]


@pytest.mark.parametrize("seed", range(25))
def test_columns_say_what_plain_python_says(seed):
    generator = np.random.default_rng(seed)
    cards = [a_card(generator) for _ in range(50)]
    shelf = Shelf()
    for cut in (slice(0, 1), slice(1, 30), slice(30, 30), slice(30, 50)):
        shelf.add(cards[cut])
    rows = np.sort(generator.choice(50, 35, replace=False))
    scores = generator.random((2, 35)).astype(np.float32)
    signals = Signals(scores[0], scores[1], scores[1], scores[0])
    asked = an_asked(generator)
    got = shelf.features(asked, rows, signals)
    chosen = [cards[row] for row in rows]
    for place, card in enumerate(chosen):
        for name, value in text_features(card, asked, cards).items():
            assert got[place, COLUMN[name]] == pytest.approx(value, abs=1e-6, nan_ok=True), name
    expected = {
        "price_place": places([c.price for c in chosen]),
        "price_type_place": places_of_kind(chosen),
        "type_share": type_shares(chosen, signals),
        "fullness": [c.fullness for c in chosen],
    }
    for name, values in expected.items():
        assert got[:, COLUMN[name]] == pytest.approx(values, abs=1e-6, nan_ok=True), name
    held, table = shelf.held(("milk", "nope", "x1"), rows)
    for word in ("milk", "nope", "x1"):
        assert table[:, held.column[word]].tolist() == [c.holds(word) for c in chosen]


def test_what_a_reader_holds_does_not_change_when_rows_are_added():
    generator = np.random.default_rng(0)
    cards = [a_card(generator) for _ in range(40)]
    shelf = Shelf()
    shelf.add(cards[:3])
    before, kept = shelf.popularity, shelf.popularity.copy()
    for card in cards[3:]:
        shelf.add([card])
    assert before.tolist() == kept.tolist()
    assert len(shelf) == 40
    assert shelf.popularity[:3].tolist() == kept.tolist()

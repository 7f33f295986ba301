"""Intents come with probabilities that can be believed, on wordings nothing was fitted on."""

import numpy as np
import pytest

from benchmarks.search_intents import FIT, HELD_OUT, calibration_error, described, generated
from components.search.intents import INTENTS, load_model
from components.search.query import parse_query
from components.search.vocabulary import Vocabulary
from tests.property.test_search_constraints import a_shop
from tests.unit.search.shop import shop


@pytest.fixture(scope="module")
def held_out():
    """Confidence, whether the intent was right, and whether the bare rule was, by query."""
    found = []
    for products in (shop(), a_shop()):
        asked = generated(products, HELD_OUT, each=70, seed=11)
        evidence = described(products, asked)
        chances = load_model().chances(evidence)
        truth = np.asarray([INTENTS.index(a.intent) for a in asked])
        rule = evidence[:, 1 : 1 + len(INTENTS)].argmax(1) == truth
        found.append((chances.max(1), chances.argmax(1) == truth, rule))
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def test_the_wordings_were_not_fitted_on():
    alike = {"{title}", "{start}", "{brand}", "{brand} {head}", "{kind}", "{category}", "{zh}"}
    alike |= {"{value} {kind}"}  # slots alone: the words differ by catalogue
    for intent in INTENTS:
        assert not (set(HELD_OUT[intent]) & set(FIT[intent])) - alike


def test_confidence_is_as_often_right_as_it_says(held_out):
    confidence, right, _ = held_out
    assert len(right) > 600
    assert calibration_error(confidence, right) < 0.08
    sure = confidence >= 0.9
    assert 0.3 < sure.mean() < 1
    assert right[sure].mean() >= 0.9
    assert right[confidence < 0.6].mean() < right[sure].mean() - 0.1


def test_it_is_right_more_often_than_the_rule_alone(held_out):
    _, right, rule = held_out
    assert right.mean() > rule.mean() + 0.02


def test_all_six_are_given_and_sum_to_one():
    vocabulary = Vocabulary.from_products(shop())
    for text in ("milk", "", "   ", "how long does milk keep?", "你好", "\u200b", "9" * 900):
        intents = parse_query(text, vocabulary).intents
        assert sorted(i.intent for i in intents) == sorted(INTENTS)
        assert sum(i.confidence for i in intents) == pytest.approx(1)
        assert list(intents) == sorted(intents, key=lambda i: -i.confidence)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("milk", "category"),
        ("milk under $4", "attribute"),
        ("how long does milk keep?", "question"),
        ("my usual milk", "replenish"),
        ("thanks!", "chat"),
        ("Auralis wireless headphones", "navigational"),
        ("good morning milk", "category"),
        ("night milk", "category"),
        ("nut free cereal", "category"),
        ("good night", "chat"),
    ],
)
def test_plain_cases_are_sure(text, intent):
    parsed = parse_query(text, Vocabulary.from_products(shop()))
    assert parsed.intent == intent
    assert parsed.intent_confidence > 0.6

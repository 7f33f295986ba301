"""Other names for things, qualities described in other words, guesses of an intent."""

import numpy as np
import pytest

from components.assistant.classifier import IntentClassifier
from components.assistant.grounding import Lexicon
from components.assistant.language import gloss
from components.assistant.meaning import Meaning
from components.assistant.thesaurus import chinese_thing, heads_after, same_as, wider_than
from components.contracts.errors import ArtefactError
from components.contracts.records import Product


def shop(*kinds: str, **attributes: object) -> Lexicon:
    products = [
        Product(
            product_id=f"p{n}", title=f"Model {n}", type=kind, category=("all",), price_minor=100,
            currency="EUR", attributes=attributes,
        )
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    return Lexicon.from_products(products, currency="EUR")


def kinds_in(lexicon: Lexicon, text: str) -> set[str]:
    return {
        str(v) for c in lexicon.read(gloss(text)).constraints if c.field == "type" for v in c.values
    }


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("a stroller", "pushchair"),
        ("any jigsaws?", "puzzle"),
        ("a hoover please", "vacuum cleaner"),
        ("烤面包机", "toaster"),
        ("两台吸尘器", "vacuum cleaner"),
    ],
)
def test_a_thing_is_found_by_what_it_is_called_elsewhere(words, kind):
    lexicon = shop("pushchair", "puzzle", "vacuum cleaner", "toaster", "lawn mower")
    assert kinds_in(lexicon, words) == {kind}


@pytest.mark.parametrize("words", ["the one with more power", "something for my sister", "lighter"])
def test_everyday_words_are_no_names_of_things(words):
    assert kinds_in(shop("lawn mower", "bike light", "puzzle"), words) == set()


def test_a_wider_kind_keeps_the_word_so_that_its_absence_is_told():
    reading = shop("pruning shears").read("secateurs")
    assert reading.names_kind
    assert reading.terms == ("secateur",)


def test_the_table_knows_both_directions():
    assert "pram" in same_as("pushchair")
    assert "shear" in " ".join(wider_than("secateur"))
    assert heads_after("jigsaw") == ("puzzle",)
    assert chinese_thing("我要电饭煲", 2) == (3, "rice cooker")


def test_a_described_quality_needs_a_clear_best():
    vectors = {
        "machine washable": (1.0, 0.0), "quiet": (0.0, 1.0), "washing machine": (0.9, 0.4359),
        "both": (0.7071, 0.7071),
    }  # fmt: skip
    meaning = Meaning(lambda texts: np.array([vectors[t] for t in texts]))
    assert meaning.qualities("washing machine", {"machine_washable", "quiet"}) == (
        "machine_washable",
    )
    assert meaning.qualities("both", {"machine_washable", "quiet"}) == ()


def test_limits_of_a_product_must_include_the_number_said():
    lexicon = shop("board game", min_age=8, players_max=5)
    said = {(c.field, c.op, c.values) for c in lexicon.read("for my 6 year old").constraints}
    assert ("min_age", "max", (6,)) in said
    said = {(c.field, c.op, c.values) for c in lexicon.read("for 5 players").constraints}
    assert ("players_max", "min", (5,)) in said


def test_a_classifier_made_with_an_encoder_is_not_used_without_it(tmp_path):
    from components.contracts.artefacts import writing_artefact

    def encode(texts):
        return np.array([[1.0, 0.0] if "pay" in t else [0.0, 1.0] for t in texts])

    model = IntentClassifier.fit(["pay", "milk"] * 4, ["checkout", "search"] * 4, encode=encode)
    assert model.width == 2
    assert model.classify("let us pay up")[0] == "checkout"
    folder = tmp_path / "train_classifier"
    with writing_artefact(
        folder, kind="intent_classifier", stage="train_classifier", seed=1, params={},
        packages=(), metrics={},
    ) as made:  # fmt: skip
        model.save(made)
    assert IntentClassifier.load(tmp_path, encode).classify("let us pay up")[0] == "checkout"
    with pytest.raises(ArtefactError):
        IntentClassifier.load(tmp_path)

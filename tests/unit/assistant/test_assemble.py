"""One way from a release's folder to an assistant, with offers and classifier, for all callers."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from components.assistant.assemble import assistant_of, load_parts
from components.assistant.classifier import IntentClassifier
from components.contracts.artefacts import writing_artefact
from components.contracts.errors import ArtefactError
from components.contracts.messages import TurnRequest
from components.contracts.tables import SPECS
from components.data.parquet import conform, write_table
from components.state.store import Store

END = datetime(2018, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    """A release of two teas, one of them on offer until a day after the data end."""
    teas = [
        {"product_id": f"p{n}", "title": f"{kind} tea, 20 count", "type": "Tea", "currency": "EUR",
         "description": "", "price_minor": 200 + n, "attributes": "{}", "images": "[]",
         "rating_count": 0, "available": True, "repeatable": True, "category": "Drinks"}
        for n, kind in enumerate(("Green", "Black"))
    ]  # fmt: skip
    offer = {"promotion_id": "o1", "title": "Tea week", "mechanics": "{}", "targeted": False,
             "campaign_id": None, "campaign_type": "A",
             "starts_at": END - timedelta(days=1), "ends_at": END + timedelta(days=1)}  # fmt: skip
    variants = [
        {"variant_id": f"p{n}-a", "product_id": f"p{n}", "options": "{}", "price_minor": 200 + n,
         "stock": 5}
        for n in range(2)
    ]  # fmt: skip
    with writing_artefact(
        tmp_path / "catalogue", kind="catalogue", stage="catalogue", seed=7, params={}
    ) as made:
        write_table(conform(pl.DataFrame(teas), SPECS["products"]), "products", made)
        write_table(conform(pl.DataFrame(variants), SPECS["variants"]), "variants", made)
        write_table(conform(pl.DataFrame([offer]), SPECS["promotions"]), "promotions", made)
        of = pl.DataFrame([{"promotion_id": "o1", "product_id": "p1"}])
        write_table(of, "promotion_products", made)
        (made / "clock.json").write_text(json.dumps({"data_end": END.isoformat()}))
    return tmp_path


def test_absent_parts_are_replaced_and_named(folder):
    parts = load_parts(folder)
    assert parts.degraded == ("index", "classifier")
    assert parts.classify is None
    assert parts.currency == "EUR"
    assert parts.recommend.snapshot.table is parts.search.table
    assert parts.recommend.missing[-1] == "ranker"
    with pytest.raises(ArtefactError):
        load_parts(folder / "nothing")


def test_the_assistant_has_the_offers_and_the_classifier(folder, monkeypatch):
    asked = []

    def classify(self, text):
        asked.append(text)
        return "search", 0.1

    monkeypatch.setattr(IntentClassifier, "load", classmethod(lambda cls, *_: cls((), None)))
    monkeypatch.setattr(IntentClassifier, "classify", classify)
    parts = load_parts(folder)
    assert parts.degraded == ("index",)
    assert parts.offers.open_products(END) == {"p1"}
    assert parts.offers.open_products(END + timedelta(days=1)) == frozenset()
    for days, is_on in ((0, True), (2, False)):
        made = assistant_of(
            parts, Store("sqlite://"), release_id="r1", now=lambda d=days: END + timedelta(days=d)
        )

        def say(message, made=made):
            return made.turn(TurnRequest(session_id="s", visitor_id="v", message=message))

        shown = [p.product_id for p in say("which teas are on offer?").products]
        assert (shown == ["p1"]) == is_on  # with no offer left the wish for one gives way
        assert made._parser._classify == parts.classify
    assert made._parser._classify("?") == ("search", 0.1)
    assert asked[-1] == "?"
    assert made.model_version == "r1"

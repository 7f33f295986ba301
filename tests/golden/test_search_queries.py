"""Sixty queries on the default catalogue: their parse, and that every hard constraint holds."""

import json
from pathlib import Path

import pytest

from components.contracts.messages import Filters, SearchRequest
from components.data.catalogue import Catalogue
from components.data.filters import matches
from components.search.engine import SearchEngine

GOLDEN = json.loads(Path(__file__).with_name("search_queries.json").read_text(encoding="utf-8"))
DEFAULT_SIZE = 10_000


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    folder = Path("artefacts")
    if not (folder / "catalogue" / "manifest.json").is_file():
        pytest.skip("no artefacts/catalogue: run `make pipeline` to check the sixty queries")
    catalogue = Catalogue.load(folder)
    if len(catalogue) < DEFAULT_SIZE:
        pytest.skip("artefacts/catalogue is not the default catalogue")
    return SearchEngine.from_products(catalogue)


def test_there_are_sixty_across_intents_and_languages():
    assert len(GOLDEN) == 60
    assert len({g["intent"] for g in GOLDEN}) == 6
    assert sum(g.get("locale") == "zh" for g in GOLDEN) >= 10
    assert sum("corrected" in g for g in GOLDEN) >= 5
    assert sum("exclude" in g.get("filters", {}) for g in GOLDEN) >= 6


@pytest.mark.parametrize("expected", GOLDEN, ids=[g["query"] for g in GOLDEN])
def test_parse_and_constraints(engine, expected):
    parsed = engine.parse(expected["query"])
    got = {
        "query": expected["query"],
        "rest": parsed.rest,
        "intent": parsed.intent,
        "filters": parsed.filters.model_dump(mode="json", exclude_defaults=True),
        "corrected": parsed.corrected,
        "sort": parsed.sort,
        "locale": parsed.locale,
    }
    defaults = {"filters": {}, "corrected": None, "sort": "relevance", "locale": "en"}
    assert got == defaults | expected
    result = engine.search(SearchRequest(query=expected["query"], limit=100))
    hard = Filters.model_validate(expected.get("filters", {}))
    if not result.relaxed:
        for shown in result.products:
            assert matches(engine.catalogue.get(shown.product_id), hard), shown.title

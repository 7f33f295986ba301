"""Segments on a shop whose groups are known."""

import json

import numpy as np
import pytest

from components.contracts.artefacts import writing_artefact
from components.recommend.segments import (
    SegmentModel,
    agreement,
    category_lifts,
    k_means,
    learn_factors,
    matched,
    names_of,
    visitor_vectors,
)
from tests.unit.recommend.small_shop import GROUPS, VISITORS, small_shop

NAMES = ("Food > tea", "Food > bread", "Home > soap", "Food > cheese")


@pytest.fixture(scope="module")
def built():
    shop = small_shop()
    factors = learn_factors(shop.log, VISITORS, shop.n_products, 8)
    vectors = visitor_vectors(shop.log, VISITORS, factors)
    labels, centres = k_means(vectors, GROUPS, 7)
    return shop, factors, vectors, labels, centres


def test_the_true_groups_are_found_and_named(built):
    shop, _, vectors, labels, _ = built
    truth = np.arange(VISITORS) % GROUPS
    assert agreement(labels, truth) == 1.0
    assert agreement(k_means(vectors, GROUPS, 8)[0], labels) == 1.0
    leads = category_lifts(shop.log, labels, shop.columns.category_of, NAMES, GROUPS)
    names = names_of(leads)
    for group in range(GROUPS):
        label = labels[group]
        assert names[label].lower().startswith(NAMES[group].split(" > ")[1])
        assert leads[label][0][1] > 2


def test_a_retraining_keeps_the_numbers(built):
    _, _, vectors, labels, _ = built
    renumbered = (labels + 1) % GROUPS
    again, _ = k_means(vectors, GROUPS, 99, begin=renumbered)
    np.testing.assert_array_equal(again, renumbered)
    np.testing.assert_array_equal(matched(labels, renumbered, GROUPS), labels)


def test_newcomers_join_by_what_they_look_at_and_files_round_trip(built, tmp_path):
    shop, factors, _, labels, centres = built
    ids = shop.columns.product_ids
    model = SegmentModel(
        number_of={v: int(s) for v, s in zip(shop.visitor_ids, labels, strict=True)},
        profiles=tuple({"name": f"segment {n}"} for n in range(GROUPS)),
        factors=factors,
        centres=centres,
        type_of={p: n for n, p in enumerate(ids)},
        popular=tuple(((ids[n], 0.5),) for n in range(GROUPS)),
    )
    with writing_artefact(
        tmp_path / "segments", kind="segments", stage="segments", seed=1, params={}
    ) as folder:
        model.save(folder)
    loaded = SegmentModel.load(tmp_path)
    assert loaded is not None
    assert loaded.number_of == dict(model.number_of)
    for group in range(GROUPS):
        theirs = [ids[p] for p in range(len(ids)) if p % GROUPS == group]
        assert loaded.of(None, theirs) == labels[group]
        assert loaded.of(shop.visitor_ids[group]) == labels[group]
    assert loaded.of(None) is None
    assert loaded.names(loaded.of(shop.visitor_ids[0]))[1] == str(labels[0])
    assert SegmentModel.load(tmp_path / "nowhere") is None
    assert json.loads((tmp_path / "segments" / "segments.json").read_text())["profiles"]


def test_agreement_by_hand():
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)

"""Damaged trees are an error in this process, never its end."""

import lightgbm
import numpy as np
import pytest

from components.contracts.errors import ArtefactError
from components.data.trees import read_trees


@pytest.fixture(scope="module")
def model():
    random = np.random.default_rng(3)
    rows = random.normal(size=(400, 5))
    data = lightgbm.Dataset(rows, rows[:, 0] + 0.3 * random.normal(size=400) > 0)
    options = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    return lightgbm.train(options, data, 12).model_to_string()


def test_scores_are_those_of_the_library(model):
    rows = np.random.default_rng(4).normal(size=(50, 5))
    expected = lightgbm.Booster(model_str=model).predict(rows)
    np.testing.assert_array_equal(read_trees(model).predict(rows), expected)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9, 0.98])
def test_a_text_that_is_cut_short_is_an_error(model, share):
    with pytest.raises(ArtefactError, match=r"model_3\.txt"):
        read_trees(model[: int(share * len(model))], origin="model_3.txt")


def test_a_tree_that_was_lost_is_an_error(model):
    first, *trees = model.split("Tree=")
    with pytest.raises(ArtefactError, match="holds 11 of 12 trees"):
        read_trees("Tree=".join([first, *trees[:4], *trees[5:]]))


def test_a_text_with_other_sizes_is_read(model):
    """As of a person who mended a leaf by hand; the library alone would end the process."""
    changed = model.replace("leaf_value=", "leaf_value=0", 1)
    assert read_trees(changed).num_trees() == 12


@pytest.mark.parametrize("text", ["", "garbage", "tree\nversion=v4\n", "Tree=0\nend of trees\n"])
def test_garbage_is_an_error(text):
    with pytest.raises(ArtefactError):
        read_trees(text)

"""Relations help where friends buy alike and not when shuffled; consent and forgetting."""

import json

import numpy as np
import polars as pl
import pytest

from components.contracts.params import SocialParams
from components.data.forgotten import digest_of, drop_forgotten
from components.merchandise.social import judge
from components.recommend.history import build_log
from components.recommend.social import build_social, enough_people, links_of

VISITORS = [f"v{n}" for n in range(6)]


def tables(consents=(True,) * 6):
    relations = pl.DataFrame(
        {
            "visitor_id": ["v0", "v0", "v0", "v1", "v2", "v3", "v4"],
            "other_id": ["v1", "v2", "v3", "v0", "home", "home", "home"],
            "kind": ["friend"] * 4 + ["household"] * 3,
            "weight": [1.0] * 7,
        }
    )
    return relations, pl.DataFrame({"visitor_id": VISITORS, "consent": list(consents)})


def test_groups_link_their_members_and_consent_counts_on_both_sides():
    relations, visitors = tables()
    dense = links_of(relations, visitors, VISITORS).toarray()
    assert dense[0].tolist() == [0, 1, 1, 1, 0, 0]
    assert dense[2].tolist() == [0, 0, 0, 0.5, 0.5, 0]
    relations, visitors = tables((True, True, False, True, True, True))
    dense = links_of(relations, visitors, VISITORS).toarray()
    assert dense[:, 2].sum() == 0
    assert dense[2].sum() == 0
    assert dense[0].tolist() == [0, 1, 0, 1, 0, 0]


def test_nothing_is_told_of_few_people():
    relations, visitors = tables()
    links = links_of(relations, visitors, VISITORS)
    rows = np.array([(1, 0), (2, 0), (3, 0), (1, 1), (5, 1), (4, 1)])
    ones = np.ones(len(rows), dtype=np.float32)
    log = build_log(rows[:, 0], rows[:, 1], ones.astype(int), ones.astype(int), ones, ones * 0,
                    np.full(len(rows), -1))  # fmt: skip
    model = build_social(links, log, VISITORS, ["p0", "p1"], min_people=3)
    assert set(model.people) == {"v0"}
    assert [(p, n) for p, n, _ in model.liked("v0")] == [("p0", 3)]
    assert model.liked("v0", without={"v3"}) == []
    assert model.liked("v1") == []
    assert model.liked(None) == []


def test_forgetting_removes_a_visitors_edges_on_both_sides(tmp_path):
    relations, visitors = tables()
    salt = "ab" * 16
    path = tmp_path / "forgotten.json"
    path.write_text(json.dumps({"salt": salt, "forgotten": {digest_of("v0", salt): "2018-01-01"}}))
    kept, gone = drop_forgotten({"relations": relations, "visitors": visitors}, path)
    assert gone == 1
    assert "v0" not in {*kept["relations"]["visitor_id"], *kept["relations"]["other_id"]}
    left = links_of(kept["relations"], kept["visitors"], VISITORS)
    assert left[0].nnz == 0
    assert left[:, 0].nnz == 0
    assert enough_people(left, 1).nnz == 6  # the household of three stays


def test_relations_help_newcomers_and_shuffled_ones_do_not():
    section = SocialParams(shops=2, visitors=200, products=160, weeks=14, bootstrap=300)
    rows = {(r["model"], r["slice"]): r for r in judge(section)}
    true = rows["graph with relations", "newcomers"]
    false = rows["graph with shuffled relations", "newcomers"]
    assert true["gain_over_none_low"] > 0
    assert false["gain_over_none"] == pytest.approx(0.0, abs=0.01)
    assert true["gain_over_none"] > false["gain_over_none"] + 0.01

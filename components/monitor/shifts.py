"""Seeded shifts: what the monitor must tell apart, each with the remedy that would be right.

In: one week of real events (and the product table). Out: the same week with one thing changed, by a
seed. Faults of the data come first, changes of shoppers and goods after them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from components.monitor.decide import Remedy
from components.monitor.profile import category_of

Tables = tuple[pl.DataFrame, pl.DataFrame]
Change = Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], Tables]

SPANISH = {
    "milk": "leche", "bread": "pan", "cheese": "queso", "chicken": "pollo", "beef": "carne",
    "frozen": "congelado", "fresh": "fresco", "white": "blanco", "sauce": "salsa", "soup": "sopa",
    "water": "agua", "sugar": "azucar", "salt": "sal", "egg": "huevo", "eggs": "huevos",
    "juice": "zumo", "apple": "manzana", "cookies": "galletas", "cereal": "cereales",
    "chips": "patatas fritas", "dog": "perro", "cat": "gato", "food": "comida", "paper": "papel",
    "soap": "jabon", "ice": "hielo", "cream": "crema", "potato": "patata", "tomato": "tomate",
    "oz": "onzas", "store": "tienda", "brand": "marca", "and": "y", "drinks": "bebidas",
    "pizza": "pizza casera", "butter": "mantequilla", "candy": "dulces", "coffee": "cafe",
    "tea": "te", "rice": "arroz", "beans": "frijoles", "fruit": "fruta", "vegetables": "verduras",
    "meat": "carnes", "fish": "pescado", "yogurt": "yogur", "baby": "bebe", "hair": "cabello",
}  # fmt: skip


@dataclass(frozen=True)
class Shift:
    """One change of a week and the remedies that would be right for it."""

    name: str
    about: str
    right: tuple[Remedy, ...]
    apply: Change
    serve: Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame] | None = None

    @property
    def is_fault(self) -> bool:
        """Whether it is a pure data fault, on which nothing may be trained."""
        return self.right[0] == "stop and quarantine"


def _rows(events: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.random(events.height) < share)


def prices_times_three(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Every price is three times what it was."""
    return events.with_columns(pl.col("price_minor") * 3), products


def quantities_in_grams(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """A fifth of the lines count hundredths instead of pieces."""
    hit = _rows(events, 0.2, rng)
    quantity = pl.when(hit).then(pl.col("quantity") * 100).otherwise(pl.col("quantity"))
    return events.with_columns(quantity), products


def missing_prices(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Two in a hundred lines have lost their price."""
    hit = _rows(events, 0.02, rng)
    return events.with_columns(
        pl.when(hit).then(None).otherwise(pl.col("price_minor")).alias("price_minor")
    ), products


def mixed_currencies(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """One place writes its prices in another currency, with its code."""
    place = (
        events["place"]
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", "place"], descending=[True, False])
    )
    there = pl.col("place").is_in(place.head(8)["place"].to_list())
    return (
        events.with_columns(
            pl.when(there)
            .then((pl.col("price_minor") * 18.4).round().cast(pl.Int64))
            .otherwise(pl.col("price_minor"))
            .alias("price_minor"),
            pl.when(there).then(pl.lit("MXN")).otherwise(pl.col("currency")).alias("currency"),
        ),
        products,
    )


def batch_twice(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """One day's batch was loaded a second time, under new event ids."""
    day = events["at"].dt.date().mode().min()
    again = events.filter(pl.col("at").dt.date() == day).with_columns(pl.col("event_id") + "-2")
    return pl.concat([events, again]), products


def clock_turned(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """All times are five hours late: a time zone was dropped."""
    return events.with_columns(pl.col("at") + pl.duration(hours=5)), products


def half_lost(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """Half of the orders never arrived."""
    kept = (pl.col("order_id").hash(seed=5) % 2) == 0
    return events.filter(kept), products


def category_lost(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """The fifth largest category is missing altogether; the smallest where there are fewer."""
    named = events.join(category_of(products), on="product_id", how="left")
    order = (
        named["category"]
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", "category"], descending=[True, False])
    )
    gone = order["category"].head(5).tail(1).to_list()
    return events.filter(~named["category"].fill_null("").is_in(gone)), products


def other_categories(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Interest moves: two thirds of the five largest categories' lines go, the rest stays."""
    named = events.join(category_of(products), on="product_id", how="left")
    order = (
        named["category"]
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", "category"], descending=[True, False])
    )
    large = named["category"].is_in(order["category"].head(5).to_list()).fill_null(False)
    return events.filter(~(large & (pl.Series(rng.random(events.height)) < 0.66))), products


def wave_of_launches(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """One line in eight is of a product that was never sold before."""
    hit = _rows(events, 0.125, rng)
    pick = products.sort("product_id").head(300)
    fresh = pick.with_columns(("new-" + pl.col("product_id")).alias("product_id"))
    names = pl.Series(rng.choice(fresh["product_id"].to_numpy(), events.height))
    changed = events.with_columns(
        pl.when(hit).then(names).otherwise(pl.col("product_id")).alias("product_id"),
        pl.when(hit).then(names).otherwise(pl.col("variant_id")).alias("variant_id"),
    )
    return changed, pl.concat([products, fresh])


def titles_in_spanish(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Half of the titles come in another language."""
    title = pl.col("title").str.to_lowercase()
    for word, other in SPANISH.items():
        title = title.str.replace_all(rf"\b{word}\b", other)
    chosen = pl.col("product_id").hash(seed=9) % 2 == 0
    return events, products.with_columns(
        pl.when(chosen).then(title).otherwise(pl.col("title")).alias("title")
    )


def other_visitors(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """A campaign: a third of the lines come from visitors never seen before."""
    third = (pl.col("visitor_id").hash(seed=17) % 3) == 0
    return events.with_columns(
        pl.when(third)
        .then("guest-" + pl.col("visitor_id"))
        .otherwise(pl.col("visitor_id"))
        .alias("visitor_id")
    ), products


def other_bestsellers(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Within each category, the demand of head and tail is exchanged for one line in three."""
    named = events.with_row_index("row").join(category_of(products), on="product_id", how="left")
    counts = named.group_by("category", "product_id").agg(pl.len().alias("n"))
    swapped = counts.sort(["category", "n", "product_id"]).with_columns(
        pl.col("product_id").reverse().over("category").alias("other")
    )
    joined = named.join(
        swapped.select("category", "product_id", "other"), on=["category", "product_id"], how="left"
    ).sort("row")
    priced = joined.with_columns(pl.col("other").fill_null(pl.col("product_id"))).join(
        products.select(pl.col("product_id").alias("other"), pl.col("price_minor").alias("price")),
        on="other",
        how="left",
        maintain_order="left",
    )
    hit = _rows(events, 0.33, rng)
    price = priced["price"].fill_null(priced["price_minor"])
    changed = events.with_columns(
        pl.when(hit).then(priced["other"]).otherwise(pl.col("product_id")).alias("product_id"),
        pl.when(hit).then(price).otherwise(pl.col("price_minor")).alias("price_minor"),
    )
    return changed, products


def other_tastes(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """Everybody buys what somebody else used to buy; what is sold in all stays the same."""
    ids = events["visitor_id"].unique().sort()
    turned = pl.DataFrame({"visitor_id": ids, "other": ids.gather(rng.permutation(len(ids)))})
    moved = events.join(turned, on="visitor_id", how="left", maintain_order="left")["other"]
    return events.with_columns(moved.alias("visitor_id")), products


def dearer_by_a_fifth(
    events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator
) -> Tables:
    """Real inflation: every price up by a fifth."""
    return events.with_columns((pl.col("price_minor") * 1.2).round().cast(pl.Int64)), products


def stocking_up(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """People buy two instead of one in a quarter of the lines."""
    hit = _rows(events, 0.25, rng)
    return events.with_columns(
        pl.when(hit).then(pl.col("quantity") + 1).otherwise(pl.col("quantity")).alias("quantity")
    ), products


def unchanged(events: pl.DataFrame, products: pl.DataFrame, rng: np.random.Generator) -> Tables:
    """Leave the data as they are."""
    return events, products


def bad_release(served: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Exchange the slates of the visitors among each other: a release that mixed up its ids."""
    ids = served["visitor_id"].unique().sort()
    other = pl.DataFrame({"visitor_id": ids, "other": ids.gather(rng.permutation(len(ids)))})
    joined = served.join(other, on="visitor_id", how="left", maintain_order="left")
    return joined.select(pl.col("other").alias("visitor_id"), "product_id", "rank")


STOP: tuple[Remedy, ...] = ("stop and quarantine",)
RETRAIN: tuple[Remedy, ...] = ("retrain",)
SHIFTS: tuple[Shift, ...] = tuple(
    Shift(f.__name__, (f.__doc__ or "").strip(), right, f)
    for f, right in (
        (prices_times_three, STOP),
        (quantities_in_grams, STOP),
        (missing_prices, STOP),
        (mixed_currencies, STOP),
        (batch_twice, STOP),
        (half_lost, STOP),
        (other_categories, RETRAIN),
        (wave_of_launches, RETRAIN),
        (titles_in_spanish, RETRAIN),
        (other_visitors, RETRAIN),
        (other_bestsellers, RETRAIN),
        (other_tastes, RETRAIN),
        (clock_turned, STOP),
        (category_lost, STOP),
        (dearer_by_a_fifth, RETRAIN),
        (stocking_up, RETRAIN),
    )
)
SHIFTS += (
    Shift(
        "bad_release",
        "What is served mixes up its visitors; shoppers and goods are as ever.",
        ("roll back",),
        unchanged,
        bad_release,
    ),
)

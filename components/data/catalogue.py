"""The product catalogue: the stage that finishes the tables, and the snapshot that engines read.

In: accepted tables. Out: `artefacts/catalogue`: products, variants, offers and the shop's clock, so
that a release is whole without the training data. `Catalogue` holds the products in a fixed dense
order; an upsert replaces the snapshot as a whole, so a reader never sees half of it.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import polars as pl

from components.contracts.artefacts import Layout, read_manifest, writing_artefact
from components.contracts.errors import ArtefactError, SourceError, UnknownProductError
from components.contracts.params import Params
from components.contracts.records import Product, Variant
from components.data.parquet import read_frame, read_table, write_table
from components.data.source import CATEGORY_SEPARATOR, first_monday_of

ARTEFACT = "catalogue"
CLOCK_NAME = "clock.json"
OFFER_TABLES = ("promotions", "promotion_products", "promotion_audience")
REVIEWS_A_PRODUCT = 20  # shown at most; the most helpful ones


@dataclass(frozen=True)
class _Snapshot:
    ids: list[str]
    index: dict[str, int]
    products: Mapping[str, Product]


class Catalogue:
    """Products by id, in a dense order that never changes for an id once given."""

    def __init__(self, products: Iterable[Product] = ()) -> None:
        """Hold these products, in the order given; a repeated id keeps its place, last one wins."""
        self._lock = threading.Lock()
        self._snapshot = _extend(_Snapshot([], {}, MappingProxyType({})), products)

    @classmethod
    def from_products(cls, products: Iterable[Product]) -> Self:
        """Make a catalogue of products that come from anywhere."""
        return cls(products)

    @classmethod
    def load(cls, artefacts: Path) -> Self:
        """Read `artefacts/catalogue`.

        Raises:
            ArtefactError: absent, half-written or altered since it was made.
        """
        folder = artefacts / ARTEFACT
        read_manifest(folder)
        products = read_frame(folder / "products.parquet")
        return cls(products_of(products, read_frame(folder / "variants.parquet")))

    @property
    def ids(self) -> list[str]:
        """Product ids in dense order."""
        return self._snapshot.ids

    @property
    def index(self) -> dict[str, int]:
        """Product id to its place in `ids`."""
        return self._snapshot.index

    @property
    def products(self) -> Mapping[str, Product]:
        """Product id to product; a view of one snapshot that no later upsert alters."""
        return self._snapshot.products

    def get(self, product_id: str) -> Product:
        """Return one product.

        Raises:
            UnknownProductError: the catalogue does not hold it.
        """
        product = self._snapshot.products.get(product_id)
        if product is None:
            raise UnknownProductError(f"no product {product_id!r} in the catalogue.")
        return product

    def upsert(self, products: Iterable[Product]) -> None:
        """Add or replace products; readers see either none or all of them."""
        with self._lock:
            self._snapshot = _extend(self._snapshot, products)

    def __len__(self) -> int:
        return len(self._snapshot.ids)

    def __contains__(self, product_id: object) -> bool:
        return product_id in self._snapshot.index

    def __iter__(self) -> Iterator[Product]:
        snapshot = self._snapshot
        return (snapshot.products[product_id] for product_id in snapshot.ids)


def _extend(old: _Snapshot, products: Iterable[Product]) -> _Snapshot:
    ids, index, held = list(old.ids), dict(old.index), dict(old.products)
    for product in products:
        if product.product_id not in index:
            index[product.product_id] = len(ids)
            ids.append(product.product_id)
        held[product.product_id] = product
    return _Snapshot(ids, index, MappingProxyType(held))


def products_of(products: pl.DataFrame, variants: pl.DataFrame) -> Iterator[Product]:
    """Turn table rows into products with their variants, in the table's order.

    Raises:
        ArtefactError: a row does not make a product; the message names it.
    """
    of: dict[str, list[Variant]] = {}
    for row in variants.iter_rows(named=True):
        owner = row.pop("product_id")
        row["options"] = json.loads(row["options"])
        of.setdefault(owner, []).append(Variant.model_validate(row))
    for row in products.iter_rows(named=True):
        row.pop("first_sold_at", None)
        row["category"] = split_path(row["category"])
        row["attributes"] = json.loads(row["attributes"])
        row["images"] = tuple(json.loads(row["images"]))
        row["variants"] = tuple(of.get(row["product_id"], ()))
        try:
            yield Product.model_validate(row)
        except ValueError as error:
            raise ArtefactError(f"product {row['product_id']}: {error}") from error


def split_path(path: str) -> tuple[str, ...]:
    """Split a stored category path.

    >>> split_path("Frozen > Frozen pizza")
    ('Frozen', 'Frozen pizza')
    """
    return tuple(part for part in path.split(CATEGORY_SEPARATOR) if part)


def roll_up(products: pl.DataFrame, least: int) -> pl.DataFrame:
    """Shorten the category path of leaves with fewer than `least` products to their parent."""
    small = (
        products.group_by("category")
        .len()
        .filter((pl.col("len") < least) & pl.col("category").str.contains(CATEGORY_SEPARATOR))
    )
    if small.is_empty():
        return products
    parts = pl.col("category").str.split(CATEGORY_SEPARATOR)
    shorter = parts.list.head(parts.list.len() - 1).list.join(CATEGORY_SEPARATOR)
    rare = pl.col("category").is_in(small["category"].implode())
    return products.with_columns(
        pl.when(rare).then(shorter).otherwise(pl.col("category")).alias("category")
    )


def clean(products: pl.DataFrame) -> pl.DataFrame:
    """Put white space and control characters in texts in order; a shopper never sees raw bytes."""
    tidy = [
        pl.col(name).str.replace_all(r"[\p{Cc}\p{Z}]+", " ").str.strip_chars().alias(name)
        for name in ("title", "description", "category", "brand", "type")
    ]
    return products.with_columns(tidy)


def data_clock(events: pl.DataFrame, timezone: str) -> dict[str, Any]:
    """Say when the data end, and what is needed to tell the shop week of a later time.

    Raises:
        SourceError: there are no events to tell the time by.
    """
    if events.is_empty():
        raise SourceError("the events table is empty: there is no time to set the shop's clock by.")
    end = events["at"].max()
    assert isinstance(end, datetime)
    return {
        "data_end": end.isoformat(),
        "timezone": timezone,
        "first_monday": str(first_monday_of(events["at"], timezone)),
        "last_week": int(events["week"].max()),  # type: ignore[arg-type]
    }


def community(reviews: pl.DataFrame, visitors: pl.DataFrame) -> pl.DataFrame:
    """Return the reviews that may be shown: with words, and by visitors who consented.

    Args:
        reviews: the canonical table; one without an author has nobody's consent.
        visitors: with `consent`.

    Returns:
        At most `REVIEWS_A_PRODUCT` of each product, the most helpful ones, then the newest.
    """
    consents = visitors.filter(pl.col("consent")).select("visitor_id")
    return (
        reviews.filter(pl.col("text").str.strip_chars() != "")
        .join(consents, on="visitor_id", how="semi")
        .sort(
            "product_id", "helpful_votes", "at", "review_id",
            descending=[False, True, True, False], nulls_last=True,
        )
        .group_by("product_id", maintain_order=True)
        .head(REVIEWS_A_PRODUCT)
        .sort("review_id")
    )  # fmt: skip


def run(params: Params, layout: Layout) -> None:
    """Write `artefacts/catalogue`.

    Raises:
        TableError: an accepted table is absent or damaged.
    """
    tables = layout.tables
    products = roll_up(
        clean(read_table("products", tables)), params.catalogue.min_category_products
    )
    metrics: dict[str, float] = {}
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind=ARTEFACT,
        stage="catalogue",
        seed=params.ingest.seed,
        params=params.catalogue.model_dump(),
        packages=("polars",),
        metrics=metrics,
    ) as folder:
        write_table(products, "products", folder)
        variants = read_table("variants", tables)
        write_table(variants, "variants", folder)
        for name in OFFER_TABLES:
            write_table(read_table(name, tables), name, folder)
        shown = community(read_table("reviews", tables), read_table("visitors", tables))
        if shown.height:
            write_table(shown, "reviews", folder)
        clock = data_clock(read_table("events", tables), params.ingest.timezone)
        (folder / CLOCK_NAME).write_text(json.dumps(clock, indent=2, sort_keys=True) + "\n")
        metrics["products"] = float(products.height)
        metrics["variants"] = float(variants.height)
        metrics["available"] = float(products["available"].sum())
        metrics["categories"] = float(products["category"].n_unique())

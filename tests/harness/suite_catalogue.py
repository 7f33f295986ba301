"""Read a catalogue in the evaluation suite's format into our products, reviews and offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from components.contracts.records import Product, Review, Variant


@dataclass(frozen=True)
class SuiteCatalogue:
    """A small shop: products, what buyers wrote, offers with their dates, money."""

    products: tuple[Product, ...]
    reviews: dict[str, tuple[Review, ...]]
    promotions: dict[str, dict[str, Any]]
    currency: str
    rates: dict[str, str]


def _moment(day: str, *, end: bool = False) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.max if end else time.min, UTC)


def read_catalogue(data: Mapping[str, Any]) -> SuiteCatalogue:
    """Translate the suite's words (id, sku, price) into ours; nothing is left out or added."""
    products, reviews, promotions = [], {}, {}
    for p in data["products"]:
        variants = tuple(
            Variant(
                variant_id=v["sku"],
                options={
                    k: str(x)
                    for k, x in v.items()
                    if k not in ("sku", "price", "stock", "list_price")
                },
                price_minor=v["price"],
                list_price_minor=p.get("list_price") if len(p["variants"]) == 1 else None,
                stock=v["stock"],
            )
            for v in p["variants"]
        )
        attributes = dict(p["attributes"])
        if p.get("title_zh"):
            attributes["title_zh"] = p["title_zh"]
        live = [v["price"] for v in p["variants"] if v["stock"] > 0] or [
            v["price"] for v in p["variants"]
        ]
        products.append(
            Product(
                product_id=p["id"],
                title=p["title"][:500],
                description=p["description"],
                brand=p["brand"],
                category=(p["category"],),
                type=p["type"],
                price_minor=min(live),
                currency=data["currency"],
                attributes=attributes,
                rating=p["rating"],
                rating_count=p["review_count"],
                variants=variants,
            )
        )
        reviews[p["id"]] = tuple(
            Review(
                review_id=f"{p['id']}-{n}", product_id=p["id"], rating=r["stars"], text=r["text"]
            )
            for n, r in enumerate(p["reviews"], start=1)
        )
        if p.get("promotion"):
            offer = p["promotion"]
            promotions[p["id"]] = {
                "promotion_id": f"offer-{p['id']}",
                "title": offer["label"],
                "mechanics": {
                    "kind": "percent",
                    "value": offer["percent"],
                    "already_in_price": True,
                },
                "starts_at": _moment(offer["starts"]),
                "ends_at": _moment(offer["ends"], end=True),
            }
    return SuiteCatalogue(
        tuple(products),
        reviews,
        promotions,
        data["currency"],
        {k: str(v) for k, v in data["rates"].items()},
    )

"""A small shop for the assistant's tests, and an assistant over it."""

from datetime import UTC, datetime, timedelta

from components.assistant.engine import Assistant
from components.assistant.offers import Offer, Offers
from components.contracts.messages import TurnRequest
from components.contracts.records import Product, Purchase, Review, Variant
from components.data.catalogue import Catalogue
from components.recommend.engine import RecommendEngine
from components.search.engine import SearchEngine
from components.state.store import Store

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def product(
    product_id,
    title,
    kind,
    category,
    price,
    *,
    brand="Acme",
    attributes=None,
    options=None,
    stock=5,
    description="A plain thing.",
):
    rows = options or [{}]
    variants = tuple(
        Variant(variant_id=f"{product_id}-{n}", options=o, price_minor=price, stock=stock)
        for n, o in enumerate(rows, start=1)
    )
    return Product(
        product_id=product_id,
        title=title,
        description=description,
        brand=brand,
        category=(category,),
        type=kind,
        price_minor=price,
        currency="EUR",
        attributes=attributes or {},
        rating=4.2,
        rating_count=40,
        variants=variants,
    )


PRODUCTS = (
    product(
        "p1",
        "Meadow rain jacket",
        "jacket",
        "clothing",
        8900,
        attributes={"waterproof": True},
        options=[{"color": c, "size": s} for c in ("red", "blue") for s in ("S", "M")],
    ),
    product(
        "p2",
        "Harbour denim jacket",
        "jacket",
        "clothing",
        5900,
        brand="Nord",
        attributes={"waterproof": False},
        options=[{"color": "blue", "size": "M"}],
    ),
    product(
        "p3",
        "Pico table lamp",
        "lamp",
        "home",
        2500,
        attributes={"battery_hours": 8, "wireless": True},
    ),
    product(
        "p4",
        "Atlas floor lamp",
        "lamp",
        "home",
        7500,
        brand="Nord",
        attributes={"battery_hours": 20, "wireless": False},
    ),
    product("p5", "Oat granola", "granola", "food", 450, attributes={"organic": True}, stock=20),
    product(
        "p6",
        "Honey granola",
        "granola",
        "food",
        390,
        brand="Store brand",
        attributes={"organic": False},
        stock=20,
    ),
    product("p7", "Copper pan", "pan", "home", 4200, stock=0),
)


def assistant(products=PRODUCTS, *, store=None, reviews=None, offers=(), **options):
    catalogue = Catalogue.from_products(products)
    made = Assistant(
        catalogue,
        SearchEngine.from_products(catalogue),
        RecommendEngine.from_catalogue(catalogue, history=()),
        store or Store("sqlite://"),
        currency="EUR",
        rates={"EUR": "1", "USD": "1.10", "CNY": "7.80"},
        now=lambda: NOW,
        reviews=lambda i: (reviews or {}).get(i, ()),
        offers=Offers(offers),
        **options,
    )
    return made


class Talk:
    def __init__(self, made, visitor="v1", session="s1"):
        self.assistant, self.visitor, self.session = made, visitor, session

    def __call__(self, message, **fields):
        return self.assistant.turn(
            TurnRequest(session_id=self.session, visitor_id=self.visitor, message=message, **fields)
        )


def purchases(store, visitor, product_id, days):
    store.append_events(
        [
            Purchase(
                event_id=f"{visitor}-{product_id}-{d}",
                at=NOW - timedelta(days=d),
                visitor_id=visitor,
                product_id=product_id,
            )
            for d in days
        ]
    )


def review(product_id, n, stars, text):
    return Review(review_id=f"{product_id}-r{n}", product_id=product_id, rating=stars, text=text)


def offer(product_id, *, days=5, audience=()):
    return Offer(
        f"o-{product_id}",
        "Spring days",
        (product_id,),
        NOW - timedelta(days=9),
        NOW + timedelta(days=days),
        {"kind": "percent", "value": 10},
        frozenset(audience),
        bool(audience),
    )

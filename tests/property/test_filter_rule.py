"""The vectorised predicate, the plain rule and an independent brute force agree."""

from hypothesis import given, settings
from hypothesis import strategies as st

from components.contracts.messages import Filters
from components.contracts.records import Product, Variant
from components.data.filters import FilterTable, fitting_variants, matches

COLOURS, BRANDS, WORDS = ("red", "blue", "dark blue"), ("Acme", "Nord"), ("nut", "milk", "bar")
variants = st.builds(
    lambda price, stock, colour: (price, stock, colour),
    st.integers(0, 5),
    st.sampled_from([None, 0, 2]),
    st.sampled_from([None, *COLOURS]),
)


@st.composite
def products(draw):
    made = []
    for n in range(draw(st.integers(1, 6))):
        options = draw(st.lists(variants, max_size=3))
        made.append(
            Product(
                product_id=f"p{n}",
                title=" ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2))),
                brand=draw(st.sampled_from([None, *BRANDS])),
                price_minor=draw(st.one_of(st.none(), st.integers(0, 5))),
                rating=draw(st.sampled_from([None, 3.0, 4.5])),
                available=draw(st.booleans()),
                attributes={"colour": c} if (c := draw(st.sampled_from([None, *COLOURS]))) else {},
                variants=tuple(
                    Variant(
                        variant_id=f"p{n}v{m}",
                        price_minor=p,
                        stock=s,
                        options={"color": c} if c else {},
                    )
                    for m, (p, s, c) in enumerate(options)
                ),
            )
        )
    return made


some = lambda values: st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)  # noqa: E731
filters = st.builds(
    Filters,
    price_min=st.one_of(st.none(), st.integers(0, 5)),
    price_max=st.one_of(st.none(), st.integers(0, 5)),
    brand=some(BRANDS),
    min_rating=st.sampled_from([None, 4.0]),
    in_stock=st.sampled_from([None, True, False]),
    attributes=some(COLOURS).map(lambda v: {"color": v} if v else {}),
    terms=some(WORDS),
    exclude=st.tuples(some(COLOURS), some(BRANDS), some(WORDS)).map(
        lambda v: {n: x for n, x in zip(("color", "brand", "terms"), v, strict=True) if x}
    ),
)


def brute(product: Product, f: Filters) -> bool:
    """The rule again, written from its sentence and from nothing else."""
    words = set((product.title + " " + (product.brand or "")).lower().split())
    own = product.attributes.get("colour")
    words |= set(own.split()) if own else set()
    rows = [(v.price_minor, v.stock, v.options.get("color")) for v in product.variants]
    rows = rows or [(product.price_minor, None, None)]

    def fits(price, stock, colour) -> bool:
        colour = colour if colour is not None else own
        here = product.available and stock != 0
        return (
            (f.price_min is None or (price is not None and price >= f.price_min))
            and (f.price_max is None or (price is not None and price <= f.price_max))
            and (f.in_stock is None or here is f.in_stock)
            and ("color" not in f.attributes or colour in f.attributes["color"])
            and colour not in f.exclude.get("color", ())
        )

    return (
        any(fits(*row) for row in rows)
        and (not f.brand or product.brand in f.brand)
        and product.brand not in f.exclude.get("brand", ())
        and (f.min_rating is None or (product.rating or 0) >= f.min_rating)
        and all(term in words for term in f.terms)
        and not any(term in words for term in f.exclude.get("terms", ()))
    )


@given(products(), filters)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_three_ways_to_decide_agree(made, wanted):
    expected = [p.product_id for p in made if brute(p, wanted)]
    assert FilterTable.from_products(made).allowed_ids(wanted) == expected
    assert [p.product_id for p in made if matches(p, wanted)] == expected


@settings(max_examples=200, deadline=None)
@given(products(), filters)
def test_fitting_variants_are_those_that_match_alone(catalogue, asked):
    of_variant = Filters(
        price_min=asked.price_min,
        price_max=asked.price_max,
        in_stock=asked.in_stock,
        attributes=asked.attributes,
        exclude={n: v for n, v in asked.exclude.items() if n == "color"},
    )
    for product in catalogue:
        alone = [
            v
            for v in product.variants
            if matches(product.model_copy(update={"variants": (v,)}), of_variant)
        ]
        assert fitting_variants(product, asked) == alone

"""Which words stand for a product: the one text that is encoded, hashed and cached.

The same text comes out of a `Product` and out of a row of the products table, so that a product
posted to the service gets the vector that the pipeline would have given it.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from components.contracts.records import Product

_SPACES = re.compile(r"\s+")
# Attributes that say nothing about what a product is, or that change without the product changing.
_LEFT_OUT = frozenset(
    {"stock", "price", "sku", "id", "url", "image", "images", "brand_kind", "size_unit"}
)
_LINKING = frozenset(
    {
        *("a", "an", "and", "by", "find", "for", "from", "in", "it", "of", "on", "or", "our"),
        *("own", "the", "this", "to", "under", "with"),
    }
)
_MAX_CHARACTERS = 600


def clean(text: str) -> str:
    r"""Return text as it is hashed and encoded: NFKC, single spaces; case is kept.

    >>> clean(" Milk\n１２ oz ")
    'Milk 12 oz'
    """
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip()


def text_hash(text: str) -> str:
    """Return 32 hex digits that name the cleaned text."""
    return hashlib.sha256(clean(text).encode()).hexdigest()[:32]


def _attribute_words(attributes: Mapping[str, Any]) -> list[str]:
    words = []
    for name in sorted(attributes):
        value = attributes[name]
        if name.casefold() in _LEFT_OUT or value is None or isinstance(value, bool | dict):
            continue
        parts = value if isinstance(value, list | tuple) else [value]
        words.extend(str(part) for part in parts if isinstance(part, str))
    return words


def _words(text: str) -> set[str]:
    return {word.strip(".,;:()").casefold() for word in text.split()} - _LINKING - {""}


def compose(
    title: str,
    *,
    brand: str | None = None,
    category: Iterable[str] = (),
    type_: str | None = None,
    description: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> str:
    """Compose the text of a product, most telling first; a part without a new word is left out.

    So is a description of which half the words are said already.

    The order matters, since an encoder reads only its first tokens: title, type, category from
    narrow to wide, brand, attributes, description.

    >>> compose("Whole milk, 1 gal", category=("Grocery", "Milk"), brand="Acme", type_="Milk")
    'Whole milk, 1 gal. Grocery. Acme'
    """
    parts = [clean(title)]
    said = _words(parts[0])
    rest = [type_ or "", *reversed(list(category)), brand or ""]
    for part in [*rest, *_attribute_words(attributes or {})]:
        part = clean(part)
        if not _words(part) <= said:
            parts.append(part)
            said |= _words(part)
    described = clean(description)
    words = _words(described)
    if len(words - said) * 2 > len(words):
        parts.append(described)
    return ". ".join(part for part in parts if part)[:_MAX_CHARACTERS]


def product_text(product: Product) -> str:
    """Return the text that stands for one product."""
    return compose(
        product.title,
        brand=product.brand,
        category=product.category,
        type_=product.type,
        description=product.description,
        attributes=product.attributes,
    )


def product_texts(products: pl.DataFrame) -> list[str]:
    """Return the text of every row of the products table, in its order."""
    return [
        compose(
            row["title"],
            brand=row["brand"],
            category=tuple(part for part in row["category"].split(" > ") if part),
            type_=row["type"],
            description=row["description"],
            attributes=json.loads(row["attributes"] or "{}"),
        )
        for row in products.select(
            "title", "brand", "category", "type", "description", "attributes"
        ).iter_rows(named=True)
    ]

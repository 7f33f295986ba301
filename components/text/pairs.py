"""What belongs together: queries with products, and products bought together.

In: the products table, events of the train part, and recorded queries where a shop has them. Out:
pairs of texts for contrastive learning. Words of a held-out tenth of the product groups are never
used in a generated training query, so that a task on them measures transfer and not memory.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.text.normalise import tokens
from components.text.texts import product_texts

Part = Literal["train", "valid", "test"]
_TRANSPOSABLE = 4  # letters a word needs before a typing error is made in it


@dataclass(frozen=True)
class ProductWords:
    """The catalogue as the text room sees it; all sequences share the order of the table.

    Attributes:
        product_ids: ids, in the order of the table.
        texts: what is encoded for each product.
        groups: what kind of thing it is, lower case; its type, else the head of its title.
        words: set of normal tokens of each text.
        titles: as shoppers read them.
        brands: or "" where there is none.
        sizes: the part of the title after its first comma, or "".
        leaves: narrowest category, or "".
    """

    product_ids: list[str]
    texts: list[str]
    groups: list[str]
    words: list[frozenset[str]]
    titles: list[str]
    brands: list[str]
    sizes: list[str]
    leaves: list[str]

    @property
    def index(self) -> dict[str, int]:
        """Product id to place."""
        return {name: place for place, name in enumerate(self.product_ids)}


@dataclass(frozen=True)
class TextPairs:
    """Pairs for contrastive learning: a query or a product on the left, a product on the right.

    Attributes:
        lefts: texts.
        rights: (n,) product places.
        left_products: (n,) product place of the left text, or -1 for a query.
        left_words: tokens of a query; empty for a product.
    """

    lefts: list[str]
    rights: NDArray[np.int64]
    left_products: NDArray[np.int64]
    left_words: list[frozenset[str]]

    def __len__(self) -> int:
        return len(self.lefts)


def describe(products: pl.DataFrame) -> ProductWords:
    """Derive texts, groups and words from the products table."""
    texts = product_texts(products)
    heads, sizes = [], []
    for title in products["title"]:
        head, _, tail = title.partition(",")
        heads.append(head.strip())
        sizes.append(tail.split("(")[0].strip())
    groups = [
        (kind or head).strip().casefold()
        for kind, head in zip(products["type"], heads, strict=True)
    ]
    return ProductWords(
        product_ids=products["product_id"].to_list(),
        texts=texts,
        groups=groups,
        words=[frozenset(tokens(text)) for text in texts],
        titles=products["title"].to_list(),
        brands=[brand or "" for brand in products["brand"]],
        sizes=sizes,
        leaves=[path.split(" > ")[-1] for path in products["category"]],
    )


def part_of_group(group: str) -> Part:
    """Assign a product group to a part by its hash: eight tenths train, one valid, one test.

    >>> {part_of_group(str(n)) for n in range(40)} == {"train", "valid", "test"}
    True
    """
    digit = hashlib.sha256(group.encode()).digest()[0] % 10
    return "test" if digit == 0 else "valid" if digit == 1 else "train"


def _with_typing_error(words: list[str], generator: np.random.Generator) -> list[str]:
    places = [i for i, word in enumerate(words) if len(word) >= _TRANSPOSABLE and word.isalpha()]
    if not places:
        return words
    place = places[int(generator.integers(len(places)))]
    word = words[place]
    at = int(generator.integers(1, len(word) - 1))
    changed = (
        word[:at] + word[at + 1 :]
        if generator.random() < 0.5
        else word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    )
    return [*words[:place], changed, *words[place + 1 :]]


def make_query(catalogue: ProductWords, place: int, generator: np.random.Generator) -> str:
    """Make up what a shopper might type to find this product: kind, brand, size, some of the words.

    One query in eight has a typing error. This is a stand-in where no recorded queries exist: it
    says how well words reach products, not what shoppers really type.
    """
    head = catalogue.titles[place].partition(",")[0].casefold().split()
    group = catalogue.groups[place].split()
    choice = int(generator.integers(8))
    words = group or head
    if choice == 1 and catalogue.sizes[place]:
        words = [*words, *catalogue.sizes[place].casefold().split()]
    elif choice == 2 and catalogue.brands[place]:
        words = [*catalogue.brands[place].casefold().split(), *words]
    elif choice in (3, 4) and len(head) > 1:
        start = int(generator.integers(len(head) - 1))
        words = head[start : start + int(generator.integers(2, 5))]
    elif choice == 5 and len(words) > 2:
        left_out = int(generator.integers(len(words)))
        words = [word for i, word in enumerate(words) if i != left_out]
    elif choice == 6 and catalogue.leaves[place]:
        leaf = catalogue.leaves[place].casefold().split()
        words = [*leaf[:3], words[-1]] if words[-1] not in leaf else leaf
    elif choice == 7:
        words = _with_typing_error(list(words), generator)
    return " ".join(words[:8])


def generated_pairs(
    catalogue: ProductWords,
    n: int,
    *,
    seed: int,
    popularity: NDArray[np.float64],
    part: Part = "train",
) -> TextPairs:
    """Make `n` query-product pairs from products whose group is in the given part.

    Products are drawn by the square root of their sales plus one, so that the tail is seen.
    """
    generator = np.random.default_rng(seed)
    open_ = np.array([part_of_group(group) == part for group in catalogue.groups])
    places = np.flatnonzero(open_)
    if not len(places) or n == 0:
        return TextPairs([], np.empty(0, np.int64), np.empty(0, np.int64), [])
    weight = np.sqrt(popularity[places] + 1.0)
    drawn = generator.choice(places, size=n, p=weight / weight.sum())
    lefts = [make_query(catalogue, int(place), generator) for place in drawn]
    return TextPairs(
        lefts, drawn.astype(np.int64), np.full(n, -1), [frozenset(tokens(q)) for q in lefts]
    )


def recorded_pairs(
    catalogue: ProductWords, queries: pl.DataFrame, judgements: pl.DataFrame, events: pl.DataFrame
) -> list[tuple[str, int]]:
    """Collect what real visitors typed and what answered it: grade 2 or more, or an interaction.

    Only interactions that name their query count. The result is sorted and free of duplicates.
    """
    index = catalogue.index
    text_of = dict(zip(queries["query_id"], queries["text"], strict=True))
    judged = judgements.filter(pl.col("grade") >= 2).select("query_id", "product_id")
    acted = events.filter(pl.col("query_id").is_not_null()).select("query_id", "product_id")
    found = {
        (text_of[query_id], index[product_id])
        for query_id, product_id in pl.concat([judged, acted]).iter_rows()
        if query_id in text_of and product_id in index and text_of[query_id].strip()
    }
    return sorted(found)


def baskets(events: pl.DataFrame) -> pl.DataFrame:
    """Group events into baskets: an order, else a session, else a visitor's local day of events.

    Returns:
        Columns `basket`, `visitor_id`, `at` (first event) and `products` (distinct ids in order of
        time), by time then name.
    """
    keyed = events.filter(pl.col("kind").is_in(["purchase", "basket_add", "click", "rating"]))
    key = pl.coalesce(
        pl.col("order_id"),
        pl.col("session_id"),
        pl.concat_str("visitor_id", pl.col("at").dt.date().cast(pl.String), separator="|"),
    )
    return (
        keyed.sort("at", "event_id")
        .with_columns(basket=key)
        .group_by("basket", "visitor_id", maintain_order=True)
        .agg(pl.col("at").min(), pl.col("product_id").unique(maintain_order=True).alias("products"))
        .sort("at", "basket")
    )


def bought_together(
    catalogue: ProductWords,
    events: pl.DataFrame,
    *,
    least: int = 3,
    partners: int = 20,
    max_basket: int = 60,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find each product's closest partners in baskets, by count / sqrt(count x count).

    Larger baskets than `max_basket` are left out (they tie everything to everything). Where fewer
    than a hundred pairs are found, neighbours in each visitor's own sequence are used as baskets.

    Returns:
        (n,) left places, (n,) right places, (n,) weights; sorted by left, then by falling weight.
    """
    found = _partners(catalogue, baskets(events)["products"].to_list(), least, partners, max_basket)
    if len(found[0]) >= 100:
        return found
    windows = []
    ordered = events.sort("at", "event_id").group_by("visitor_id", maintain_order=True)
    for products in ordered.agg("product_id")["product_id"].to_list():
        windows.extend(list(dict.fromkeys(products[i : i + 3])) for i in range(len(products) - 1))
    return _partners(catalogue, windows, 1, partners, max_basket)


def _partners(
    catalogue: ProductWords,
    groups: Sequence[Sequence[str]],
    least: int,
    partners: int,
    max_basket: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    from scipy.sparse import csr_matrix

    index = catalogue.index
    rows, columns = [], []
    for row, products in enumerate(groups):
        known = [index[name] for name in products if name in index]
        if 2 <= len(known) <= max_basket:
            rows.extend([row] * len(known))
            columns.extend(known)
    shape = (len(groups), len(index))
    table = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    counts = np.asarray(table.sum(axis=0)).ravel()
    together = (table.T @ table).tocsr()
    lefts, rights, weights = [], [], []
    for left in range(len(index)):
        span = slice(together.indptr[left], together.indptr[left + 1])
        others, count = together.indices[span], together.data[span]
        keep = (count >= least) & (others != left)
        others, count = others[keep], count[keep]
        if not len(others):
            continue
        weight = count / np.sqrt(counts[left] * counts[others])
        order = np.lexsort((others, -weight))[:partners]
        lefts.append(np.full(len(order), left))
        rights.append(others[order])
        weights.append(weight[order])
    if not lefts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    return (
        np.concatenate(lefts).astype(np.int64),
        np.concatenate(rights).astype(np.int64),
        np.concatenate(weights).astype(np.float64),
    )


def product_pairs(
    catalogue: ProductWords,
    together: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
    n: int,
    *,
    seed: int,
    popularity: NDArray[np.float64],
) -> TextPairs:
    """Draw `n` product-product pairs by partner weight times the square root of the left's sales.

    Pairs whose two texts are equal teach nothing and are left out.
    """
    lefts, rights, weights = together
    keep = np.array(
        [catalogue.texts[a] != catalogue.texts[b] for a, b in zip(lefts, rights, strict=True)], bool
    )
    if not keep.any() or n == 0:
        return TextPairs([], np.empty(0, np.int64), np.empty(0, np.int64), [])
    lefts, rights, weights = lefts[keep], rights[keep], weights[keep]
    chance = weights * np.sqrt(popularity[lefts] + 1.0)
    drawn = np.random.default_rng(seed).choice(len(lefts), size=n, p=chance / chance.sum())
    return TextPairs(
        [catalogue.texts[place] for place in lefts[drawn]],
        rights[drawn],
        lefts[drawn],
        [frozenset()] * n,
    )


def popularity_of(catalogue: ProductWords, events: pl.DataFrame) -> NDArray[np.float64]:
    """Count each product's events, (V,)."""
    counts = events.group_by("product_id").len()
    held = dict(zip(counts["product_id"], counts["len"], strict=True))
    return np.array([held.get(name, 0) for name in catalogue.product_ids], dtype=np.float64)

"""Ways out of an empty result: the fewest constraints to drop, and what each drop brings.

Constraints are taken apart into named ones (a price limit, one attribute, one excluded value field,
the words of the query). Subsets are tried by size, so the first that bring products are smallest.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from components.contracts.messages import Filters, Relaxation

WORDS = "query"
_SINGLE = ("price_min", "price_max", "min_rating", "in_stock", "promotion")
_LISTS = ("category", "type", "brand", "terms")
MOST_CONSTRAINTS = 12


def constraint_names(filters: Filters, *, has_words: bool = False) -> list[str]:
    """Return the names of the constraints in force, in a fixed order.

    An attribute is named `attributes.NAME`, an exclusion `exclude.FIELD`, the words `query`.

    >>> constraint_names(Filters(price_max=400, exclude={"terms": ("nut",)}), has_words=True)
    ['price_max', 'exclude.terms', 'query']
    """
    names = [name for name in _SINGLE if getattr(filters, name) is not None]
    names += [name for name in _LISTS if getattr(filters, name)]
    names += [
        f"attributes.{name}" for name in sorted(filters.attributes) if filters.attributes[name]
    ]
    names += [f"exclude.{name}" for name in sorted(filters.exclude) if filters.exclude[name]]
    return names + ([WORDS] if has_words else [])


def without(filters: Filters, names: Sequence[str]) -> Filters:
    """Return the filters without the named constraints; `query` is none of theirs.

    >>> without(Filters(price_max=400, brand=("A",)), ["price_max"]) == Filters(brand=("A",))
    True
    """
    gone = set(names)
    changes: dict[str, Any] = {name: None for name in _SINGLE if name in gone}
    changes |= {name: () for name in _LISTS if name in gone}
    changes["attributes"] = {
        n: v for n, v in filters.attributes.items() if f"attributes.{n}" not in gone
    }
    changes["exclude"] = {n: v for n, v in filters.exclude.items() if f"exclude.{n}" not in gone}
    return filters.model_copy(update=changes)


def smallest_relaxations(
    filters: Filters,
    count: Callable[[Filters, bool], int],
    *,
    has_words: bool = False,
    keep: Sequence[str] = (),
) -> tuple[Relaxation, ...]:
    """Find every smallest set of constraints whose removal brings products.

    Args:
        filters: the constraints that together bring none.
        count: how many products meet some filters; its second argument says whether they must also
            match the words.
        has_words: whether the words are a constraint too; they are the last to be dropped among
            sets of one size.
        keep: names that are never dropped.

    Returns:
        All sets of the smallest size, the one that brings most first, words kept first; empty
        where nothing helps. Of more than `MOST_CONSTRAINTS` constraints the first are tried.
    """
    names = [n for n in constraint_names(filters, has_words=has_words) if n not in keep]
    names = names[:MOST_CONSTRAINTS]
    for size in range(1, len(names) + 1):
        found = []
        for drop in combinations(names, size):
            hits = count(without(filters, drop), has_words and WORDS not in drop)
            if hits > 0:
                found.append(Relaxation(drop=drop, hits=hits))
        if found:
            return tuple(sorted(found, key=lambda r: (WORDS in r.drop, -r.hits, r.drop)))
    return ()

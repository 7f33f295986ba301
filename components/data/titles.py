"""Human titles, category paths and attributes from the terse words of a retail article file.

In: department, brand kind, category, type and size as a till
prints them. Out: what a shopper reads.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Texts:
    """What a shopper reads about one family."""

    title: str
    description: str
    brand: str | None
    category: tuple[str, ...]
    type: str | None
    attributes: dict[str, str | float | bool] = field(default_factory=dict)


def compose(
    department: str, brand: str | None, category: str, type_: str | None, size: str | None
) -> Texts:
    """Compose the texts of one family."""

    def clean(text: str) -> str:
        return re.sub(r"\s+", " ", text.replace("/", " ").replace("-", " ")).strip().capitalize()

    kind = clean(type_ or category)
    own = brand == "Private"
    title = kind + (f", {size.lower()}" if size else "") + (" (store brand)" if own else "")
    path = (clean(department), clean(category))
    return Texts(
        title,
        f"{kind} from {path[-1].lower()}.",
        "Store brand" if own else None,
        path,
        kind,
        {"brand_kind": "store brand" if own else "national brand"},
    )

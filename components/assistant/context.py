"""What a turn may look at: the visitor's own records, the dialogue and the shop. Read only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from components.assistant.grounding import Lexicon
from components.assistant.places import Places
from components.assistant.references import References
from components.assistant.shelf import Shelf
from components.assistant.state import DialogueState
from components.contracts.records import BasketLine, Order
from components.state.store import Store


@dataclass(frozen=True)
class Bought:
    """What the visitor bought of one product: how often and when, oldest first."""

    product_id: str
    times: tuple[datetime, ...]
    quantity: int = 1


@dataclass(frozen=True)
class Context:
    """One visitor's turn. Built from ids of the request alone, never from the message's words."""

    visitor_id: str
    state: DialogueState
    shelf: Shelf
    lexicon: Lexicon
    basket: Sequence[BasketLine]
    wishlist: Sequence[str]
    preferences: Mapping[str, str]
    orders: Sequence[Order]
    bought: Mapping[str, Bought]
    viewed: Sequence[str]
    currency: str
    now: datetime
    records: Store  # as this turn uses it, see `records.read_once`
    locale: str = "en"
    raw: str = ""
    text: str = ""
    places: Places | None = None
    extra: dict[str, object] = field(default_factory=dict)

    def references(self) -> References:
        """Return the resolver of this turn's references."""
        return References(
            self.shelf,
            self.lexicon,
            self.state,
            [line.product_id for line in self.basket],
            self.wishlist,
        )

    def quantity_of(self, product_id: str, variant_id: str | None = None) -> int:
        """Return how many of a product (or of one variant of it) the basket holds."""
        return sum(
            line.quantity
            for line in self.basket
            if line.product_id == product_id
            and (variant_id is None or line.variant_id == variant_id)
        )

"""What running a command brought: facts only, no words. Replies and claims are made from this."""

from dataclasses import dataclass, field
from typing import Any, Literal

from components.assistant.shelf import Hit
from components.assistant.state import DialogueState

Status = Literal["done", "pending", "refused", "failed"]


@dataclass(frozen=True)
class Item:
    """A product in a result, with the price that holds for the variant meant."""

    hit: Hit
    reasons: tuple[str, ...] = ()
    quantity: int = 1
    offers: tuple[str, ...] = ()

    @property
    def product_id(self) -> str:
        """The product's id."""
        return self.hit.product_id


@dataclass(frozen=True)
class Result:
    """Outcome of one command.

    `facts` are values from records only, by name; `outcome` is what happened, for instance `found`,
    `none`, `added`, `ask_size`; `products` are those to show, in order.
    """

    command: Any
    outcome: str
    state: DialogueState
    status: Status = "done"
    products: tuple[Item, ...] = ()
    shows: bool = False
    relaxed: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    question: bool = False
    choices: tuple[str, ...] = ()
    confirmation_id: str | None = None
    operations: tuple[dict[str, Any], ...] = ()
    extra_commands: tuple[tuple[Any, Status], ...] = ()

"""The assistant's typed commands: one union on `kind`.

Rules, classifier and language model all produce these and nothing else; the executor runs these and
nothing else. A command names products by id and money in minor units of the catalogue's currency,
so that running it needs no words.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from components.contracts.messages import Message
from components.contracts.records import Id, Minor

Scalar = bool | int | float | str
Sort = Annotated[
    str,
    Field(
        pattern=r"^-?[a-z][a-z0-9_ ]{0,60}$",
        description="relevance | price | -price | rating | newest | an attribute, '-' for falling",
    ),
]
MAX_QUANTITY = 10_000


class Constraint(Message):
    """One condition on products.

    `field` is category | type | brand | price | rating | in_stock | promotion | terms, a variant
    option (color, size, pack) or a product attribute; `values` are alternatives. A soft condition
    orders products and never excludes one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Annotated[str, Field(min_length=1, max_length=80)]
    op: Literal["is", "not", "min", "max"] = "is"
    values: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=50)]
    hard: bool = True


class _Command(Message):
    """Base of all commands."""


class _OfProduct(_Command):
    product_id: Id


class Search(_Command):
    """Start a new search; constraints of the former one end."""

    kind: Literal["search"] = "search"
    query: Annotated[str, Field(max_length=1000)] = ""
    constraints: tuple[Constraint, ...] = ()
    sort: Sort = "relevance"


class Refine(_Command):
    """Change the constraints in force: `add` replaces a field's, `drop` ends fields."""

    kind: Literal["refine"] = "refine"
    query: Annotated[str, Field(max_length=1000)] = ""
    add: tuple[Constraint, ...] = ()
    drop: tuple[str, ...] = ()
    sort: Sort | None = None
    more: bool = Field(default=False, description="the next products instead of those shown")


class Details(_OfProduct):
    """Tell about one product; `asked` names the attributes the visitor wants to know."""

    kind: Literal["details"] = "details"
    asked: tuple[str, ...] = ()


class Compare(_Command):
    """Set products side by side; `by` is what decides, for instance price or battery_hours."""

    kind: Literal["compare"] = "compare"
    product_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=6)]
    by: str | None = None
    prefer: Literal["low", "high"] = "low"


class Similar(_OfProduct):
    """Products like this one, within the constraints given."""

    kind: Literal["similar"] = "similar"
    constraints: tuple[Constraint, ...] = ()


class Recommend(_Command):
    """Products for this visitor."""

    kind: Literal["recommend"] = "recommend"
    query: str = ""
    constraints: tuple[Constraint, ...] = ()


class Part(Message):
    """One part of a bundle: any product that meets these."""

    name: str
    constraints: tuple[Constraint, ...]
    query: str = ""
    quantity: Annotated[int, Field(ge=1, le=100)] = 1


class Bundle(_Command):
    """One product for each part, or what goes with `product_id`, within the budget."""

    kind: Literal["bundle"] = "bundle"
    parts: tuple[Part, ...] = ()
    product_id: Id | None = None
    occasion: str = ""
    budget_minor: Minor | None = None
    constraints: tuple[Constraint, ...] = ()


class Explain(_OfProduct):
    """Why this product was shown."""

    kind: Literal["explain"] = "explain"


class ExplainAbsence(_OfProduct):
    """Why this product was not shown: which constraints it breaks."""

    kind: Literal["explain_absence"] = "explain_absence"


class Promotions(_Command):
    """Offers that run now, for everybody or for this visitor."""

    kind: Literal["promotions"] = "promotions"
    constraints: tuple[Constraint, ...] = ()
    in_basket: bool = Field(
        default=False, description="only those that fit the basket, and what they would save"
    )


class OffersApply(_Command):
    """Put the visitor's offers on the basket: those that fit, or those the words name."""

    kind: Literal["offers_apply"] = "offers_apply"
    promotion_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()
    query: Annotated[str, Field(max_length=200)] = ""


class OffersRemove(_Command):
    """Take offers off the basket: all, or those the words name."""

    kind: Literal["offers_remove"] = "offers_remove"
    promotion_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()
    query: Annotated[str, Field(max_length=200)] = ""


class Restock(_Command):
    """What the visitor is probably running low on."""

    kind: Literal["restock"] = "restock"


class Usual(_Command):
    """The product of this kind that the visitor buys most."""

    kind: Literal["usual"] = "usual"
    query: str = ""
    constraints: tuple[Constraint, ...] = ()
    add: bool = False


class BasketView(_Command):
    """Show the basket and its sum."""

    kind: Literal["basket_view"] = "basket_view"


class BasketSet(_OfProduct):
    """Make the basket hold exactly `quantity` of the product: running it twice changes nothing."""

    kind: Literal["basket_set"] = "basket_set"
    variant_id: Id | None = None
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    options: dict[str, str] = Field(default_factory=dict)
    adds: bool = Field(
        default=False,
        description="the quantity comes on top of what the basket holds; the executor runs and "
        "reports the absolute quantity",
    )


class BasketRemove(_OfProduct):
    """Take the product out of the basket."""

    kind: Literal["basket_remove"] = "basket_remove"
    variant_id: Id | None = None


class BasketClear(_Command):
    """Take everything out of the basket."""

    kind: Literal["basket_clear"] = "basket_clear"


class Swap(_OfProduct):
    """Replace a product of the basket by a cheaper or store-brand one of the same kind."""

    kind: Literal["swap"] = "swap"
    target: Literal["cheaper", "store_brand"] = "cheaper"


class WishlistView(_Command):
    """Show the wishlist."""

    kind: Literal["wishlist_view"] = "wishlist_view"


class WishlistAdd(_OfProduct):
    """Put a product on the wishlist."""

    kind: Literal["wishlist_add"] = "wishlist_add"


class WishlistRemove(_OfProduct):
    """Take a product off the wishlist."""

    kind: Literal["wishlist_remove"] = "wishlist_remove"


class OrderView(_Command):
    """Show the visitor's own orders, or one of them."""

    kind: Literal["order_view"] = "order_view"
    order_id: Annotated[str, Field(max_length=128)] | None = None


class ReviewsSummary(_OfProduct):
    """What buyers say about a product."""

    kind: Literal["reviews_summary"] = "reviews_summary"


class ProfileView(_Command):
    """What is stored about the visitor."""

    kind: Literal["profile_view"] = "profile_view"


class PreferenceSet(_Command):
    """Keep a preference; an empty value forgets it."""

    kind: Literal["preference_set"] = "preference_set"
    key: Annotated[str, Field(min_length=1, max_length=60)]
    value: Annotated[str, Field(max_length=200)]


class ForgetMe(_Command):
    """Erase what is stored about the visitor."""

    kind: Literal["forget_me"] = "forget_me"


class Undo(_Command):
    """Take back the last change."""

    kind: Literal["undo"] = "undo"


class CheckoutPreview(_Command):
    """Price the basket and ask for consent to exactly that."""

    kind: Literal["checkout_preview"] = "checkout_preview"


class CheckoutConfirm(_Command):
    """Place the order that the confirmation is bound to."""

    kind: Literal["checkout_confirm"] = "checkout_confirm"
    confirmation_id: Annotated[str, Field(max_length=200)]


class CheckoutCancel(_Command):
    """Drop what waits for consent."""

    kind: Literal["checkout_cancel"] = "checkout_cancel"


class Clarify(_Command):
    """Ask one question, with choices where there are any."""

    kind: Literal["clarify"] = "clarify"
    about: str
    choices: tuple[str, ...] = ()
    subject: str = ""


class OutOfScope(_Command):
    """Say that this is not done here."""

    kind: Literal["out_of_scope"] = "out_of_scope"
    reason: str


class Converse(_Command):
    """Greeting, thanks, farewell or a question about the assistant itself."""

    kind: Literal["converse"] = "converse"
    about: Literal["greeting", "thanks", "farewell", "help", "acknowledge", "identity"]


Command = Annotated[
    Search | Refine | Details | Compare | Similar | Recommend | Bundle | Explain | ExplainAbsence
    | Promotions | OffersApply | OffersRemove | Restock | Usual | BasketView | BasketSet
    | BasketRemove | BasketClear | Swap
    | WishlistView | WishlistAdd | WishlistRemove | OrderView | ReviewsSummary | ProfileView
    | PreferenceSet | ForgetMe | Undo | CheckoutPreview | CheckoutConfirm | CheckoutCancel | Clarify
    | OutOfScope | Converse,
    Field(discriminator="kind"),
]  # fmt: skip
COMMAND: TypeAdapter[Any] = TypeAdapter(Command)
MUTATING_KINDS = frozenset(
    {
        "basket_set", "basket_remove", "basket_clear", "swap", "wishlist_add", "wishlist_remove",
        "preference_set", "forget_me", "undo", "checkout_confirm", "offers_apply", "offers_remove",
    }
)  # fmt: skip

"""The dialogue's state: immutable, JSON-like, one value per session and visitor.

It holds the ledger of constraints (what, hard or soft, who said it, in which turn), what was shown,
what is being talked about, what waits for an answer or for consent, and what can be undone. Basket,
wishlist, preferences and orders are the store's: the state never copies them.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from components.contracts.commands import Constraint
from components.contracts.messages import Message

MAX_SHOWN = 12
MAX_UNDO = 20


class LedgerEntry(Message):
    """One constraint in force and where it comes from."""

    constraint: Constraint
    source: Literal["visitor", "preference", "assistant"] = "visitor"
    turn: Annotated[int, Field(ge=0)] = 0


class Shown(Message):
    """One product of the list last shown."""

    product_id: str
    variant_id: str | None = None


class Question(Message):
    """What was asked and is not answered yet; `command` is what the answer completes."""

    about: Literal["option", "product", "quantity", "what"]
    command: dict[str, Any] = Field(default_factory=dict)
    choices: tuple[str, ...] = ()
    option: str | None = None
    turn: int = 0


class Pending(Message):
    """An action that waits for consent. `digest` binds it to its exact arguments."""

    confirmation_id: str
    action: Literal["checkout", "forget"]
    digest: str
    total_minor: int | None = None
    currency: str | None = None


class UndoStep(Message):
    """How to take back one change: the store operations that restore what was."""

    what: str
    operations: tuple[dict[str, Any], ...]


class DialogueState(Message):
    """Everything about a dialogue that the next turn needs."""

    turn: int = 0
    ledger: tuple[LedgerEntry, ...] = ()
    query: str = ""
    terms: tuple[str, ...] = ()
    sort: str = "relevance"
    shown: tuple[Shown, ...] = ()
    listed: tuple[Shown, ...] = Field(default=(), description="the last list of more than one")
    seen: tuple[str, ...] = Field(default=(), description="products shown since the search began")
    focus: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    last_kind: str = ""
    last_added: str | None = None
    bundle: dict[str, Any] | None = None
    former: tuple[Constraint, ...] = Field(
        default=(), description="what was looked for before a search that found nothing"
    )
    question: Question | None = None
    pending: Pending | None = None
    used_confirmations: tuple[str, ...] = ()
    undo: tuple[UndoStep, ...] = ()
    reasons: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    locale: Literal["en", "zh"] = "en"

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints in force."""
        return tuple(entry.constraint for entry in self.ledger)

    def started(
        self,
        constraints: Iterable[Constraint],
        *,
        query: str = "",
        terms: Sequence[str] = (),
        sort: str = "relevance",
    ) -> "DialogueState":
        """Return the state with a new search: the old ledger ends."""
        entries = tuple(LedgerEntry(constraint=c, turn=self.turn) for c in constraints)
        return self.model_copy(
            update={
                "ledger": entries,
                "query": query,
                "terms": tuple(terms),
                "sort": sort,
                "seen": (),
            }
        )

    def refined(
        self,
        add: Iterable[Constraint],
        drop: Sequence[str],
        *,
        terms: Sequence[str] = (),
        sort: str | None = None,
    ) -> "DialogueState":
        """Return the state with constraints changed; a new value replaces its field's old one."""
        ledger = merge_ledger(self.ledger, tuple(add), drop, self.turn)
        kept = () if "*" in drop or "terms" in drop else self.terms
        return self.model_copy(
            update={
                "ledger": ledger,
                "terms": tuple(dict.fromkeys((*kept, *terms))),
                "sort": sort or self.sort,
            }
        )

    def showing(
        self, shown: Sequence[Shown], *, focus: Sequence[str] | None = None
    ) -> "DialogueState":
        """Return the state after products were shown."""
        shown = tuple(shown[:MAX_SHOWN])
        ids = [s.product_id for s in shown]
        if focus is None:
            focus = ids[:1] if len(ids) == 1 else []
        update: dict[str, Any] = {
            "shown": shown,
            "focus": tuple(focus),
            "seen": tuple(dict.fromkeys((*self.seen, *ids))),
        }
        if shown:
            update["listed"] = shown
        return self.model_copy(update=update)

    def remembering(self, step: UndoStep) -> "DialogueState":
        """Return the state with one more change to undo."""
        return self.model_copy(update={"undo": (*self.undo, step)[-MAX_UNDO:]})


def merge_ledger(
    ledger: Sequence[LedgerEntry], add: Sequence[Constraint], drop: Sequence[str], turn: int
) -> tuple[LedgerEntry, ...]:
    """Return the ledger after a refinement.

    A positive value replaces what was said about its field; exclusions of a field gather; a
    price or
    number limit replaces the one of its direction, and one that contradicts the other ends it.
    """
    if "*" in drop:
        kept = [
            e
            for e in ledger
            if e.constraint.field in ("category", "type") and e.constraint.op == "is"
        ]
    else:
        kept = [e for e in ledger if e.constraint.field not in drop]
    for c in add:
        merged = c
        out: list[LedgerEntry] = []
        for e in kept:
            old = e.constraint
            if old.field != c.field:
                out.append(e)
            elif c.op == "not" and old.op == "not":
                merged = c.model_copy(
                    update={"values": tuple(dict.fromkeys((*old.values, *c.values)))}
                )
            elif (c.op == "not" and old.op == "is" and not isinstance(old.values[0], bool)) or (
                c.op == "is" and old.op == "not"
            ):
                left = tuple(v for v in old.values if v not in c.values)
                if left:
                    out.append(
                        e.model_copy(update={"constraint": old.model_copy(update={"values": left})})
                    )
            elif (
                c.op in ("min", "max")
                and old.op in ("min", "max")
                and old.op != c.op
                and not _contradict(old, c)
            ):
                out.append(e)
        kept = [*out, LedgerEntry(constraint=merged, turn=turn)]
    return tuple(kept)


def _contradict(a: Constraint, b: Constraint) -> bool:
    low, high = (a, b) if a.op == "min" else (b, a)
    return float(low.values[0]) > float(high.values[0])


def digest_of(arguments: Any) -> str:
    """Return the hash that binds a confirmation to its exact arguments."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def public_constraints(state: DialogueState, currency: str) -> dict[str, Any]:
    """Return the constraints in force under the names of the public interface."""
    out: dict[str, Any] = {}
    exclude: dict[str, list[Any]] = {}
    for entry in state.ledger:
        c = entry.constraint
        value: Any = c.values[0] if len(c.values) == 1 else list(c.values)
        if c.op == "not":
            exclude.setdefault(c.field, []).extend(c.values)
        elif c.field == "price":
            out["price_min" if c.op == "min" else "price_max"] = c.values[0]
            out["currency"] = currency
        elif c.field == "rating":
            out["min_rating"] = c.values[0]
        elif c.field == "terms":
            out["query"] = value
        else:
            out[c.field] = value
    if exclude:
        out["exclude"] = exclude
    if state.sort != "relevance":
        out["sort"] = state.sort
    if state.terms:
        out["terms"] = list(state.terms)
    return out

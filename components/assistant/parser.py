"""From a message and the dialogue to typed commands.

Producers in order: an optional language model, the rules, the classifier. The first that is sure
decides; where none is, one question is asked back. Arguments are always resolved here, against what
was shown, the basket and the catalogue, so that a command never holds words for an id.
"""

# ruff: noqa: E501  (patterns)

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from components.assistant import rules
from components.assistant.context import Context
from components.assistant.grounding import Reading
from components.assistant.language import digits_for_words, gloss, is_chinese, stem, tokens_of
from components.assistant.meaning import APART, SURE
from components.assistant.money import read_money, to_home
from components.assistant.references import Pointed, References
from components.assistant.safety import addresses_machine, asks_about_others, safe_words
from components.assistant.shelf import attribute_of, fit, price_of
from components.assistant.suggestions import OCCASIONS
from components.assistant.synonyms import COLOR_WORDS, STOPWORDS
from components.contracts.commands import (
    MAX_QUANTITY,
    BasketClear,
    BasketRemove,
    BasketSet,
    BasketView,
    Bundle,
    CheckoutCancel,
    CheckoutConfirm,
    CheckoutPreview,
    Clarify,
    Compare,
    Constraint,
    Converse,
    Details,
    Explain,
    ExplainAbsence,
    ForgetMe,
    OffersApply,
    OffersRemove,
    OrderView,
    OutOfScope,
    Part,
    PreferenceSet,
    ProfileView,
    Promotions,
    Recommend,
    Refine,
    Restock,
    ReviewsSummary,
    Search,
    Similar,
    Swap,
    Undo,
    Usual,
    WishlistAdd,
    WishlistRemove,
    WishlistView,
)
from components.contracts.records import Product

Origin = Literal["rules", "classifier", "llm"]
_OPTION_FIELDS = (
    "color",
    "colour",
    "size",
    "pack",
    "flavour",
    "flavor",
    "scent",
    "width",
    "length",
    "storage",
    "style",
    "capacity",
)
_TOGETHER = re.compile(
    r"\b(?:in total|total|together|altogether|all in|budget|combined|in all|bundle|set|outfit|kit|everything|spend|package|sum|for both|for all)\b"
)
_TWICE = {"twice": 2, "double": 2, "thrice": 3}
_GIFT = re.compile(r"\b(?:gift|present|birthday|christmas|anniversary)\b")


@dataclass(frozen=True)
class Parse:
    """Commands of a turn, who produced them and how sure it was."""

    commands: tuple[Any, ...]
    origin: Origin = "rules"
    confidence: float = 1.0
    reading: Reading = field(default_factory=Reading)


class CommandParser:
    """Rules first, then a classifier for what they do not cover; asks back when neither knows."""

    def __init__(
        self, classify: Callable[[str], tuple[str, float]] | None = None, *, least: float = 0.55
    ) -> None:
        """Remember the classifier: glossed text to (intent, probability)."""
        self._classify = classify
        self._least = least

    def parse(self, context: Context, *, confirm_id: str | None = None) -> Parse:
        """Return the commands of one message.

        Args:
            context: the visitor's turn, with the message in `raw` and its gloss in `text`.
            confirm_id: what the confirm button sent; it decides, whatever the message says.
        """
        if confirm_id is not None:
            return Parse((CheckoutConfirm(confirmation_id=confirm_id[:200]),))
        turn = _Turn(context, self._classify, self._least)
        return turn.parse()


class _Turn:
    """One message being parsed."""

    def __init__(
        self, context: Context, classify: Callable[[str], tuple[str, float]] | None, least: float
    ) -> None:
        self.c = context
        self.state = context.state
        self.text = _spoken(_plain(digits_for_words(context.text)))
        self.refs: References = context.references()
        self.chinese = is_chinese(context.raw)
        self._classify = classify
        self._least = least
        question = self.state.question
        self.expects_size = question is not None and question.about == "option"
        self._readings: dict[str, Reading] = {}
        self.reading = self.read(_OPENER.sub("", self.text) or self.text)

    def read(self, text: str) -> Reading:
        known = self._readings.get(text)
        if known is None:
            known = self._readings[text] = self.c.lexicon.read(
                text, chinese=self.chinese, expects_size=self.expects_size
            )
        return known

    # -- the whole message

    def parse(self) -> Parse:
        text, raw = self.text, self.c.raw
        if not re.search(r"\w", text):
            return self.out(Clarify(about="empty"))
        if addresses_machine(raw) or addresses_machine(text):
            return self.out(OutOfScope(reason="machinery"))
        if asks_about_others(raw) or asks_about_others(text):
            return self.out(OutOfScope(reason="privacy"))
        pending = self.state.pending
        bare = text.strip(" .!")
        if rules.YES.match(bare):
            if pending is not None and self.state.last_kind not in _STILL_ABOUT_THE_ORDER:
                return self.out(CheckoutPreview())  # other things came between: ask again
            if pending is not None:
                return self.out(CheckoutConfirm(confirmation_id=pending.confirmation_id))
            if self.state.question is not None and len(self.state.question.choices) == 1:
                answer = self.answer_question(self.state.question.choices[0])
                if answer is not None:
                    return self.out(*answer)
            if self.state.last_kind == "basket_offers":
                return self.out(OffersApply())
            return self.out(Clarify(about="nothing_pending"))
        offers = self.about_offers(bare)
        if offers is not None:
            return self.out(*offers)
        if (
            pending is not None
            and self.state.last_kind == "checkout_preview"
            and (
                _PLACE_IT.match(bare)
                or re.fullmatch(r"(?:那就|好|请)?下单吧?[。！!]?", self.c.raw.strip())
            )
        ):
            return self.out(CheckoutConfirm(confirmation_id=pending.confirmation_id))
        amended = self.amend() if pending is None or self.state.last_kind == "basket_set" else None
        if amended is not None:
            return self.out(*amended)
        if rules.NO.match(bare):
            rest = re.sub(
                r"^(?:(?:no|nope|nah|wait|sorry|stop|hold on|cancel)\b[\s,.!]*)+(?:thanks?|thank you)?[\s,.!]*",
                "",
                bare,
            )
            later = self.read(rest) if len(rest) > 3 else Reading()
            if pending is not None and not (
                rules.intent_of(rest) in ("basket_add", "basket_remove", "basket_quantity") and rest
            ):
                return self.out(CheckoutCancel())
            if later.is_empty and (
                not rest or rules.NO.match(rest) or rules.intent_of(rest) is None
            ):
                if bare in ("cancel", "cancel it", "cancel that") and self.state.undo:
                    return self.out(Clarify(about="cancel_what"))
                return self.out(CheckoutCancel() if pending else Converse(about="acknowledge"))
        if self.state.question is not None:
            answered = self.answer()
            if answered is not None:
                return self.out(*answered)
        for pattern, about in (
            (rules.GREETING, "greeting"),
            (rules.THANKS, "thanks"),
            (rules.FAREWELL, "farewell"),
            (rules.HELP, "help"),
            (rules.IDENTITY, "identity"),
            (rules.ACKNOWLEDGE, "acknowledge"),
        ):
            if pattern.search(bare) and not self.asks_more(bare, pattern):
                return self.out(Converse.model_validate({"about": about}))
        if self.state.last_kind == "profile_view" and (
            _ERASE.search(bare)
            or (
                rules.intent_of(bare) in ("basket_remove", "basket_clear")
                and not (self.reading.constraints or "basket" in bare or "cart" in bare)
                and len(bare.split()) <= 10
            )
        ):
            return self.out(ForgetMe())
        if (
            self.state.last_kind == "basket_set"
            and re.match(r"^(?:and|plus|also|then)\b", bare)
            and rules.intent_of(text) is None
            and self.quantity_said(bare)
        ):
            added = self.do_basket_add(f"add {bare}", self.reading)
            if added is not None and all(isinstance(a, BasketSet) for a in added):
                return self.out(*added)
        exchanged = self.exchange()
        if exchanged is not None:
            return self.out(*exchanged)
        repeated = self.again()
        if repeated is not None:
            return self.out(*repeated)
        either = self.either()
        if either is not None:
            return self.out(*either)
        limited = self.relimit()
        if limited is not None:
            return self.out(*limited)
        measured = self.measured()
        if measured is not None:
            return self.out(*measured)
        pieces = rules.clauses(text)
        if len(pieces) > 1:
            several = self.several(pieces)
            if several is not None:
                return self.out(*several)
        intent = rules.intent_of(text) or rules.intent_of(_OPENER.sub("", text))
        origin: Origin = "rules"
        confidence = 1.0
        guess = ""
        if self._classify is not None and (intent is None or intent in _LOOSELY_WORDED):
            guess, confidence = self._classify(text)
        if intent in _LOOSELY_WORDED and self.overruled(intent, guess, confidence):
            intent = None
        commands = self.by_intent(intent, text, self.reading) if intent else None
        if commands is None and intent is None and self.is_sure(guess, confidence):
            commands = self.by_guess(guess, text)
            origin = "classifier" if commands is not None else "rules"
        if commands is None:
            commands = self.about_products()
        if commands is None and guess and confidence >= self._least:
            commands = self.by_guess(guess, text, strictly=False)
            origin = "classifier" if commands is not None else "rules"
        if origin == "rules":
            confidence = 1.0
        if commands is None:
            origin, confidence = "rules", 0.5
            said = self.reading.terms or self.reading.constraints
            commands = [self.search(self.reading)] if said else [Clarify(about="what")]
            if pending is not None and not said:  # what was not understood may have been a refusal
                commands = [CheckoutCancel()]
        return replace(self.out(*commands), origin=origin, confidence=confidence)

    def is_sure(self, guess: str, confidence: float) -> bool:
        """Whether the classifier may speak before the message is taken as a search."""
        if guess in ("", "search", "refine", "greeting", "preference"):
            return False
        if self.reading.names_kind and guess not in _ABOUT_THINGS:
            return False
        return confidence >= (_SURE_WITH_KIND if self.reading.names_kind else _SURE)

    def overruled(self, intent: str, guess: str, confidence: float) -> bool:
        """Whether the classifier hears a search where a loosely worded rule heard an act."""
        if guess in _ABOUT_THE_VISITOR and intent != guess:
            return confidence >= _SURE_WITH_KIND and not self.reading.names_kind
        acts = re.search(
            r"\b(?:add|basket|cart|trolley|take|buy|order|put|go (?:for|with)|i'll have)\b",
            self.text,
        )
        loose = intent in ("basket_add", "bundle")
        return loose and guess in ("search", "refine") and confidence >= _SURE and acts is None

    def by_guess(self, guess: str, text: str, *, strictly: bool = True) -> list[Any] | None:
        """Return the commands of a guessed intent; none where it would only ask back.

        Args:
            guess: the classifier's intent.
            text: the message.
            strictly: leave it to the search where the guess finds nothing to act on.
        """
        if guess in ("search", "refine"):
            return None
        if guess == "out_of_scope":
            content = self.reading.names_kind or self.reading.constraints
            return None if content else [OutOfScope(reason="topic")]
        commands = self.by_intent(guess, text, self.reading)
        asks = commands is not None and all(isinstance(c, Clarify) for c in commands)
        says = self.reading.terms or self.reading.constraints
        return None if strictly and asks and says else commands

    def out(self, *commands: Any) -> Parse:
        return Parse(tuple(commands), reading=self.reading)

    def asks_more(self, bare: str, pattern: re.Pattern[str]) -> bool:
        """Whether a politeness is followed by a wish: "I'm done, let me pay"."""
        rest = re.split(r"[,.!;]\s*|\band\b|\bbut\b", bare, maxsplit=1)
        if len(rest) < 2 or len(rest[1].split()) < 2 or pattern.match(rest[1].strip()):
            return False
        return rules.intent_of(rest[1]) in _WISHES or self.read(rest[1]).names_kind

    def again(self) -> list[Any] | None:
        """Read "and the other one?": what was just asked, of another product."""
        match = _ANOTHER.match(self.text.strip(" .!?"))
        if match is None or not (self.refs.shown or self.refs.listed):
            return None
        piece = match.group("what")
        near = re.search(r"\b(before|previous|after|next|following)\b", piece)
        listed = self.refs.listed or self.refs.shown
        target: str | None = None
        if near and self.state.focus and self.state.focus[0] in listed:
            step = -1 if near.group(1) in ("before", "previous") else 1
            place = listed.index(self.state.focus[0]) + step
            target = listed[place] if 0 <= place < len(listed) else None
        elif re.search(r"\bother\b", piece):
            rest = [i for i in listed if i not in self.state.focus]
            target = rest[0] if len(rest) == 1 and self.state.focus else None
        else:
            pointed = self.point(piece, self.read(piece), raw=piece)
            if len(pointed.product_ids) == 1:
                target = pointed.product_ids[0]
        if target is None:
            return None
        if self.state.last_kind == "reviews_summary":
            return [ReviewsSummary(product_id=target)]
        if self.state.last_kind == "explain":
            return [Explain(product_id=target)]
        if self.state.last_kind == "details" or near or re.search(r"\bother\b", piece):
            return [Details(product_id=target)]
        return None

    def measured(self) -> list[Any] | None:
        """Read "and the better rated?" after a comparison: the same products by another measure."""
        text = self.text.strip(" .!?")
        if self.state.last_kind != "compare" or len(self.state.compared) < 2:
            return None
        if len(text.split()) > 9 or self.reading.names_kind or not _COMPARATIVE.match(text):
            return None
        if rules.intent_of(text) not in (None, "details", "recommend", "reviews"):
            return None
        by, prefer = self.criterion(text, self.reading)
        if by is None:
            return None
        return [Compare(product_ids=self.state.compared[:6], by=by, prefer=prefer)]

    def either(self) -> list[Any] | None:
        """Read "Dragon Dash or Harbour Lights for small kids?": two names, so a comparison."""
        sides = re.split(r"\bor\b|还是", self.text.strip(" .!?"))
        if len(sides) != 2 or rules.intent_of(self.text) not in (None, "details", "recommend"):
            return None
        found = []
        for side in sides:
            words = " ".join(side.split()[:6] if found else side.split()[-6:])
            named = self.refs.by_title(words, words, least=0.6)
            if named is None or len(named.product_ids) != 1:
                return None
            found.append(named.product_ids[0])
        if found[0] == found[1]:
            return None
        by, prefer = self.criterion(self.text, self.reading)
        return [Compare(product_ids=tuple(found), by=by, prefer=prefer)]

    def price_alone(self) -> int | None:
        """Read a message that is a number and fillers, where a price limit is in force."""
        bare = re.sub(
            r"\bnot (?:[€$£¥]\s?)?\d+(?:[.,]\d+)?(?: [a-z]+)?\b,?", " ", self.text.strip(" .!?")
        )
        match = re.fullmatch(
            rf"(?:(?:{_PRICE_FILLERS})\b[\s,.!?]*)*(?P<c>[€$£¥])?\s?(?P<n>\d{{1,7}}(?:[.,]\d{{1,2}})?)\s*(?P<d>[€$£¥]|[a-z]+)?(?:[\s,.!?]*(?:{_PRICE_FILLERS})\b)*[\s.!?]*",
            bare.strip(),
        )
        if match is None:
            return None
        read = read_money(
            f"under {match.group('c') or ''}{match.group('n')} {match.group('d') or ''}",
            home=self.c.currency,
            rates=self.c.lexicon.rates,
            chinese=self.chinese,
        )
        known = match.group("d") is None or any(a.currency for a in read.amounts)
        high = [a.high_minor for a in read.amounts if a.high_minor is not None]
        return (
            high[0] if high and (known or re.fullmatch(_PRICE_FILLERS, match.group("d"))) else None
        )

    def amend(self) -> list[Any] | None:
        """Correct what was just put into the basket: "sorry, I meant white", "no wait, three of them"."""
        held = {line.product_id: line for line in self.c.basket}
        last = self.state.last_added
        if last not in held or self.state.last_kind not in (
            "basket_set",
            "basket_view",
            "preference_set",
        ):
            return None
        body = _LEAD_IN.sub("", self.text.strip(" .!?"))
        number = _ONLY_NUMBER.match(body)
        fewer = _FEWER.match(body)
        if fewer:
            n = 1 if fewer.group(1) in ("one", "a") else int(fewer.group(1))
            return self.set_quantity(str(last), self.c.quantity_of(str(last)) - n)
        both = re.match(
            r"^(.*?[a-z])[\s,]+(?:and )?(?:just |only )?(\d{1,3}) (?:of (?:them|those|it|these|that)|pieces?|pairs?)$",
            body,
        )
        if both and self.options_said(self.read(both.group(1)), last):
            options = self.options_said(self.read(both.group(1)), last)
            return self.variant_and_count(str(last), options, int(both.group(2)))
        if number and not self.reading.field("size"):
            return self.set_quantity(
                str(last), 1 if number.group(1) == "one" else int(number.group(1))
            )
        if re.search(r"\b(?:more|another|extra|additional)\b", body) and self.targets_last(body):
            count = re.search(r"\b(\d{1,4})\b", body)
            return [
                BasketSet(
                    product_id=str(last),
                    variant_id=held[str(last)].variant_id,
                    quantity=int(count.group(1)) if count else 1,
                    adds=True,
                )
            ]
        corrective = (
            rules.CORRECTION.search(self.text) is not None
            or body != self.text.strip(" .!?")
            or re.match(r"^(?:in|the) ", body) is not None
        )
        own = self.read(body)
        options = self.options_said(own, last)
        plain = all(c.field in _OPTION_FIELDS for c in own.constraints)
        if corrective and options and plain and not own.terms:
            return self.change_variant(self.text, own)
        return None

    def variant_and_count(
        self, product_id: str, options: dict[str, str], quantity: int
    ) -> list[Any]:
        """Change which variant of a product lies in the basket, and how often."""
        line = next(line for line in self.c.basket if line.product_id == product_id)
        product = self.c.shelf.products[product_id]
        current = next((v.options for v in product.variants if v.variant_id == line.variant_id), {})
        wanted = {**current, **options}
        if wanted == dict(current):
            return self.set_quantity(product_id, quantity)
        return [
            BasketRemove(product_id=product_id, variant_id=line.variant_id),
            BasketSet(product_id=product_id, quantity=quantity, options=wanted),
        ]

    def quantity_said(self, text: str) -> bool:
        """Whether a message begins with how many: "and 2 of the red ones"."""
        return re.match(r"^(?:and|plus|also|then)\s+(?:also\s+)?\d{1,3}\s+[a-z]", text) is not None

    def exchange(self) -> list[Any] | None:
        """Read "swap the blue mugs for white ones" where they lie in the basket."""
        match = _EXCHANGE.match(self.text.strip(" .!?"))
        ids = list(dict.fromkeys(line.product_id for line in self.c.basket))
        if match is None or not ids or rules.intent_of(self.text) == "swap":
            return None
        old, new = match.group("old"), match.group("new")
        if re.search(r"\b(?:size|brand|color|preference|budget) (?:preference)?\b", old) or (
            re.search(r"\d+\s*$", new.strip()) and not self.read(new).constraints
        ):
            return None
        pointed = self.point(old, self.read(old), pools=(ids,), raw=old)
        held = [i for i in pointed.product_ids if i in ids]
        if (
            len(held) != 1
            and re.search(r"\b(?:it|that|this|them|those)\b", old)
            and self.state.last_added in ids
        ):
            held = [str(self.state.last_added)]
        if len(held) != 1:
            return None
        line = next(line for line in self.c.basket if line.product_id == held[0])
        product = self.c.shelf.products[held[0]]
        reading = self.read(new)
        names = {n for v in product.variants for n in v.options}
        options = {
            c.field: str(c.values[0])
            for c in reading.constraints
            if c.op == "is" and c.field in names
        }
        kinds = [c for c in reading.constraints if c.field in ("category", "type", "brand")]
        if options and (not kinds or not fit(product, kinds)[1]):
            current = next(
                (v.options for v in product.variants if v.variant_id == line.variant_id), {}
            )
            return [
                BasketRemove(product_id=product.product_id, variant_id=line.variant_id),
                BasketSet(
                    product_id=product.product_id,
                    quantity=line.quantity,
                    options={**current, **options},
                ),
            ]
        other = self.point(new, reading, raw=new)
        ids_new = [i for i in other.product_ids if i != held[0]] or [
            i for i in self.in_catalogue(reading) if i != held[0]
        ]
        if len(ids_new) != 1:
            return None
        return [
            BasketRemove(product_id=held[0], variant_id=line.variant_id),
            BasketSet(
                product_id=ids_new[0],
                quantity=line.quantity,
                options=self.options_said(reading, ids_new[0]),
                adds=True,
            ),
        ]

    def relimit(self) -> list[Any] | None:
        """Read "what about 700?" as the new price limit where one is in force."""
        limit = next((c for c in self.state.constraints if c.field == "price"), None)
        bundled = self.state.bundle is not None and self.state.last_kind == "bundle"
        if limit is None and not bundled:
            return None
        if self.c.basket and self.state.last_kind in ("basket_set", "basket_view", "clarify"):
            return None
        value = self.price_alone()
        size = self.reading.field("size")
        if value is None or (
            size is not None and str(size.values[0]) in self.text and limit is None
        ):
            return None
        if bundled and self.state.bundle:
            return [Bundle.model_validate({**self.state.bundle, "budget_minor": value})]
        op = (
            limit.op
            if limit is not None
            and len([c for c in self.state.constraints if c.field == "price"]) == 1
            else "max"
        )
        return [Refine(add=(Constraint(field="price", op=op, values=(value,)),), drop=("price",))]

    def targets_last(self, body: str) -> bool:
        """Whether "one more" means the product added last: nothing else is named."""
        rest = re.sub(
            r"\b(?:add|put|\d+|one|1|another|more|extra|additional|of|those|these|them|that|it|the same|same|please|i|want|need|take|will|i'll|get|me|pieces?|pairs?|to|in|into|my|basket|cart|a|and|ok|give)\b|[,.'!]",
            " ",
            body,
        )
        return not rest.strip()

    def several(self, pieces: list[str]) -> list[Any] | None:
        """Parse a message of several clauses; None unless each clause is understood."""
        intents = [rules.intent_of(p) for p in pieces]
        acting = {
            "offers_apply",
            "offers_remove",
            "basket_add",
            "basket_remove",
            "basket_quantity",
            "basket_view",
            "basket_clear",
            "wishlist_add",
            "wishlist_remove",
            "checkout",
            "undo",
            "preference",
        }
        if sum(i in acting for i in intents) == 0 or (
            len([i for i in intents if i]) < 2 and intents[0] in acting
        ):
            return None
        if all(i == intents[0] for i in intents) and intents[0] not in acting:
            return None
        commands: list[Any] = []
        saved = self.reading
        for piece, intent in zip(pieces, intents, strict=True):
            self.reading = self.read(piece)
            if intent is None:
                more = self.about_products()
            else:
                more = self.by_intent(intent, piece, self.reading)
            if more is None:
                self.reading = saved
                return None
            commands.extend(more)
        self.reading = saved
        return commands

    # -- an open question

    def answer(self) -> list[Any] | None:
        question = self.state.question
        assert question is not None
        intent = rules.intent_of(self.text)
        if question.about == "option":
            product = self.c.shelf.products.get(str(question.command.get("product_id")))
            if product is None:
                return None
            options = self.options_said(self.reading, product.product_id)
            options = options or self.value_said(product, question.option)
            if re.search(
                r"\bany\b|doesn't matter|don't care|whichever|you (?:choose|pick)", self.text
            ) and question.option not in ("size",):
                return [
                    BasketSet.model_validate(
                        {**question.command, "options": dict(question.command.get("options", {}))}
                    )
                ]
            if (
                options
                and intent not in ("basket_remove", "undo", "checkout", "basket_view", "compare")
                and (not self.reading.names_kind or self.kind_fits(product.product_id))
            ):
                merged = {**dict(question.command.get("options", {})), **options}
                return [
                    BasketSet.model_validate(
                        {**question.command, "options": merged, "variant_id": None}
                    )
                ]
            return None
        if question.about == "product":
            if intent in (
                "undo",
                "checkout",
                "basket_view",
                "profile",
                "orders",
                "forget_me",
                "promotions",
                "recommend",
            ):
                return None
            pointed = self.point(self.text, self.reading, pools=(question.choices,))
            if len(pointed.product_ids) == 1 and pointed.product_ids[0] in question.choices:
                return self.answer_question(pointed.product_ids[0])
        return None

    def value_said(self, product: Product, option: str | None) -> dict[str, str]:
        """Return the one value of an option that stands by itself in the answer: "L is fine then".

        A single letter counts as a capital only, so that no "a" or "s" of a sentence is a size.
        """
        if option is None or re.search(r"\b(?:not|no|without)\b", self.text):
            return {}
        values = {v.options[option] for v in product.variants if option in v.options}
        said = [
            value
            for value in values
            if re.search(
                rf"(?<![\w-]){re.escape(value)}(?![\w-])",
                self.c.raw,
                re.IGNORECASE if len(value) > 1 else 0,
            )
        ]
        return {option: said[0]} if len(said) == 1 else {}

    def answer_question(self, product_id: str) -> list[Any] | None:
        question = self.state.question
        assert question is not None
        if question.about != "product":
            return None
        body = {**question.command, "product_id": product_id}
        if body.get("kind") == "basket_set":
            body["options"] = {
                **dict(body.get("options", {})),
                **self.options_said(self.reading, product_id),
            }
        from components.contracts.commands import COMMAND

        return [COMMAND.validate_python(body)]

    def kind_fits(self, product_id: str) -> bool:
        product = self.c.shelf.products[product_id]
        kinds = [c for c in self.reading.constraints if c.field in ("category", "type")]
        return not fit(product, kinds)[1]

    # -- pointing

    def point(
        self,
        text: str,
        reading: Reading | None = None,
        *,
        pools: Sequence[Sequence[str]] | None = None,
        raw: str | None = None,
    ) -> Pointed:
        return self.refs.resolve(
            text, raw if raw is not None else self.c.raw, reading or self.read(text), pools=pools
        )

    def one(
        self,
        intent: str,
        text: str,
        reading: Reading,
        build: Callable[[str], Any],
        *,
        allow_catalogue: bool = True,
    ) -> list[Any] | None:
        """Build a command about one product; ask which if several are meant, or what if none."""
        pointed = self.point(text, reading)
        if pointed.unknown is not None:
            return [Clarify(about="unknown_product", subject=pointed.unknown)]
        ids = pointed.product_ids
        if not ids and allow_catalogue and reading.constraints and not _PRONOUN_ONLY.search(text):
            found = self.in_catalogue(reading)
            ids = tuple(found[:5])
            if len(found) > 5:
                return None
        if len(ids) == 1:
            return [build(ids[0])]
        if len(ids) > 1:
            return [Clarify(about="which_product", choices=ids[:6], subject=intent)]
        return None

    def in_catalogue(self, reading: Reading) -> list[str]:
        """Return products of the whole catalogue that meet a description."""
        kept = [c for c in reading.constraints if c.hard]
        if not any(c.field in ("category", "type", "brand") for c in kept):
            return []
        hits = self.c.shelf.allowed(kept)
        if reading.terms:
            scores = self.c.shelf.text_scores(reading.terms)
            best = max((scores.get(h.product_id, 0.0) for h in hits), default=0.0)
            if best > 0:
                hits = [h for h in hits if scores.get(h.product_id, 0.0) >= best - 1e-9]
        if reading.sort == "price" and hits:
            least = min(h.price_minor or 0 for h in hits)
            hits = [h for h in hits if h.price_minor == least]
        elif reading.sort == "rating" and hits:
            top = max(h.product.rating or 0 for h in hits)
            hits = [h for h in hits if h.product.rating == top]
        return [h.product_id for h in hits]

    def options_said(self, reading: Reading, product_id: str | None) -> dict[str, str]:
        """Return the variant options named in a message, as this product spells them."""
        out: dict[str, str] = {}
        product = self.c.shelf.products.get(product_id) if product_id else None
        names = (
            {n for v in product.variants for n in v.options}
            if product
            else set(self.c.lexicon.options)
        )
        for c in reading.constraints:
            if c.op == "is" and c.field in names and len(c.values) == 1:
                out[c.field] = str(c.values[0])
        if product is not None:
            for name in names - set(out):
                for value in {v.options[name] for v in product.variants if name in v.options}:
                    said = any(
                        str(value).casefold() == str(x).casefold()
                        for c in reading.constraints
                        if c.op == "is"
                        for x in c.values
                    )
                    if said or (
                        len(value) > 2
                        and re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", self.text)
                    ):
                        out[name] = value
        return out

    # -- intents

    def by_intent(self, intent: str | None, text: str, reading: Reading) -> list[Any] | None:
        method = getattr(self, f"do_{intent}", None)
        return method(text, reading) if method is not None else None

    def do_forget_me(self, text: str, reading: Reading) -> list[Any]:
        return [ForgetMe()]

    def do_unprefer(self, text: str, reading: Reading) -> list[Any] | None:
        """Forget one stored preference."""
        text = text.replace("colour", "color").replace("flavour", "flavor")
        names = [
            k
            for k in self.c.preferences
            if any(part in text for part in stem(k).replace("-", "_").split("_") if len(part) > 2)
        ]
        values = [k for k, v in self.c.preferences.items() if str(v).casefold() in text]
        found = list(dict.fromkeys([*values, *names]))
        if not found and re.search(r"\bpreferences?\b", text):
            found = list(self.c.preferences)
        if not found:
            return (
                None
                if not re.search(r"\bsize|brand|colou?r|diet|allerg|budget|material\b", text)
                else [ProfileView()]
            )
        return [PreferenceSet(key=k, value="") for k in found]

    def do_undo(self, text: str, reading: Reading) -> list[Any]:
        return [Undo()]

    def do_checkout(self, text: str, reading: Reading) -> list[Any]:
        return [CheckoutPreview()]

    def do_profile(self, text: str, reading: Reading) -> list[Any]:
        return [ProfileView()]

    def do_restock(self, text: str, reading: Reading) -> list[Any]:
        return [Restock()]

    def do_usual(self, text: str, reading: Reading) -> list[Any]:
        add = (
            re.search(r"\b(?:add|put|buy|order|get me|reorder|take|basket|cart)\b", text)
            is not None
            and re.search(r"\bwhat\b|\bwhich\b|\?", text) is None
        )
        return [Usual(query=" ".join(reading.terms)[:200], constraints=self.hard(reading), add=add)]

    def do_swap(self, text: str, reading: Reading) -> list[Any]:
        target: Literal["cheaper", "store_brand"] = (
            "store_brand"
            if re.search(r"store brand|own brand|private label|generic|house brand", text)
            else "cheaper"
        )
        cleaned = re.sub(
            r"\b(?:for|with|by|to)\b.*\b(?:cheaper|less expensive|store brand|own brand|private label|generic|budget|cheapest|house brand)\b.*",
            "",
            text,
        )
        cleaned = re.sub(r"\b(?:cheaper|store brand|own brand|less expensive)\b", "", cleaned)
        ids = [line.product_id for line in self.c.basket]
        pointed = self.point(cleaned, self.read(cleaned), pools=(ids,))
        found = [i for i in pointed.product_ids if i in ids] or (ids if len(ids) == 1 else [])
        if len(found) == 1:
            return [Swap(product_id=found[0], target=target)]
        if not ids:
            return [Clarify(about="empty_basket")]
        if len(found) > 1 or not found:
            return [
                Clarify(
                    about="which_product",
                    choices=tuple(dict.fromkeys(found or ids))[:6],
                    subject="swap",
                )
            ]
        return []

    def do_wishlist_view(self, text: str, reading: Reading) -> list[Any]:
        return [WishlistView()]

    def do_wishlist_add(self, text: str, reading: Reading) -> list[Any] | None:
        over = re.search(r"\bwish ?list\b.*\b(?:to|in|into) (?:my |the )?(?:cart|basket)\b", text)
        if over:
            plain = re.sub(r"\b(?:from|off|on|in) (?:my |the )?wish ?list\b", " ", text)
            added = self.do_basket_add(plain, self.read(plain))
            moved = re.search(r"\bmove\b", text) is not None
            return added and [
                *added,
                *(
                    WishlistRemove(product_id=a.product_id)
                    for a in added
                    if moved and isinstance(a, BasketSet)
                ),
            ]
        cleaned = re.sub(
            r"\b(?:to|on|in|into|onto|for)?\s*(?:my |the )?(?:wish ?list|favou?rites?|saved items|later)\b",
            "",
            text,
        )
        cleaned = re.sub(r"^\s*(?:please )?(?:add|put|save|keep|move|remember)\b", "", cleaned)
        targets = self.targets(cleaned)
        if targets:
            return [WishlistAdd(product_id=i) for i, _ in targets]
        every = self.point(cleaned)
        if every.how == "all":
            return [WishlistAdd(product_id=i) for i in every.product_ids]
        return self.one(
            "wishlist_add", cleaned, self.read(cleaned), lambda i: WishlistAdd(product_id=i)
        ) or [Clarify(about="what_product", subject="wishlist_add")]

    def do_wishlist_remove(self, text: str, reading: Reading) -> list[Any]:
        cleaned = re.sub(
            r"\b(?:from|off|out of) (?:my |the )?(?:wish ?list|favou?rites?|saved items)\b|^\s*(?:please )?(?:remove|delete|take|drop)\b",
            "",
            text,
        )
        pool = tuple(self.c.wishlist)
        pointed = self.point(cleaned, self.read(cleaned), pools=(pool,))
        found = [i for i in pointed.product_ids if i in pool]
        if not found and re.search(r"\b(?:everything|all)\b", text):
            found = list(pool)
        if not found and len(pool) == 1 and not self.read(cleaned).constraints:
            found = list(pool)
        if len(found) == 1 or (found and re.search(r"\b(?:everything|all|both|them)\b", text)):
            return [WishlistRemove(product_id=i) for i in found]
        if not pool or (pointed.product_ids and not found):
            return [Clarify(about="not_on_wishlist")]
        return [
            Clarify(
                about="which_product", choices=tuple(found or pool)[:6], subject="wishlist_remove"
            )
        ]

    def do_basket_view(self, text: str, reading: Reading) -> list[Any]:
        return [BasketView()]

    def do_basket_clear(self, text: str, reading: Reading) -> list[Any]:
        return [BasketClear()]

    def do_orders(self, text: str, reading: Reading) -> list[Any] | None:
        found = re.search(r"\bo-[\w-]+\b", self.c.raw, re.IGNORECASE) or re.search(
            r"\border\s+(?:number\s+)?#?(\d[\w-]*)", text
        )
        if found is None and re.search(r"\b(?:cancel|return|refund)\b", text):
            return [OrderView()]
        return [OrderView(order_id=found.group(found.lastindex or 0)[:128] if found else None)]

    def do_reviews(self, text: str, reading: Reading) -> list[Any] | None:
        cleaned = re.sub(r"\breviews?\b", " ", text)
        found = self.one(
            "reviews_summary", cleaned, self.read(cleaned), lambda i: ReviewsSummary(product_id=i)
        )
        if found is not None:
            return found
        if reading.sort == "rating" or reading.names_kind:
            return None
        return [Clarify(about="what_product", subject="reviews_summary")]

    def do_explain(self, text: str, reading: Reading) -> list[Any] | None:
        if re.search(r"\bwhy (?:is|are) .{2,40} (?:so )?(?:expensive|cheap|pricey)\b", text):
            return self.one(
                "details", text, reading, lambda i: Details(product_id=i, asked=("price",))
            )
        found = self.one("explain", text, reading, lambda i: Explain(product_id=i))
        if found is not None and isinstance(found[0], Explain):
            return found
        if self.state.shown:
            return [
                Explain(
                    product_id=self.state.focus[0]
                    if self.state.focus
                    else self.state.shown[0].product_id
                )
            ]
        return [Clarify(about="what_product", subject="explain")]

    def do_explain_absence(self, text: str, reading: Reading) -> list[Any] | None:
        shown = {s.product_id for s in self.state.shown}
        named = self.refs.by_id(self.c.raw) or self.refs.by_title(text, self.c.raw, least=0.34)
        if named is not None and named.product_ids:
            ids = [i for i in named.product_ids if i not in shown] or list(named.product_ids)
            return [ExplainAbsence(product_id=ids[0])]
        described = [i for i in self.in_catalogue(reading) if i not in shown]
        if described:
            return [ExplainAbsence(product_id=described[0])]
        return self.do_explain(text, reading)

    def do_compare(self, text: str, reading: Reading) -> list[Any] | None:
        filters = tuple(
            c
            for c in reading.constraints
            if c.field in ("promotion", "in_stock") or (isinstance(c.values[0], bool))
        )
        if filters and re.search(r"\bwhich\b", text) and self.state.ledger and self.state.shown:
            return [Refine(add=filters)]
        by, prefer = self.criterion(text, reading)
        ids: tuple[str, ...] = ()
        explicit = self.compared_targets(text)
        if len(explicit) >= 2:
            ids = tuple(explicit)
        else:
            place = self.refs.by_place(text)
            if place is not None and len(place.product_ids) >= 2:
                ids = place.product_ids
        if (
            not ids
            and explicit
            and re.search(
                r"\b(?:compare|versus|vs|difference|better than|cheaper than|with|to)\b", text
            )
            and self.state.focus
            and self.state.focus[0] != explicit[0]
        ):
            ids = (self.state.focus[0], explicit[0])
        if not ids:
            kinds = [
                c
                for c in reading.constraints
                if c.field in ("category", "type", "brand") and c.op == "is"
            ]
            shown = [s.product_id for s in self.state.shown]
            group = re.search(r"\b(?:both|two|2)\b", text)
            if (
                len(self.state.compared) > 1
                and set(self.state.compared) <= set(shown)
                and not kinds
            ):
                ids = self.state.compared
            elif len(shown) > 1:
                pool = (
                    self.refs.by_description(replace(self.refs._about(reading), terms=()), shown)
                    if kinds
                    else None
                )
                ids = (
                    pool.product_ids
                    if pool is not None and len(pool.product_ids) > 1
                    else tuple(shown)
                )
                if kinds and pool is None:
                    return None
                if group and len(ids) > 2:
                    ids = ids[:2]
            elif len(self.refs.listed) > 1:
                ids = self.refs.listed
        if len(ids) < 2 and reading.names_kind and _BETWEEN.search(text):
            found = self.in_catalogue(reading)
            if 2 <= len(found) <= 4:
                ids = tuple(found)
        if len(ids) < 2:
            if reading.names_kind and by is not None:
                return [
                    Search(
                        query=" ".join(reading.terms),
                        constraints=self.hard(reading),
                        sort=by
                        if by in ("price", "rating") and prefer != "high"
                        else (
                            "rating" if by == "rating" else (f"-{by}" if prefer == "high" else by)
                        ),
                    )
                ]
            return None if reading.names_kind else [Clarify(about="compare_what")]
        return [Compare(product_ids=ids[:6], by=by, prefer=prefer)]

    def compared_targets(self, text: str) -> list[str]:
        cleaned = re.sub(
            r"\b(?:compare|comparison|what(?:'s| is) the|which (?:one )?is|differences?|between|better|cheaper|please|can you|should i (?:get|buy|take|choose|pick))\b",
            " ",
            text,
        )
        pieces = [
            p
            for p in re.split(r"\b(?:and|with|versus|vs\.?|or|to|than|against)\b|,", cleaned)
            if re.search(r"\w", p)
        ]
        found: list[str] = []
        if len(pieces) < 2:
            return [i for i in self.many_named(cleaned) if i]
        for piece in pieces:
            reading = self.read(piece)
            if not (reading.constraints or reading.terms or reading.sort or rules_place(piece)):
                continue
            pointed = self.point(piece, reading, raw=piece)
            if len(pointed.product_ids) == 1:
                found.append(pointed.product_ids[0])
            elif pointed.product_ids and pointed.how in ("description", "title"):
                shown = [i for i in pointed.product_ids if i in self.refs.shown]
                found.extend(shown[:1])
        return list(dict.fromkeys(found))

    def many_named(self, text: str) -> list[str]:
        pointed = self.refs.by_title(text, self.c.raw, least=0.6)
        return (
            list(pointed.product_ids)
            if pointed is not None and len(pointed.product_ids) == 1
            else []
        )

    def criterion(self, text: str, reading: Reading) -> tuple[str | None, Literal["low", "high"]]:
        if (
            re.search(
                r"\b(?:cheap\w*|less expensive|least expensive|lower price|affordable|costs? less|better value|best value|value for money|more bang)\b",
                text,
            )
            or reading.sort == "price"
        ):
            return "price", "low"
        if re.search(r"\b(?:more expensive|most expensive|dearer|pricier|costs? more)\b", text):
            return "price", "high"
        if re.search(r"\b(?:rat(?:ed|ing|ings)|reviewed|reviews|stars)\b", text):
            return "rating", "high"
        if reading.superlative is not None:
            return reading.superlative[0], "high" if reading.superlative[1] == "high" else "low"
        for c in reading.constraints:
            if isinstance(c.values[0], bool) or c.field in ("material", "color", "colour"):
                return c.field, "high"
        if _ROOM.search(text):
            room = self.c.lexicon.attribute_like("people|persons|seats|capacity|volume")
            if room is not None:
                return room, "high"
        for name in sorted(self.c.lexicon.numeric):
            if any(part in text for part in name.split("_") if len(part) > 3):
                return name, "low" if "weight" in name else "high"
        if re.search(r"\b(?:better|best|recommend|should i)\b", text):
            return "rating", "high"
        return None, "low"

    def do_bundle(self, text: str, reading: Reading) -> list[Any] | None:
        if _MY_PURCHASES.search(text) and not reading.names_kind:
            return [Recommend()]
        budget = next(
            (int(c.values[0]) for c in reading.constraints if c.field == "price" and c.op == "max"),
            None,
        )
        parts = self.parts(text)
        if len(parts) >= 2:
            return [Bundle(parts=tuple(parts), budget_minor=budget)]
        occasions = [w for w in (stem(t.text) for t in tokens_of(text)) if w in OCCASIONS]
        if occasions and re.search(
            r"\b(?:for|basket|menu|meal|party|list|hamper|dinner|breakfast|lunch)\b", text
        ):
            kept = tuple(c for c in self.hard(reading) if c.op == "not")
            return [Bundle(occasion=" ".join(occasions), budget_minor=budget, constraints=kept)]
        cleaned = re.sub(
            r"\b(?:complete the (?:look|outfit|set)|bundle|outfit|what|goes|go|with|set)\b",
            " ",
            text,
        )
        own = self.read(cleaned)
        pointed = self.point(cleaned, own)
        anchor = (
            pointed.product_ids[0]
            if pointed.product_ids
            and pointed.how
            in ("id", "title", "place", "description", "superlative", "focus", "other")
            and not re.search(r"\b(?:starter|everything (?:i|you))\b", text)
            else None
        )
        if pointed.how == "focus" and not pointed.is_sure and len(pointed.product_ids) > 1:
            anchor = None
        with_it = (
            re.search(
                r"\b(?:with|look|outfit|go(?:es)?|accessor|match|pair|complete|to it)\b", text
            )
            is not None
        )
        if (
            anchor is None
            and with_it
            and re.search(r"\b(?:it|this|that|them|these|look|outfit|set)\b", text)
            and not own.names_kind
        ):
            anchor = (
                self.state.last_added
                or (self.c.basket[-1].product_id if self.c.basket else None)
                or (self.state.shown[0].product_id if self.state.shown else None)
            )
        if anchor is not None and with_it and anchor in self.c.shelf.products:
            keep = tuple(c for c in self.hard(reading) if c.field in ("price",) and c.op == "max")
            return [
                Bundle(product_id=anchor, budget_minor=budget, constraints=() if budget else keep)
            ]
        if (
            anchor is None
            and own.names_kind
            and with_it
            and re.search(r"\b(?:with|accessor\w+ (?:for|to))\b", text)
        ):
            found = self.in_catalogue(
                replace(own, constraints=tuple(c for c in own.constraints if c.field != "price"))
            )
            if found:
                return [Bundle(product_id=found[0], budget_minor=budget)]
        if budget is not None or parts or own.terms or own.constraints:
            occasion = " ".join(own.terms)
            kept = tuple(c for c in self.hard(own) if c.field != "price")
            return [
                Bundle(
                    occasion=occasion[:200],
                    budget_minor=budget,
                    constraints=kept,
                )
            ]
        return [Clarify(about="bundle_what")]

    def parts(self, text: str) -> list[Part]:
        """Return the parts of a bundle named in a message: one per kind of product."""
        parts: list[Part] = []
        if ":" in text and len(self.parts(text.partition(":")[2])) >= 2:
            return self.parts(text.partition(":")[2])
        listed = re.search(
            r"\b(?:set|kit|bundle|basket|package|outfit|combo|hamper|box|deal)\b[^,:]{0,30}?\b(?:with|including|containing|consisting of|made up of|that has|of)\b",
            text,
        )
        if listed and len(self.parts(text[listed.end() :])) >= 2:
            return self.parts(text[listed.end() :])
        pieces = [
            p
            for p in re.split(
                r",|\band\b|\bplus\b|\bwith\b|\+|&|/|\bas well as\b|:", digits_for_words(text)
            )
            if re.search(r"\w", p)
        ]
        shared = [c for c in self.reading.constraints if c.field in ("brand",) and c.op == "is"]
        for piece in pieces:
            reading = self.read(piece)
            kinds = [
                c for c in reading.constraints if c.field in ("category", "type") and c.op == "is"
            ]
            purpose = _SOMETHING_TO.search(piece) if not kinds else None
            lexicon = self.c.lexicon
            kind = lexicon.meaning.purpose(purpose.group(), lexicon.types) if purpose else None
            if kind is not None:
                kinds = [Constraint(field="type", values=(kind,))]
                reading = Reading(constraints=(kinds[0],))
            if not kinds:
                extra = [
                    c
                    for c in reading.constraints
                    if c.field not in ("price", "in_stock", "promotion", "rating")
                ]
                if parts and extra:
                    last = parts[-1]
                    parts[-1] = last.model_copy(update={"constraints": (*last.constraints, *extra)})
                continue
            own = [c for c in reading.constraints if c.field not in ("price", "in_stock")]
            own += [c for c in shared if c.field not in {x.field for x in own} and len(pieces) == 1]
            several = (
                kinds[0].values
                if kinds[0].field == "category" and len(kinds[0].values) > 1 and len(kinds) == 1
                else (None,)
            )
            for value in several:
                cs = (
                    own
                    if value is None
                    else [
                        kinds[0].model_copy(update={"values": (value,)}) if c is kinds[0] else c
                        for c in own
                    ]
                )
                name = str(value or kinds[-1].values[0])
                if any(p.name == name for p in parts):
                    continue
                parts.append(
                    Part(
                        name=name,
                        constraints=tuple(cs),
                        query=" ".join(reading.terms),
                        quantity=self.part_quantity(piece),
                    )
                )
        return self.coherent(parts[:8])

    def coherent(self, parts: list[Part]) -> list[Part]:
        """Of a part that may be several kinds keep those of a category that another part has."""
        where = self.c.lexicon.categories_of_type
        sets = []
        for part in parts:
            kinds = [c for c in part.constraints if c.field == "type" and c.op == "is"]
            sets.append({cat for c in kinds for v in c.values for cat in where.get(str(v), {})})
        out = []
        for n, part in enumerate(parts):
            others = {cat for m, cats in enumerate(sets) if m != n for cat in cats}
            widest = [c for c in part.constraints if c.field == "category" and c.op == "is"]
            if not sets[n] and len(parts) > 2 and any(set(c.values) <= others for c in widest):
                continue  # "we go camping, so a tent and a stove": the first names no thing
            kept = []
            for c in part.constraints:
                near = tuple(v for v in c.values if others & set(where.get(str(v), {})))
                narrow = c.field == "type" and c.op == "is" and 0 < len(near) < len(c.values)
                kept.append(c.model_copy(update={"values": near}) if narrow else c)
            out.append(part.model_copy(update={"constraints": tuple(kept)}))
        return out

    def part_quantity(self, piece: str) -> int:
        found = re.match(
            r"^\s*(?:i (?:need|want)|get me|give me|a set of|for)?\s*(\d{1,2})\s+(?!inch|hour|l\b|liter|euro|eur|usd|dollar|kg|g\b|cny)",
            piece,
        )
        return max(1, min(20, int(found.group(1)))) if found else 1

    def do_similar(self, text: str, reading: Reading) -> list[Any] | None:
        cleaned = re.sub(
            r"\b(?:similar(?: to)?|alternatives?(?: to| for)?|something like|anything like|more like)\b",
            " ",
            text,
        )
        own = self.read(cleaned)
        pointed = self.point(
            cleaned,
            replace(
                own,
                constraints=tuple(
                    c for c in own.constraints if c.field in ("category", "type", "brand", "color")
                ),
            ),
        )
        keep = tuple(
            c for c in self.hard(own) if c.field not in ("category", "type") or c.op == "not"
        )
        if pointed.product_ids:
            anchor = pointed.product_ids[0]
            product = self.c.shelf.products[anchor]
            keep = tuple(
                c
                for c in keep
                if c.op != "is"
                or fit(product, [c])[1]
                or isinstance(c.values[0], bool)
                or pointed.how in ("focus", "place")
            )
            cheaper = rules.CHEAPER.search(text)
            price = price_of(product)
            if cheaper and price is not None:
                keep = (
                    *[c for c in keep if c.field != "price"],
                    Constraint(field="price", op="max", values=(max(0, price - 1),)),
                )
            return [Similar(product_id=anchor, constraints=keep)]
        if self.state.shown:
            return [Similar(product_id=self.state.shown[0].product_id, constraints=keep)]
        if own.names_kind:
            return None
        return [Clarify(about="what_product", subject="similar")]

    def about_offers(self, bare: str) -> list[Any] | None:
        """Read a message that is about using offers, or not, and about nothing else."""
        if rules.OFFERS_IT.match(bare) and self.state.last_kind in _OFFERS_TOLD and self.c.basket:
            return [OffersApply(), *self.asked_again()]
        parts = rules.clauses(bare)
        is_off = rules.OFFERS_REMOVE.search(bare) is not None
        if not is_off and rules.OFFERS_APPLY.search(bare) is None:
            return None
        ordering = re.search(r"\b(?:and|then) (?:check ?out|pay|order|place)\b", bare)
        if len(parts) > 1 and not (ordering and len(parts) == 2):
            return None
        act = self.offers_act("offers_remove" if is_off else "offers_apply", bare)
        return [act, CheckoutPreview()] if ordering else [act, *self.asked_again()]

    def asked_again(self) -> list[Any]:
        """Return the order's question anew where one is open: its sum will have changed."""
        return [CheckoutPreview()] if self.state.pending is not None else []

    def offers_act(self, intent: str | None, text: str) -> Any:
        """Return the command that puts the offers a text names on the basket, or takes them off."""
        query = re.sub(r"\b(?:and|then) (?:check ?out|pay|order|place)\b.*", " ", text)[:200]
        return OffersApply(query=query) if intent == "offers_apply" else OffersRemove(query=query)

    def do_offers_apply(self, text: str, reading: Reading) -> list[Any] | None:
        return [self.offers_act("offers_apply", text)]

    def do_offers_remove(self, text: str, reading: Reading) -> list[Any] | None:
        return [self.offers_act("offers_remove", text)]

    def do_promotions(self, text: str, reading: Reading) -> list[Any] | None:
        if re.search(
            r"\b(?:fits?|for|on|appl(?:y|ies) to|use (?:on|for|with)|work (?:on|for|with)|match) (?:(?:what(?:'s| is) )?in )?(?:my|this|the|i|me) (?:basket|cart|trolley|bag|order)\b|\bi save\b|\b(?:coupons?|vouchers?|offers?|discounts?) (?:\w+ )?(?:save|take off|knock off|fit|apply)\b(?! to me)",
            text,
        ) or (
            self.c.basket
            and re.search(r"\b(?:coupons?|vouchers?)\b.*\bi use\b|\bi use (?:any|a|some)\b", text)
        ):
            return [Promotions(in_basket=True)]
        pointing = re.search(
            r"\b(?:on|for|with|about) (?:it|this|that|them|these|the .{2,30})\b|\b(?:it|this|that|the \w+ one) (?:on sale|discounted)\b",
            text,
        )
        if pointing:
            found = self.one(
                "details", text, reading, lambda i: Details(product_id=i, asked=("promotion",))
            )
            if (
                found is not None
                and isinstance(found[0], Details)
                and self.point(text, reading).how != "none"
            ):
                return found
        kept = tuple(c for c in self.hard(reading) if c.field != "promotion")
        return [Promotions(constraints=kept)]

    def do_preference(self, text: str, reading: Reading) -> list[Any] | None:
        pairs = self.preferences_in(text, reading)
        lasting = re.search(r"\b(?:remember|note|always|from now on|save|set|keep in mind)\b", text)
        if not lasting:  # "my budget is 50" limits this search
            pairs = [(k, v) for k, v in pairs if k not in ("budget", "type", "style")]
        if not pairs:
            return None
        return [PreferenceSet(key=k, value=v) for k, v in pairs]

    def preferences_in(self, text: str, reading: Reading) -> list[tuple[str, str]]:
        out: list[tuple[str, str]] = []
        found = re.search(
            r"\bmy (?:preferred |favou?rite |usual |normal |regular |go-to )?((?:\w+ )?(?:size|brand|color|colour|budget|diet|material|store|name|flavou?r|style|email|address))s? (?:is|are|=|:|would be|to|as)\s*(.{1,60})",
            text,
        )
        set_as = re.search(
            r"\b(?:set|change|update|save) my (?:preferred |favou?rite |usual )?((?:\w+ )?(?:size|brand|color|colour|budget|diet|material))s? (?:to|as|is)\s*(.{1,60})",
            text,
        )
        found = set_as or found
        if found:
            name = found.group(1).replace("colour", "color").strip().replace(" ", "_")
            value = re.split(
                r"[,.;!?]|\b(?:and|please|so|but|from now|thanks|not)\b", found.group(2)
            )[0].strip()
            if (
                name == "size"
                and reading.field("size") is not None
                and any(w in text for w in ("shoe", "boot", "sneaker", "sandal"))
            ):
                name = "shoe_size"
            size = (
                re.search(r"\d{1,2}(?:[.,]5)?|\b(?:x{0,3}[sl]|m|small|medium|large)\b", value)
                if "size" in name
                else None
            )
            value = size.group() if size else value
            value = self.spelling(value)
            if value:
                out.append((name, value))
        wears = re.search(
            r"\bi(?:'m| am)? (?:always |usually |normally |generally |only )?(?:wear|take|a)\s+(?:a |an |shoe |shoes in |shoes )*(?:size |eu |us |uk )*(\d{2}(?:[.,]5)?|x{0,3}[sl]|m)\b",
            text,
        )
        if wears and not out:
            out.append(
                ("shoe_size" if wears.group(1)[0].isdigit() else "clothing_size", wears.group(1))
            )
        allergy = re.search(r"\ballergic to ([\w\s]{2,40})", text)
        if allergy:
            out.append(
                (
                    "allergy",
                    self.spelling(
                        re.split(r"\b(?:and i|so|please|but)\b", allergy.group(1))[0].strip()
                    ),
                )
            )
        diet = re.search(
            r"\b(?:i'm|i am|we are|we're|remember (?:that )?i(?:'m| am))(?: a| an)? (vegan|vegetarian|lactose intolerant|gluten[- ]free|kosher|halal|diabetic|coeliac|celiac|gluten intolerant)\b",
            text,
        )
        if diet:
            out.append(("diet", diet.group(1)))
        if out:
            return out
        for c in reading.constraints:
            if c.field in ("price", "rating", "in_stock", "promotion", "terms"):
                continue
            name = {"size": "shoe_size" if str(c.values[0])[:1].isdigit() else "size"}.get(
                c.field, c.field
            )
            value = (
                ", ".join(str(v) for v in c.values)
                if not isinstance(c.values[0], bool)
                else c.field.replace("_", " ")
            )
            if c.op == "not" or c.values[0] is False:
                name = f"avoid_{name}"
            elif isinstance(c.values[0], bool):
                name = "likes"
            out.append((name, value))
        if not out:
            likes = re.search(
                r"\b(?:i (?:really |always |usually |only |generally |never )*(?:prefer|like|love|want|buy|use|eat|drink)|remember (?:that )?(?:i )?(?:prefer|like|love)?)\s+(.{2,60})",
                text,
            )
            if likes and re.search(
                r"\b(?:remember|always|usually|generally|from now on|never|prefer|for (?:future|next time))\b",
                text,
            ):
                value = safe_words(re.split(r"[,.;!?]|\bplease\b", likes.group(1))[0].strip())
                if value:
                    out.append(("avoid" if "never" in text else "likes", value))
        return out

    def spelling(self, value: str) -> str:
        value = safe_words(value)
        for known in (
            *sorted(self.c.lexicon.brands),
            *sorted(v for vs in self.c.lexicon.options.values() for v in vs),
        ):
            if known.casefold() == value.casefold():
                return known
        return value

    def do_basket_remove(self, text: str, reading: Reading) -> list[Any] | None:
        ids = list(dict.fromkeys(line.product_id for line in self.c.basket))
        if reading.drops and not reading.constraints:
            plain = re.sub(
                r"\b(?:drop|remove|delete|lose|scrap|ditch|forget(?: about)?)\b", " ", text
            )
            held = self.refs.by_description(self.read(plain), ids)
            if held is not None and not {c.field for c in self.state.constraints} & set(
                reading.drops
            ):
                return [BasketRemove(product_id=held.product_ids[0])]
        if reading.drops and not ids:
            return None
        if (
            reading.drops
            and re.search(
                r"\b(?:filter|limit|constraint|requirement|price|budget|brand|colou?r|size)\b", text
            )
            and not self.refs.by_description(reading, ids)
        ):
            return None
        if not ids:
            return (
                None
                if reading.drops or (self.state.ledger and (reading.constraints))
                else [Clarify(about="empty_basket")]
            )
        cleaned = re.sub(
            r"\b(?:from|out of|in) (?:my|the) (?:shopping )?(?:basket|cart|bag)\b", "", text
        )
        cleaned = re.sub(
            r"\b(?:remove|delete|take|get rid of|drop|out|off|away|kick|chuck|throw|pull|cancel|don't|do not|no longer|want|need|any ?more|after all|please)\b",
            " ",
            cleaned,
        )
        how_many = re.search(
            r"\b(?:remove|take(?: out| off| away)?|delete|drop)\s+(?:just |only )?(one|\d{1,3})(?: of| from| (?!one\b)\w+)",
            digits_for_words(text),
        )
        found = self.targets(cleaned, pool=ids, counted=False)
        picked = [i for i, _ in found if i in ids]
        if not picked:
            own = self.read(cleaned)
            pointed = self.point(cleaned, own, pools=(ids,))
            picked = [i for i in pointed.product_ids if i in ids]
            if pointed.product_ids and not picked:
                return [Clarify(about="not_in_basket", subject=pointed.product_ids[0])]
            if not picked and (own.terms or own.constraints) and not _PRONOUN_ONLY.search(cleaned):
                if self.state.ledger and any(
                    c.field in {e.constraint.field for e in self.state.ledger}
                    for c in own.constraints
                ):
                    return None
                return [Clarify(about="not_in_basket")]
        if not picked and len(ids) == 1:
            picked = ids
        if (
            not picked
            and re.search(r"\b(?:it|that|this|that one|this one)\b", text)
            and self.state.last_added in ids
        ):
            picked = [str(self.state.last_added)]
        if not picked:
            return [Clarify(about="which_product", choices=tuple(ids[:6]), subject="basket_remove")]
        if len(picked) > 1 and not re.search(
            r"\b(?:and|both|all|them|these|those|everything)\b|,", text
        ):
            return [
                Clarify(about="which_product", choices=tuple(picked[:6]), subject="basket_remove")
            ]
        if how_many and len(picked) == 1:
            n = 1 if how_many.group(1) == "one" else int(how_many.group(1))
            left = self.c.quantity_of(picked[0]) - n
            if left > 0:
                return [
                    BasketSet(
                        product_id=picked[0], variant_id=self.line_variant(picked[0]), quantity=left
                    )
                ]
        return [BasketRemove(product_id=i) for i in picked]

    def line_variant(self, product_id: str) -> str | None:
        return next(
            (line.variant_id for line in self.c.basket if line.product_id == product_id), None
        )

    def do_basket_quantity(self, text: str, reading: Reading) -> list[Any] | None:
        ids = list(dict.fromkeys(line.product_id for line in self.c.basket))
        limited = any(c.field == "price" for c in self.state.constraints)
        if not ids and limited and self.state.question is None and "quantity" not in text:
            return None  # with an empty basket "make it 60" is the price limit
        words = re.sub(r"\bone (?=is|will|would|please|of\b)", "1 ", digits_for_words(text))
        explicit = self.refs.by_id(self.c.raw)
        if explicit is not None and explicit.unknown:
            return [Clarify(about="unknown_product", subject=explicit.unknown)]
        found = re.search(
            r"(?:\bto|=|it|that|them|only|just|quantity(?: of .{1,40}?)? (?:to|is|at)|by)\s*(?:just |only |about )?(-?\s?\d[\d.,e+]*|nan\b|infinity\b|none\b|zero\b)",
            words,
        )
        number = found.group(1).replace(" ", "") if found else None
        fewer = re.search(r"\b(?:one|a|\d+) (?:less|fewer)\b", words)
        if number is None and fewer is None:
            bare = re.search(
                r"(?<![\w.-])(-?\d+)(?![\w.]*\d)", re.sub(r"[a-z]{1,4}-?\d{3,}", "", words)
            )
            number = bare.group(1) if bare else None
        options_only = self.reading.constraints and not ids
        if number is None:
            less = re.search(r"\b(one|1|\d+) (?:less|fewer)\b", words)
            if less is None and not re.search(r"\b(?:double|triple)\b", words):
                return None if not re.search(r"\bquantity\b", text) else [Clarify(about="quantity")]
        if options_only and not (explicit and explicit.product_ids):
            return None
        priced = any(c.field == "price" for c in reading.constraints) and _MONEY.search(text)
        if any(
            c.field == "size" and number in [str(v) for v in c.values] for c in reading.constraints
        ) or (priced and "quantity" not in text):
            return self.change_variant(text, reading)
        cleaned = re.sub(
            r"\b(?:to|=)?\s*-?\d+\b|\bquantity(?: of)?\b|\b(?:make|change|set|update|increase|reduce|only|just)\b",
            " ",
            text,
        )
        pool = ids or [s.product_id for s in self.state.shown]
        if explicit is not None and explicit.product_ids:
            picked = list(explicit.product_ids)
        else:
            own = self.read(cleaned)
            pointed = self.refs.by_title(
                cleaned, self.c.raw, ids, least=0.34
            ) or self.refs.by_description(own, ids)
            place = self.refs.by_place(cleaned)
            picked = (
                list(pointed.product_ids)
                if pointed is not None
                else list(place.product_ids)
                if place is not None
                else []
            )
            if not picked and self.state.last_added in ids:
                picked = [str(self.state.last_added)]
            if not picked and self.state.focus and self.state.focus[0] in ids:
                picked = [self.state.focus[0]]
            if not picked and len(ids) == 1:
                picked = ids
            if (
                not picked
                and self.state.question is not None
                and self.state.question.command.get("product_id")
            ):
                picked = [str(self.state.question.command["product_id"])]
            if not picked and not ids:
                pronoun = self.refs.pronoun()
                picked = list(pronoun.product_ids) if pronoun.is_sure else []
        if len(picked) != 1:
            return (
                [
                    Clarify(
                        about="which_product",
                        choices=tuple((picked or pool)[:6]),
                        subject="basket_quantity",
                    )
                ]
                if (picked or pool)
                else [Clarify(about="empty_basket")]
            )
        product_id = picked[0]
        times = re.search(r"\b(double|triple)\b", words)
        if number is None and times:
            factor = {"double": 2, "triple": 3}[times.group(1)]
            return self.set_quantity(product_id, self.c.quantity_of(product_id) * factor)
        if number is None:
            less = re.search(r"\b(one|1|\d+) (?:less|fewer)\b", words)
            drop = int(less.group(1)) if less and less.group(1).isdigit() else 1
            return self.set_quantity(product_id, self.c.quantity_of(product_id) - drop)
        if not re.fullmatch(r"\d+", number):
            if number in ("none", "zero"):
                return [BasketRemove(product_id=product_id)]
            return [Clarify(about="quantity", subject=product_id)]
        if len(number) > 9 or int(number) > MAX_QUANTITY:
            return [Clarify(about="too_many", subject=product_id)]
        if re.search(r"\bby \d+\b", words):
            sign = -1 if re.search(r"\b(?:reduce|decrease|lower|cut)\b", words) else 1
            return self.set_quantity(
                product_id, self.c.quantity_of(product_id) + sign * int(number)
            )
        return self.set_quantity(product_id, int(number))

    def set_quantity(self, product_id: str, quantity: int) -> list[Any]:
        if quantity <= 0:
            return [BasketRemove(product_id=product_id)]
        return [
            BasketSet(
                product_id=product_id,
                variant_id=self.line_variant(product_id),
                quantity=quantity,
                options=self.options_said(self.reading, product_id),
            )
        ]

    def change_variant(self, text: str, reading: Reading) -> list[Any] | None:
        """Change a variant: "make it size 44" while the product lies in the basket changes its variant."""
        ids = [line.product_id for line in self.c.basket]
        pointed = self.state.last_added if self.state.last_added in ids else None
        if pointed is None or self.state.last_kind not in ("basket_set", "basket_view"):
            return None
        options = self.options_said(reading, pointed)
        if not options:
            return None
        line = next(line for line in self.c.basket if line.product_id == pointed)
        product = self.c.shelf.products[pointed]
        current = next((v.options for v in product.variants if v.variant_id == line.variant_id), {})
        return [
            BasketRemove(product_id=pointed, variant_id=line.variant_id),
            BasketSet(product_id=pointed, quantity=line.quantity, options={**current, **options}),
        ]

    def do_basket_add(self, text: str, reading: Reading) -> list[Any] | None:
        cleaned = re.sub(
            r"\b(?:to|in|into|onto|on) (?:my |the |our )?(?:shopping )?(?:basket|cart|bag|trolley)\b|\badd to basket\b",
            " ",
            text,
        )
        cleaned = re.sub(
            r"\b(?:please|can you|could you|i would like to|i'd like to|i want to|i will|i'll|go ahead and|let's|add|put|buy|order|purchase|take|get|give me|have|grab|place|want|need|too|also|as well)\b",
            " ",
            cleaned,
        )
        targets = self.targets(cleaned)
        if not targets:
            own = self.read(cleaned)
            pointed = self.focused(text, own) or self.point(cleaned, own)
            if not re.search(r"[a-z\u3400-\u9fff]", cleaned) and not pointed.product_ids:
                pointed = self.refs.pronoun()
            if pointed.unknown is not None:
                return [Clarify(about="unknown_product", subject=pointed.unknown)]
            ids = pointed.product_ids
            is_act = (
                re.search(
                    r"\b(?:add|basket|cart)\b|\bi(?:'ll| will) (?:take|have)\b|\bput\b",
                    text,
                )
                is not None
                or re.match(
                    r"^(?:(?:please|can you|could you|and|also|then|ok(?:ay)?),? )*(?:throw|toss|chuck|pop|stick|bung|pack|slip|drop)\b",
                    _OPENER.sub("", text),
                )
                is not None
            )
            definite = (
                re.match(
                    r"^(?:and |ok(?:ay)?,? |then |please |yes,? )*(?:i want|i'd like|i would like|give me|get me|i need|can i have|could i have|let me have)(?: to (?:buy|order|have|get))? the\b",
                    text,
                )
                is not None
                and own.sort is None
                and own.superlative is None
                and any(c.field in _OPTION_FIELDS and c.op == "is" for c in own.constraints)
            )
            if not ids:
                if pointed.how == "place":
                    return [Clarify(about="no_such_place")]
                found = self.in_catalogue(own)
                if not found and own.terms:
                    found = self.by_words(own)
                if len(found) > 1 and own.terms:
                    found = self.likeliest(cleaned, found)
                is_act = is_act or (definite and len(found) == 1)
                if not is_act and (own.names_kind or own.terms or own.constraints):
                    return None
                if not found and (own.constraints or own.terms):
                    return [Search(query=" ".join(own.terms), constraints=self.hard(own))]
                ids = tuple(found)
                if not ids:
                    return [Clarify(about="what_product", subject="basket_set")]
            if (
                len(ids) > 1
                and not pointed.is_sure
                and pointed.how == "focus"
                and len(self.refs.shown) > 1
            ):
                return [
                    Clarify(about="which_product", choices=tuple(ids[:6]), subject="basket_set")
                ]
            if not is_act and not re.search(r"\b(?:buy|order|purchase|take)\b", text):
                confident = pointed.how in ("id", "place", "focus", "other", "all") or (
                    pointed.how == "title"
                    and self.refs.by_title(cleaned, self.c.raw, ids, least=0.6) is not None
                )
                pointing = pointed.how in ("description", "superlative") and re.search(
                    r"\bthe (?:\w+ ){1,2}ones?\b|\bthat\b|\bthis\b", text
                )
                if not confident and not pointing:
                    return None
            if len(ids) > 1 and pointed.how not in ("place", "all", "superlative"):
                best = self.refs.by_superlative(text, ids)
                if best is not None:
                    ids, pointed = best.product_ids[:1], best
            if len(ids) > 1 and pointed.how not in ("place", "all", "superlative"):
                return [
                    Clarify(about="which_product", choices=tuple(ids[:6]), subject="basket_set")
                ]
            if len(ids) > 1 and pointed.how == "superlative":
                ids = ids[:1]
            targets = [(i, cleaned) for i in ids]
        bad = re.search(
            r"(?<![\w.])(-\d+|nan|infinity|\d+\.\d+)(?= (?:of|pieces|units|x)\b)",
            digits_for_words(cleaned),
        )
        if bad:
            return [Clarify(about="quantity", subject=targets[0][0])]
        out: list[Any] = []
        for product_id, piece in targets:
            said = self.quantity(piece, product_id)
            if (
                said is None
                and len(targets) > 1
                and self.quantity(cleaned, product_id) is not None
                and re.search(r"\beach\b", text)
            ):
                said = self.quantity(cleaned, product_id)
            count = said or 1
            if count > MAX_QUANTITY:
                out.append(Clarify(about="too_many", subject=product_id))
                continue
            options = self.options_said(self.read(piece), product_id) or (
                self.options_said(self.reading, product_id) if len(targets) == 1 else {}
            )
            out.append(BasketSet(product_id=product_id, quantity=count, options=options, adds=True))
        return out

    def focused(self, text: str, reading: Reading) -> Pointed | None:
        """Read "it, in grey": the one product in focus, where the options said are its own."""
        if len(self.state.focus) != 1 or not re.search(r"\b(?:it|this one|that one)\b", text):
            return None
        product = self.c.shelf.products.get(self.state.focus[0])
        if product is None or reading.names_kind or not reading.constraints:
            return None
        named = {n for v in product.variants for n in v.options}
        if any(c.field not in named for c in reading.constraints):
            return None
        if fit(product, [c for c in reading.constraints if c.op == "is"])[1]:
            return None
        return Pointed((product.product_id,), "focus", True)

    def likeliest(self, phrase: str, ids: list[str]) -> list[str]:
        """Keep the one product that a phrase describes better than the others, if one stands out."""
        products = [self.c.shelf.products[i] for i in ids[:40]]
        like = self.c.shelf.meaning.nearest(phrase, products, least=0.0)
        order = sorted(like, key=lambda i: (-like[i], i))
        if len(order) > 1 and like[order[0]] >= SURE and like[order[0]] - like[order[1]] >= APART:
            return order[:1]
        return ids

    def by_words(self, reading: Reading) -> list[str]:
        scores = self.c.shelf.text_scores(reading.terms)
        if not scores:
            return []
        best = max(scores.values())
        return [i for i, s in sorted(scores.items()) if s >= best - 1e-9] if best >= 0.5 else []

    def quantity(self, text: str, product_id: str) -> int | None:
        words = digits_for_words(text)
        for word, n in _TWICE.items():
            if re.search(rf"\b{word}\b", words):
                return n
        times = re.search(r"\b(\d{1,4}) times\b|\bx ?(\d{1,4})\b|\b(\d{1,4}) ?x\b", words)
        if times:
            return int(next(g for g in times.groups() if g))
        title = {t.text for t in tokens_of(self.c.shelf.products[product_id].title)}
        spans = [
            m.span()
            for m in re.finditer(
                r"\b(?:size|eu|number|option|no\.?|item|under|below|for|at|#) ?#?\d+|\d+ ?(?:euros?|eur|€|dollars?|usd|cny|hours?|inch|l\b|liters?|kg\b|g\b|ml\b|oz\b|st\b|nd\b|rd\b|th\b)|[€$£]\d+",
                words,
            )
        ]
        sizes = {
            part
            for c in self.read(text).constraints
            if c.field in _OPTION_FIELDS or c.field in self.c.lexicon.numeric
            for v in c.values
            for part in (str(v), *re.findall(r"\d+", str(v)))
        }
        for match in re.finditer(r"(?<![\w.-])(\d{1,22})(?![\w]*[.,]?\d)", words):
            if (
                any(a <= match.start() < b for a, b in spans)
                or match.group(1) in title
                or match.group(1) in sizes
            ):
                continue
            value = int(match.group(1))
            return value if value > 0 else None
        if re.search(r"\bone of\b", words):
            return 1
        return None

    def targets(
        self, text: str, *, pool: Sequence[str] | None = None, counted: bool = True
    ) -> list[tuple[str, str]]:
        """Return (product, its words) where a clause lists several products; empty unless all are clear."""
        pieces = [p for p in re.split(r",|\band\b|\bplus\b|&|\+", text) if re.search(r"\w", p)]
        if len(pieces) < 2:
            return []
        found: list[tuple[str, str]] = []
        for piece in pieces:
            reading = self.read(piece)
            words = [t for t in tokens_of(piece) if t.is_word and t.text not in STOPWORDS]
            pointing = rules_place(piece) or re.search(r"\b(?:it|this|that)\b", piece)
            if not words and not pointing:
                continue
            pools = (tuple(pool),) if pool is not None else None
            pointed = self.point(
                piece, reading, pools=pools, raw=piece if not self.chinese else self.c.raw
            )
            ids = pointed.product_ids
            if not ids and pool is None:
                ids = tuple(self.in_catalogue(reading))
            if pool is not None:
                ids = tuple(i for i in ids if i in pool)
            if len(ids) != 1:
                only_options = reading.constraints and all(
                    c.field in _OPTION_FIELDS for c in reading.constraints
                )
                if found and only_options:
                    found[-1] = (found[-1][0], f"{found[-1][1]} {piece}")
                    continue
                return []
            if ids[0] in [i for i, _ in found]:
                continue
            found.append((ids[0], piece))
        return found if len(found) > 1 else []

    def do_details(self, text: str, reading: Reading) -> list[Any] | None:
        asked = self.asked(text, reading)
        cleaned = text
        if (
            (
                self.state.last_kind in ("checkout_preview", "basket_view")
                and asked == ("price",)
                and not reading.names_kind
            )
            and self.refs.by_title(text, self.c.raw) is None
            and self.refs.by_place(text) is None
        ):
            return [BasketView()]
        have = re.search(
            r"\b(?:do you have|have you got|does it come|do they come|is there|does (?:it|this|that) come)\b",
            text,
        )
        if have and not re.search(r"\b(?:it|this|that|them|these|those|one|ones)\b", text):
            return None
        if have and not self.state.shown and not self.state.focus:
            return None
        options = [c for c in reading.constraints if c.field in _OPTION_FIELDS]
        if options or any(isinstance(c.values[0], bool) for c in reading.constraints):
            kept = tuple(c for c in reading.constraints if c.field in ("category", "type", "brand"))
            about = replace(reading, constraints=kept)
            if re.search(r"\bthe (?:\w+ ){1,2}(?:one|ones|pair)\b", text) and not kept and not have:
                about = reading
        else:
            about = reading
        pointed = self.point(cleaned, about)
        if pointed.unknown is not None:
            return [Clarify(about="unknown_product", subject=pointed.unknown)]
        ids = pointed.product_ids
        if not ids and about.names_kind:
            found = self.in_catalogue(
                replace(
                    about,
                    constraints=tuple(
                        c for c in about.constraints if c.field in ("category", "type", "brand")
                    ),
                )
            )
            if len(found) > 6 or not found:
                return None
            ids = tuple(found)
        if not ids and reading.terms:
            words = self.by_words(reading)
            ids = tuple(words) if len(words) == 1 else ()
        if len(ids) == 1:
            return [Details(product_id=ids[0], asked=asked)]
        if len(ids) > 1:
            plural = re.search(
                r"\b(?:they|them|these|those|both|all|any of|which of|are the)\b", text
            )
            if plural or pointed.how in ("place", "all"):
                criterion = asked[0] if asked else None
                return [
                    Compare(
                        product_ids=ids[:6],
                        by=criterion if criterion in ("price", "rating") else None,
                    )
                ]
            if pointed.how == "focus" and not pointed.is_sure:
                return [Clarify(about="which_product", choices=ids[:6], subject="details")]
            return [Clarify(about="which_product", choices=ids[:6], subject="details")]
        about_shown = reading.is_empty or _OF_THE_SHOWN.search(text)
        if about_shown and not reading.names_kind and self.refs.shown:
            return self.about_shown(asked)
        if reading.names_kind or reading.terms or reading.constraints:
            return None
        return [Clarify(about="what_product", subject="details")]

    def about_shown(self, asked: tuple[str, ...]) -> list[Any]:
        """Answer "how much?" or "are they sturdy?" of what is on the shelf, without asking back."""
        shown = self.refs.shown
        if len(shown) == 1:
            return [Details(product_id=shown[0], asked=asked)]
        by = next((a for a in asked if a in ("price", "rating")), None)
        return [Compare(product_ids=tuple(shown[:4]), by=by)]

    def asked(self, text: str, reading: Reading) -> tuple[str, ...]:
        """Return what about a product is asked for: attribute names, or price, stock, rating, options."""
        out: list[str] = []
        if re.search(r"\bhow much\b(?! battery)|\bprice|\bcosts?\b|\bexpensive\b", text):
            out.append("price")
        if re.search(
            r"\bstock\b|\bavailable\b|\bavailability\b|\bsold out\b|how many (?:are )?left|\bhave (?:it|them|this|that|these|those)\b",
            text,
        ):
            out.append("stock")
        if re.search(r"\bsizes?\b", text):
            out.append("size")
        if re.search(r"\bcolou?rs?\b", text) or any(
            stem(t.text) in COLOR_WORDS for t in tokens_of(text)
        ):
            out.append("color")
        if re.search(r"\brat(?:ed|ing|ings)\b|\bstars\b", text):
            out.append("rating")
        if re.search(r"\b(?:on sale|discount\w*|offer|promotion|deal|reduced)\b", text):
            out.append("promotion")
        if re.search(r"\bbrand\b|who makes|manufacturer", text):
            out.append("brand")
        if re.search(r"\bmade (?:of|from|out of)\b|\bmaterial\b|what material", text):
            out.append("material")
        if re.search(r"\bhow heavy\b|\bweigh", text):
            out.append("weight_g" if "weight_g" in self.c.lexicon.numeric else "weight")
        for name in sorted(self.c.lexicon.numeric | self.c.lexicon.booleans):
            parts = [p for p in name.split("_") if len(p) > 3 and p not in ("safe",)]
            if any(re.search(rf"\b{re.escape(p)}", text) for p in parts):
                out.append(name)
        if re.search(
            r"\bhow (?:big|large|roomy)\b|\bhow many liters\b|\bhow much (?:does it |do they )?(?:hold|fit)",
            text,
        ):
            out.extend(
                n for n in sorted(self.c.lexicon.numeric) if re.search(r"volume|capacity|screen", n)
            )
        for c in reading.constraints:
            if c.field not in (
                "price",
                "rating",
                "promotion",
                "in_stock",
                "category",
                "type",
                "brand",
                "terms",
            ):
                out.append(c.field)
        return tuple(dict.fromkeys(out))

    def do_recommend(self, text: str, reading: Reading) -> list[Any] | None:
        people = re.compile(rf"{rules.PERSON}s?")
        cleaned = replace(
            reading,
            terms=tuple(t for t in reading.terms if not people.fullmatch(t)),
            constraints=tuple(
                c for c in reading.constraints if c.field != "terms" or c.op != "not"
            ),
        )
        if (
            rules.CORRECTION.search(text)
            and self.state.ledger
            and reading.constraints
            and not reading.names_kind
        ):
            return None
        return [Recommend(query=" ".join(cleaned.terms)[:200], constraints=self.hard(cleaned))]

    def do_out_of_scope(self, text: str, reading: Reading) -> list[Any]:
        return [OutOfScope(reason="topic")]

    def do_greeting(self, text: str, reading: Reading) -> list[Any]:
        return [Converse(about="greeting")]

    def do_help(self, text: str, reading: Reading) -> list[Any]:
        return [Converse(about="help")]

    # -- products

    def hard(self, reading: Reading) -> tuple[Constraint, ...]:
        """Return the constraints of a reading, with the category that a type implies."""
        out = list(reading.constraints)
        types = next((c for c in out if c.field == "type" and c.op == "is"), None)
        if types is not None and not any(c.field == "category" and c.op == "is" for c in out):
            category = self.c.lexicon.category_of([str(v) for v in types.values])
            if category is not None:
                out.insert(0, Constraint(field="category", values=(category,)))
        return tuple(out)

    def search(self, reading: Reading) -> Search:
        sort = reading.sort or "relevance"
        if (
            reading.superlative is not None
            and reading.sort is None
            and re.search(r"est\b|\bmost\b", self.text)
        ):
            sort = ("-" if reading.superlative[1] == "high" else "") + reading.superlative[0]
        constraints = self.hard(reading)
        if reading.head and not reading.names_kind:
            constraints = (*constraints, Constraint(field="terms", values=reading.head))
        return Search(query=" ".join(reading.terms)[:1000], constraints=constraints, sort=sort)

    def about_products(self) -> list[Any] | None:
        """Search or refine; None where the message says nothing about products."""
        text, reading, state = self.text, self.reading, self.state
        if reading.unknown_currencies:
            return [Clarify(about="currency", subject=reading.unknown_currencies[0])]
        bundle = self.bundle_by_parts(text, reading)
        if bundle is not None:
            return bundle
        if rules.DECLINE.search(text) and not reading.names_kind:
            return [OutOfScope(reason="topic")]
        if rules.SERVICE.search(text) and not reading.names_kind:
            return [OutOfScope(reason="service")]
        has_search = bool(state.ledger or state.terms or state.shown)
        if has_search and rules.MORE.match(text.strip()):
            return [Refine(more=True)]
        limit = next((c for c in state.constraints if c.field == "price"), None)
        bare_number = re.match(
            r"^(\d{1,7})(?: (?:then|instead|please|rather))?$", _LEAD_IN.sub("", text.strip(" .!?"))
        )
        if limit is not None and bare_number and reading.field("size") is None:
            value = to_home(Decimal(bare_number.group(1)), None, self.c.currency, {})
            if value is not None and state.bundle and state.last_kind == "bundle":
                return [Bundle.model_validate({**state.bundle, "budget_minor": value})]
            if value is not None:
                return [Refine(add=(limit.model_copy(update={"values": (value,)}),))]
        unwanted = [c for c in reading.constraints if c.op == "not" or c.values[0] is False]
        if (
            state.bundle
            and state.last_kind == "bundle"
            and unwanted == list(reading.constraints) != []
        ):
            kept = [Constraint.model_validate(c) for c in state.bundle.get("constraints", ())]
            return [Bundle.model_validate({**state.bundle, "constraints": [*kept, *unwanted]})]
        relative = self.relative(text, reading)
        if relative is not None and has_search:
            return relative
        if reading.is_empty:
            return None
        kind = next(
            (c for c in reading.constraints if c.field in ("type", "category") and c.op == "is"),
            None,
        )
        fragment = rules.NEW_SEARCH.search(text) is None
        if kind is None and state.former and reading.constraints and rules.CORRECTION.search(text):
            kept = [
                c for c in state.former if c.field not in {r.field for r in reading.constraints}
            ]
            return [
                Search(constraints=(*kept, *reading.constraints), sort=reading.sort or "relevance")
            ]
        if kind is None:
            if not has_search:
                if reading.drops and not (reading.constraints or reading.terms or reading.sort):
                    return [Clarify(about="no_search")]
                return [self.search(reading)]
            if reading.terms and not reading.constraints and not reading.drops and not reading.sort:
                named = self.refs.by_title(text, self.c.raw, least=0.75)
                if named is not None and len(named.product_ids) == 1:
                    return [Details(product_id=named.product_ids[0])]
                narrows = _NARROWS.search(_OPENER.sub("", text)) is not None
                if not (fragment and (narrows or self.terms_fit(reading))):
                    return [self.search(reading)]
            if reading.terms and not fragment and not self.terms_fit(reading):
                return [self.search(reading)]
            return [self.refine(reading)]
        if not state.ledger:
            return self.named(reading, fragment) or [self.search(reading)]
        old_types = {
            str(v)
            for c in state.constraints
            if c.field == "type" and c.op == "is"
            for v in c.values
        }
        old_categories = {
            str(v)
            for c in state.constraints
            if c.field == "category" and c.op == "is"
            for v in c.values
        }
        new_types = {
            str(v)
            for c in reading.constraints
            if c.field == "type" and c.op == "is"
            for v in c.values
        }
        new_categories = {
            str(v)
            for c in reading.constraints
            if c.field == "category" and c.op == "is"
            for v in c.values
        }
        inside = {cat for t in new_types for cat in self.c.lexicon.categories_of_type.get(t, {})}
        same = bool(
            (new_types and new_types <= old_types)
            or (new_categories & old_categories and not new_types)
        )
        corrective = rules.CORRECTION.search(text) is not None
        if _NARROWS.search(text) and not old_types and not old_categories:
            return [self.refine(reading)]
        if same:
            if fragment or corrective or reading.drops:
                only_category = new_categories and not new_types and old_types
                if not only_category or corrective:
                    return [self.refine(reading, keep_kind=not only_category)]
            return (
                [self.search(reading)]
                if not fragment and (len(reading.constraints) > 1 or not fragment)
                else [self.refine(reading)]
            )
        if (inside & old_categories) and (corrective or (fragment and not old_types)):
            return [self.refine(reading)]
        return self.named(reading, fragment) or [self.search(reading)]

    def terms_fit(self, reading: Reading) -> bool:
        """Whether extra words describe what is being looked at rather than something new."""
        shelf = self.c.shelf
        hits = shelf.allowed([c for c in self.state.constraints if c.hard])
        scores = shelf.text_scores(reading.terms)
        if any(scores.get(h.product_id, 0.0) >= 0.3 for h in hits[:500]):
            return True
        like = shelf.meaning.nearest(" ".join(reading.terms), list(shelf.products.values()))
        best = max(like.values(), default=0.0)
        return (
            best >= SURE and max(like.get(h.product_id, 0.0) for h in hits[:500]) >= best - 0.05
            if hits
            else False
        )

    def named(self, reading: Reading, fragment: bool) -> list[Any] | None:
        """A message that is just a product's own name asks for that product."""
        return None

    def refine(self, reading: Reading, *, keep_kind: bool = False) -> Refine:
        add = reading.constraints if keep_kind else self.hard(reading)
        drop = list(reading.drops)
        if any(c.field in ("type", "category") and c.op == "is" for c in add) and not keep_kind:
            drop.extend(
                f
                for f in ("type", "category", "terms")
                if not any(c.field == f and c.op == "not" for c in self.state.constraints)
            )
        sort = reading.sort
        if (
            reading.superlative is not None
            and sort is None
            and re.search(r"est\b|\bmost\b|er\b|\bmore\b", self.text)
        ):
            sort = ("-" if reading.superlative[1] == "high" else "") + reading.superlative[0]
        return Refine(
            query=" ".join(reading.terms)[:1000],
            add=add,
            drop=tuple(dict.fromkeys(drop)),
            sort=sort,
        )

    def relative(self, text: str, reading: Reading) -> list[Any] | None:
        """Read "cheaper" and "more expensive" against what is being looked at."""
        cheaper, dearer = rules.CHEAPER.search(text), rules.DEARER.search(text)
        if not (cheaper or dearer) or (reading.names_kind and not (self.same_kind(reading))):
            return None
        if any(c.field == "price" for c in reading.constraints):
            return None
        shown = list(self.refs.shown)
        if not shown:
            return None
        anchors: list[str] = []
        compared = re.search(r"\bthan (?:the |that |this |it\b)?(.*)$", text)
        if compared:
            piece = compared.group(0).removeprefix("than ")
            pointed = self.point(piece, self.read(piece), raw=piece)
            anchors = list(pointed.product_ids)
        if not anchors:
            place = self.refs.by_place(text)
            anchors = list(place.product_ids) if place is not None else []
        if not anchors and len(self.state.focus) == 1:
            anchors = list(self.state.focus)
        rest = tuple(c for c in self.hard(reading) if c.field not in ("price", "category", "type"))
        products = self.c.shelf.products
        base = [
            c
            for c in self.state.constraints
            if c.field != "price" or (c.op == "min" if cheaper else c.op == "max")
        ]
        if anchors:
            base_kind = products[anchors[0]]
            if (
                not any(c.field in ("category", "type") and c.op == "is" for c in base)
                and base_kind.type
            ):
                kind = (
                    Constraint(field="category", values=(base_kind.category[-1],))
                    if base_kind.category
                    else Constraint(field="type", values=(base_kind.type,))
                )
                rest = (kind, *rest)
        price = self.relative_limit(anchors or shown, shown, bool(cheaper), [*base, *rest])
        if price is None:
            return None
        limit = Constraint(field="price", op="max" if cheaper else "min", values=(price,))
        return [
            Refine(
                query=" ".join(reading.terms),
                add=(*rest, limit),
                drop=("price", *reading.drops),
                sort="price" if cheaper else None,
            )
        ]

    def same_kind(self, reading: Reading) -> bool:
        old = {
            str(v)
            for c in self.state.constraints
            if c.field in ("category", "type")
            for v in c.values
        }
        new = {
            str(v)
            for c in reading.constraints
            if c.field in ("category", "type") and c.op == "is"
            for v in c.values
        }
        return bool(old & new)

    def relative_limit(
        self, anchors: list[str], shown: list[str], cheaper: bool, constraints: list[Constraint]
    ) -> int | None:
        products = self.c.shelf.products
        prices = [p for i in anchors if (p := self.shown_price(i)) is not None]
        if not prices:
            return None
        if cheaper:
            least = min(prices)
            limits = [least - 1]
            first = self.shown_price(shown[0]) if shown and shown[0] in products else None
            if len(anchors) > 1 and first is not None:
                limits.append(first - 1)
            for limit in limits:
                if limit >= 0 and self.c.shelf.allowed(
                    [
                        *constraints,
                        Constraint(field="price", op="max", values=(limit,)),
                        Constraint(field="in_stock", values=(True,)),
                    ]
                ):
                    return limit
            return max(0, limits[0])
        most = max(prices)
        limits = [most + 1]
        first = self.shown_price(shown[0])
        if len(anchors) > 1 and first is not None:
            limits.append(first + 1)
        for limit in limits:
            if self.c.shelf.allowed(
                [
                    *constraints,
                    Constraint(field="price", op="min", values=(limit,)),
                    Constraint(field="in_stock", values=(True,)),
                ]
            ):
                return limit
        return limits[0]

    def shown_price(self, product_id: str) -> int | None:
        product = self.c.shelf.products.get(product_id)
        if product is None:
            return None
        variant = next((s.variant_id for s in self.state.shown if s.product_id == product_id), None)
        for v in product.variants:
            if v.variant_id == variant:
                return v.price_minor
        return price_of(product)

    def bundle_by_parts(self, text: str, reading: Reading) -> list[Any] | None:
        """Read "a grinder, beans and a mug for 80 in total" without the word bundle."""
        if re.search(r"\bor\b", text) and not re.search(r"\band\b", text):
            return None
        budget = next(
            (int(c.values[0]) for c in reading.constraints if c.field == "price" and c.op == "max"),
            None,
        )
        together = _TOGETHER.search(text) is not None
        if budget is None and not together:
            return None
        if re.search(r"\b(?:not|no|without|except)\b", text) and not together:
            return None
        parts = self.parts(text)
        names = {p.name for p in parts}
        if len(parts) < 2 or len(names) < 2:
            if (
                self.state.bundle
                and budget is not None
                and not reading.names_kind
                and self.state.last_kind == "bundle"
            ):
                return [Bundle.model_validate({**self.state.bundle, "budget_minor": budget})]
            return None
        return [Bundle(parts=tuple(parts), budget_minor=budget)]


def _spoken(text: str) -> str:
    """Put amounts and numbers of pieces as people say them into the form that is read.

    >>> _spoken("nothing above 2 dollars"), _spoken("1 dollar 50"), _spoken("4 bunches of them")
    ('at most 2 dollars', '1.50 dollar', '4 of them')
    """
    for pattern, written in _SPEECH:
        text = re.sub(pattern, written, text)
    return text


def _plain(text: str) -> str:
    """Leave out what only looks like pointing: "if you have it", "something to mow it with"."""
    text = _IF_ANY.sub("", text) or text
    return _TO_DO_IT.sub(r"\1", text)


_IF_ANY = re.compile(
    r"[\s,]*\bif (?:possible|available|you can|there (?:is|are) (?:any|one|some)|you(?:'ve| have)(?: got)? (?:it|them|one|any|some|those|that))\b(?=[\s,.!?]*$)"
)
_TO_DO_IT = re.compile(
    r"\b((?:something|anything|stuff|a thing|what) (?:i can use )?to (?:\w+ ){0,2}?\w+) (?:it|them|this|that)\b(?: with| off| in| on)?"
)
_MONEY = re.compile(
    r"[€$£¥]|\b(?:euros?|eur|dollars?|usd|bucks|pounds?|gbp|quid|cny|yuan|yen|jpy|price|budget|cents?)\b"
)
_COMPARATIVE = re.compile(
    r"^(?:and |so |but |ok(?:ay)?,? |then |what about |how about |which (?:is|has) )*(?:the )?(?:one |model |product )?(?:with |that (?:is|has|offers) |is |has )?(?:the |a )?(?:more|most|less|least|fewer|better|best|higher|highest|lower|lowest|\w{3,}er|\w{3,}est)\b"
)
_LEAD_IN = re.compile(
    r"^(?:(?:no|nope|sorry|oops|wait|actually|hmm?|oh|hang on|hold on|correction|my mistake|i mean|i meant"
    r"|i said|rather|scratch that|make (?:it|that|them)|change (?:it|that|them) to|better|just|only|instead"
    r"|not that|on second thought|let's make (?:it|that)|i want|i'd like|i need|please)(?![\w'])[\s,.!]*)+"
)
_PLACE_IT = re.compile(
    r"^(?:ok(?:ay)?,? |please |then |now |just |yes,? )*(?:place|submit|send|confirm|complete|finali[sz]e) (?:the|my|this|that) (?:order|purchase)(?: (?:now|then|please|for me))*$|^(?:please )?order (?:it|that|them)(?: please| now)?$"
)
_MY_PURCHASES = re.compile(
    r"\b(?:i(?:'ve| have)?|we(?:'ve| have)?) (?:already |just |previously |recently )?(?:bought|purchased|ordered|own)\b|\bmy (?:past|previous|earlier|last|recent) (?:purchases?|orders?)\b|\bmy (?:purchase|order|shopping) history\b"
)
_OPENER = re.compile(
    r"^(?:(?:hold on|hang on|wait|oops|sorry|hmm+|hm|well|ok(?:ay)?|so|umm?|uhh?|er|actually|oh|ah|hey|hi|hello|right|cool|great|thanks|thank you|alright|good (?:morning|afternoon|evening|day)|evening|morning|now|then)(?![\w'])[\s,.!:-]*)+(?=\S)"
)
_OF_THE_SHOWN = re.compile(
    r"^(?:and |but |so )*(?:(?:are|do|can|will|have|were) (?:they|these|those|all of them|any of them)|(?:is|does|can|will|has) (?:it|this|that)|(?:and )?what about (?:the|its|their))\b"
)
_SOMETHING_TO = re.compile(
    r"\b(?:something|anything|a thing|stuff) (?:(?:that )?(?:i|we|you|they) can |to |for )(?:\w+ ?){1,5}"
)
_BETWEEN = re.compile(
    r"\b(?:decide|choose|choosing|deciding|pick|torn|choice|toss[- ]?up) between\b|\b(?:can't|cannot|can not) (?:decide|choose)\b|\b(?:help me )(?:choose|decide)\b"
)
_ROOM = re.compile(r"\b(?:sleeps?|seats?|fits?|holds?|room for|roomi(?:er|est))\b")
_FEWER = re.compile(
    r"^(?:make it |take )?(one|a|\d{1,3}) (?:less|fewer)(?: of (?:them|those|it))?(?: please| then)?$"
)
_ANOTHER = re.compile(
    r"^(?:and|what about|how about|and what about|and how about|also|ok(?:ay)? and)\s+(?P<what>(?:the|that|this|number|#|it\b).{0,40})$"
)
_PRICE_FILLERS = (
    r"not|but|i|meant|mean|ok|okay|what|how|about|and|then|try|say|let's|maybe|instead|please|rather|for|to|go|up|it"
    r"|make|can|we|you|do|with|sorry|no|actually|perhaps|thanks|a|budget|limit|max|maximum|of|is|my|the|price|it's"
    r"|could|be|raise|lower|increase|change|set|under|below|at|most|around|fine|hm+|well|so|would|if|spend|pay|only|just|now|total|in|everything|all|together|altogether"
    r"|have|got|that|this|should|want|need|like|had"
)
_SURE, _SURE_WITH_KIND = 0.6, 0.75  # probability from which a guess goes before a search
_LOOSELY_WORDED = frozenset(
    {"basket_add", "basket_remove", "bundle", "compare", "details", "explain", "recommend"}
)
_ABOUT_THE_VISITOR = frozenset({"profile", "forget_me", "orders", "checkout", "undo", "restock"})
_ABOUT_THINGS = frozenset(
    {
        "basket_add", "basket_remove", "basket_quantity", "compare", "details", "similar", "reviews",
        "explain", "explain_absence", "wishlist_add", "wishlist_remove", "bundle", "usual", "swap",
        "checkout", "undo", "promotions",
    }
)  # fmt: skip
_WISHES = frozenset(
    {
        "checkout",
        "basket_add",
        "basket_remove",
        "basket_view",
        "basket_quantity",
        "undo",
        "forget_me",
        "orders",
        "wishlist_add",
        "compare",
        "recommend",
        "reviews",
        "details",
        "promotions",
        "profile",
    }
)
_ONLY_NUMBER = re.compile(
    r"^(?:just |only )?(\d{1,4}|one)(?: (?:of (?:them|those|it|these|that)|pieces?|please|instead|pairs?|in total|then))*$"
)
_ERASE = re.compile(
    r"^(?:please |ok,? |then |now )*(?:erase|delete|forget|remove|wipe|clear)(?: all(?: of)?)?(?: it| that| this| everything| all| them)?(?: please| then| now)?$"
)
_NARROWS = re.compile(
    r"^(?:and |but |ok(?:ay)?,? |then )*(?:only|just|in|from|by|with|it (?:has to|must|should) be|they (?:have to|must|should) be|must be|has to be)\b"
)
_PIECES = (
    r"(?:bags?|packs?|packets?|boxes|box|bunch(?:es)?|cans?|tins?|jars?|bottles?|cartons?|tubs?"
    r"|loaves|loaf|pieces?|units?)"
)
_SPEECH = (
    (
        r"[\s,]*\b(?:while you(?:'re| are) at it|while we(?:'re| are) at it|if you don't mind|for good measure)\b",
        "",
    ),
    (r"\bnothing (?:above|over|beyond|dearer than|more than)\b(?= ?[€$£¥]? ?\d)", "at most"),
    (r"\b(\d{1,3}) (dollars?|euros?|pounds?|bucks?|quid) (\d\d)\b(?! ?%)", r"\1.\3 \2"),
    (r"\b(?:a|1) pair of (?=the|those|these|them|that)", "2 of "),
    (rf"\b(\d{{1,3}}) {_PIECES} of (?=them|those|these|it\b|that\b|this\b)", r"\1 of "),
    (rf"\ban? {_PIECES} of (?=them|those|these|it\b|that\b|this\b)", "1 of "),
)
_OFFERS_TOLD = frozenset({"basket_offers", "promotions", "checkout_preview", "offers_remove"})
_STILL_ABOUT_THE_ORDER = frozenset(
    {
        "checkout_preview",
        "basket_view",
        "basket_set",
        "basket_remove",
        "swap",
        "details",
        "reviews_summary",
        "explain",
        "undo",
        "preference_set",
    }
)
_EXCHANGE = re.compile(
    r"^(?:please |can you |could you |i want to |actually |and )*(?:swap|replace|exchange|change|switch|trade)\b(?P<old>.+?)\b(?:for|to|with|into)\b(?P<new>.+)$"
)
_PRONOUN_ONLY = re.compile(r"\b(?:it|this one|that one|them)\b")


def rules_place(text: str) -> bool:
    """Whether a piece names a place in a list."""
    return (
        re.search(
            r"\b(?:first|second|third|fourth|fifth|last|1st|2nd|3rd|\d{1,2}th|number \d|#\d|cheapest|cheaper|most expensive|best[- ]rated)\b",
            text,
        )
        is not None
    )


def context_of(message: str, **fields: Any) -> Context:
    """Build a turn's context from a message; `fields` are those of `Context`."""
    return Context(raw=message, text=gloss(message), **fields)


__all__ = ["CommandParser", "Parse", "attribute_of", "context_of"]

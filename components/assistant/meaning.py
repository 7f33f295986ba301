"""What a word nobody wrote in the catalogue may mean: likeness of sentences, not of letters.

A pretrained encoder compares the visitor's words with the names of the shop's kinds of things, and
with short, quotable product texts. It only proposes: which kind is meant where no name of the
catalogue was said, and which products come nearest. Kinds are compared by their names alone, so
that no description can steer a command. Without an encoder every method says "nothing".
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.assistant.language import stems_of
from components.assistant.safety import quotable, safe_title
from components.contracts.records import Product

FloatArray = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Any]
MEANT = 0.6  # likeness from which a kind is taken as meant
PURPOSE = 0.45  # likeness from which a kind serves a purpose
SURE = 0.5  # likeness from which a product answers a description
NEAR = 0.36  # likeness from which a product is worth showing as the nearest
DESCRIBED = 0.55  # likeness from which words describe a quality
APART = 0.1  # by so much the quality meant must be likelier than any other
BESIDE = 0.05  # kinds this close to the best are meant as well
FAINT = 0.1  # likeness that still orders what is shown where nothing answers
_LISTS = 64  # lists of names whose vectors are kept side by side
LARGEST = 3000  # products whose texts are encoded here; beyond, the search engine ranks


class Meaning:
    """Vectors of kinds and products, made when first needed and kept by text."""

    def __init__(self, encode: Encode | None, known: Mapping[str, Any] | None = None) -> None:
        """Hold an encoder of texts to unit vectors; `known` are vectors by text."""
        self._encode = encode
        self._vectors: dict[str, FloatArray] = {
            text: np.asarray(vector, np.float32) for text, vector in (known or {}).items()
        }
        self._lock = threading.Lock()
        self._listed: dict[frozenset[str], tuple[list[str], FloatArray]] = {}

    def __bool__(self) -> bool:
        """Whether there is an encoder."""
        return self._encode is not None

    def learn(self, heads: Mapping[str, Any], names: Iterable[str]) -> None:
        """Take over vectors made beforehand, by a kind's words, for the names with these words."""
        by_words = {frozenset(text.split()): vector for text, vector in heads.items()}
        with self._lock:
            for name in names:
                vector = by_words.get(frozenset(stems_of(name)))
                if vector is not None:
                    self._vectors.setdefault(name, np.asarray(vector, np.float32))

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, D) unit vectors."""
        assert self._encode is not None
        with self._lock:
            fresh = [t for t in dict.fromkeys(texts) if t not in self._vectors]
            if fresh:
                for text, row in zip(fresh, np.asarray(self._encode(fresh)), strict=True):
                    self._vectors[text] = np.asarray(row, np.float32)
            return np.stack([self._vectors[t] for t in texts])

    def _table(self, names: Iterable[str]) -> tuple[list[str], FloatArray]:
        """Return names in order and their (n, D) vectors; a list asked for again is kept."""
        asked = frozenset(names)
        known = self._listed.get(asked)
        if known is None:
            listed = sorted(asked)
            known = listed, self.vectors(listed)
            if len(self._listed) >= _LISTS:
                self._listed.clear()
            self._listed[asked] = known
        return known

    def kinds(self, phrase: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names of kinds that a phrase most likely means, best first; none if unsure."""
        asked = frozenset(names)
        if self._encode is None or not asked or not phrase.strip():
            return ()
        listed, vectors = self._table(asked)
        likeness = vectors @ self.vectors([phrase[:200]])[0]
        order = np.argsort(-likeness, kind="stable")
        best = float(likeness[order[0]])
        if best < MEANT:
            return ()
        return tuple(listed[i] for i in order if likeness[i] >= max(MEANT, best - BESIDE))

    def purpose(self, phrase: str, names: Iterable[str]) -> str | None:
        """Return the one kind that something "to cook on" most likely is; None if unsure."""
        listed = sorted(set(names))
        if self._encode is None or len(listed) < 2 or not phrase.strip():
            return None
        likeness = self.vectors(listed) @ self.vectors([phrase[:200]])[0]
        first, second = np.argsort(-likeness, kind="stable")[:2]
        clear = likeness[first] >= PURPOSE and likeness[first] - likeness[second] >= APART
        return listed[first] if clear else None

    def nearest(
        self, phrase: str, products: Sequence[Product], *, least: float = NEAR
    ) -> dict[str, float]:
        """Return likeness in [0, 1] of a phrase to products, those worth showing only."""
        if self._encode is None or not phrase.strip() or not 0 < len(products) <= LARGEST:
            return {}
        likeness = self.vectors([text_of(p) for p in products]) @ self.vectors([phrase[:200]])[0]
        return {
            p.product_id: float(x)
            for p, x in zip(products, likeness, strict=True)
            if float(x) >= least
        }

    def qualities(self, phrase: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return the quality (name of a yes-or-no attribute) that a phrase describes, if any."""
        listed = sorted(set(names))
        if self._encode is None or not listed or not phrase.strip():
            return ()
        plain = [name.replace("_", " ") for name in listed]
        likeness = self.vectors(plain) @ self.vectors([phrase[:200]])[0]
        order = np.argsort(-likeness, kind="stable")
        best = float(likeness[order[0]])
        if best < DESCRIBED or (len(order) > 1 and best - likeness[order[1]] < APART):
            return ()
        return (listed[order[0]],)


def text_of(product: Product) -> str:
    """Return a product's words for comparing: title, kind and what of its text may be quoted."""
    said = " ".join(quotable(product.description, limit=2))
    kind = product.type or (product.category[-1] if product.category else "")
    return f"{safe_title(product.title)} ({kind}). {said}"[:400].strip()

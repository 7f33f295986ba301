"""What a new model has to be: one class that passes the conformance suite.

Arrays are numpy arrays, named `Any` here so that the contracts need no numerical library; the
docstrings give their shapes. Letters: B batch, T time, V products, D width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

Array = Any


@runtime_checkable
class Recommender(Protocol):
    """Scores every product for visitors given as sequences of dense product indices."""

    name: str

    def fit(self, sequences: Sequence[Array], n_products: int, **side: Any) -> Self:
        """Learn from `sequences`: per visitor an int array (T,) of indices, oldest first."""
        ...

    def score(self, sequences: Sequence[Array]) -> Array:
        """Return (B, V) float32 scores, higher is better; a row never depends on the other rows."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights as safetensors or npz, never pickle."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; scores must be equal."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Texts to unit vectors."""

    width: int

    def encode(self, texts: Sequence[str]) -> Array:
        """Return (B, D) float32 rows of length 1; the same text always gives the same row."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """A query to scored product ids, with hard constraints held."""

    def retrieve(self, query: str, *, k: int, allowed: Any = None) -> Sequence[tuple[str, float]]:
        """Return at most `k` (product_id, score), best first, ties by product_id."""
        ...


@runtime_checkable
class Parser(Protocol):
    """A message and the dialogue's state to typed commands."""

    def parse(self, message: str, state: Any) -> Sequence[Mapping[str, Any]]:
        """Return commands; empty means this producer cannot tell."""
        ...

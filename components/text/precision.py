"""Half precision for training, where the processor has units for it.

Products of matrices are taken in bfloat16 and everything between them in float32; weights, their
gradients and the optimiser stay in float32. Nothing served, measured or compared is computed so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from components.contracts.params import Precision


@cache
def resolved(precision: Precision) -> Precision:
    """Return `float32` or `bfloat16`; `auto` is bfloat16 where the processor multiplies in it.

    Without such units bfloat16 is several times slower than float32, so that `auto` avoids it.
    """
    if precision != "auto":
        return precision
    import torch

    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("amx_bf16") else "float32"


@contextmanager
def multiplying_in(precision: Precision) -> Iterator[None]:
    """Take matrix products in a precision; see `resolved`."""
    import torch

    half = resolved(precision) == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        yield

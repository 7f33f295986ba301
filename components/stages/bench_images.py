"""Category and similarity from pictures alone.

In: a folder with one folder of pictures per class. Out: accuracy and the share of same-class
pictures among the five nearest, each judged by models that never saw it (five folds by file name).
The kind of features and the strength of the classifier are chosen inside each fold's train part.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import SourceError
from components.evaluate.report import metric_row, write_report
from components.text.images import GradientEncoder

SEED = 7
BOOTSTRAP = 1000
FOLDS = 5
NEAREST = 5
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
KINDS: dict[str, tuple[str, ...]] = {
    "colours": ("colours",),
    "gradients": ("gradients",),
    "gradients, outline": ("gradients", "outline"),
    "gradients, outline, colours": ("gradients", "outline", "colours"),
}
STRENGTHS = (0.1, 0.5, 0.9)
COMPONENTS = 100


def pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """Return every picture and its class, sorted by path.

    Raises:
        SourceError: no such folder, or fewer than two classes with pictures.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder.")
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.casefold() in SUFFIXES)
    classes = [path.parent.name for path in paths]
    if len(set(classes)) < 2:
        raise SourceError(
            f"{folder}: needs one folder of pictures for each of two or more classes."
        )
    return paths, classes


def fold_of(path: Path) -> int:
    """Assign a picture to a fold by the hash of its name."""
    return hashlib.sha256(path.name.encode()).digest()[0] % FOLDS


class _Classifier:
    """Principal components, then linear discriminants with shrinkage."""

    def __init__(self, rows: NDArray[Any], labels: NDArray[np.int64], strength: float) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        self.centre = rows.mean(axis=0)
        gram = (rows - self.centre) @ (rows - self.centre).T
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
        kept = np.argsort(-values)[: min(COMPONENTS, len(rows) - 1)]
        scale = np.sqrt(np.maximum(values[kept], 1e-12))
        self.axes = (rows - self.centre).T @ (vectors[:, kept] / scale)  # (D, K)
        self.model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=strength)
        self.model.fit((rows - self.centre) @ self.axes, labels)

    def predict(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        return self.model.predict((rows - self.centre) @ self.axes)


def _cross_validated(
    rows: NDArray[Any], labels: NDArray[np.int64], folds: NDArray[np.int64], strength: float
) -> float:
    right = []
    for fold in np.unique(folds):
        model = _Classifier(rows[folds != fold], labels[folds != fold], strength)
        right.extend(model.predict(rows[folds == fold]) == labels[folds == fold])
    return float(np.mean(right))


def neighbours_of_same_class(
    rows: NDArray[Any], labels: NDArray[np.int64], k: int = NEAREST
) -> NDArray[np.float64]:
    """Return per picture the share of its `k` nearest others that are of its class."""
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (labels[nearest] == labels[:, None]).mean(axis=1)


def run(folder: Path, out: Path) -> None:
    """Judge pictures and write the report to `out`.

    Raises:
        SourceError: the folder cannot be used.
    """
    paths, classes = pictures(folder)
    names = sorted(set(classes))
    labels = np.array([names.index(name) for name in classes], np.int64)
    folds = np.array([fold_of(path) for path in paths])
    encoded = {kind: GradientEncoder(parts).encode(paths) for kind, parts in KINDS.items()}
    right: dict[str, NDArray[np.float64]] = {kind: np.zeros(len(paths)) for kind in KINDS}
    chosen_right = np.zeros(len(paths))
    guess = np.zeros(len(paths))
    chosen: list[str] = []
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        if not outside.any():
            continue
        common = np.bincount(labels[inside]).argmax()
        guess[outside] = labels[outside] == common
        scores: dict[tuple[str, float], float] = {}
        for kind, vectors in encoded.items():
            for strength in STRENGTHS:
                scores[(kind, strength)] = _cross_validated(
                    vectors[inside], labels[inside], folds[inside], strength
                )
            best = max(STRENGTHS, key=lambda s, kind=kind: (scores[(kind, s)], -s))
            model = _Classifier(vectors[inside], labels[inside], best)
            right[kind][outside] = model.predict(vectors[outside]) == labels[outside]
        kind, strength = max(scores, key=lambda key: (scores[key], key))
        chosen.append(f"{kind}, {strength:g}")
        model = _Classifier(encoded[kind][inside], labels[inside], strength)
        chosen_right[outside] = model.predict(encoded[kind][outside]) == labels[outside]

    def row(model: str, values: NDArray[np.float64], **labels_: Any) -> dict[str, Any]:
        metric = labels_.pop("metric")
        return metric_row({metric: values}, bootstrap=BOOTSTRAP, seed=SEED, model=model, **labels_)

    rows: list[dict[str, Any]] = [
        row("most common class", guess, metric="accuracy", slice="category", shipped=False)
    ]
    rows += [
        row(kind, values, metric="accuracy", slice="category", shipped=False)
        for kind, values in right.items()
    ]
    rows.append(
        row(
            "chosen inside each fold",
            chosen_right,
            metric="accuracy",
            slice="category",
            shipped=True,
        )
    )
    served = max(KINDS, key=lambda kind: (sum(c.rpartition(",")[0] == kind for c in chosen), kind))
    rows += _similarity_rows(encoded, labels, row, served)
    write_report(
        out,
        protocol="Images: category and similarity from pictures",
        dataset=folder.name,
        split=f"{FOLDS} folds by the hash of the file name",
        cut_off="none: pictures have no time",
        n=len(paths),
        seed=SEED,
        rows=rows,
        classes=names,
        chosen=chosen,
    )


def _similarity_rows(
    encoded: dict[str, Any], labels: NDArray[np.int64], row: Any, served: str
) -> Sequence[dict[str, Any]]:
    metric = f"same_class@{NEAREST}"
    chance = np.array([(labels == label).sum() - 1 for label in labels]) / (len(labels) - 1)
    made = [row("random", chance, metric=metric, slice="similarity", shipped=False)]
    for kind, rows in encoded.items():
        values = neighbours_of_same_class(rows, labels)
        made.append(row(kind, values, metric=metric, slice="similarity", shipped=kind == served))
    return made

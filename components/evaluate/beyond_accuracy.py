"""What a ranking does to the shop beyond hitting: coverage, novelty, diversity, popularity bias.

In go slates of dense product indices and facts of the products; nothing here is a measure of taste,
so every number is to be read beside NDCG and beside the same number for popularity.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def coverage(slates: ArrayLike, n_products: int) -> float:
    """Compute the share of the catalogue shown to at least one visitor, in [0, 1].

    >>> coverage([[0, 1], [1, 2]], 6)
    0.5
    """
    return len(np.unique(np.asarray(slates))) / n_products


def gini(slates: ArrayLike, n_products: int) -> float:
    """Compute the Gini index of exposure: 0 all products shown equally, near 1 a few take all.

    >>> gini([[0], [1], [2], [3]], 4)
    0.0
    """
    shown = np.sort(np.bincount(np.asarray(slates).ravel(), minlength=n_products)).astype(float)
    if not shown.sum():
        return 0.0
    place = np.arange(1, n_products + 1)
    return float(np.sum((2 * place - n_products - 1) * shown) / (n_products * shown.sum()))


def novelty(slates: ArrayLike, popularity: ArrayLike) -> NDArray[np.float64]:
    """Compute the mean surprise -log2 p(product) of each slate, in bits.

    Args:
        slates: (n, k) dense product indices.
        popularity: (V,) interaction counts; a product without any counts as one.

    Returns:
        (n,) bits; higher means less popular products.

    >>> novelty([[0, 1]], [1, 1]).tolist()
    [1.0]
    """
    counts = np.maximum(np.asarray(popularity, dtype=float), 1.0)
    return -np.log2(counts / counts.sum())[np.asarray(slates)].mean(axis=1)


def diversity(slates: ArrayLike, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute one minus the mean cosine between the products of each slate.

    Args:
        slates: (n, k) dense product indices, k at least 2.
        vectors: (V, D) rows of length 1.

    Returns:
        (n,) values, 0 for identical products; above 1 only for opposite vectors.

    >>> diversity([[0, 1]], np.eye(2, dtype=np.float32)).tolist()
    [1.0]
    """
    rows = np.asarray(slates)
    k = rows.shape[1]
    out = np.empty(len(rows))
    for start in range(0, len(rows), 512):
        block = vectors[rows[start : start + 512]]
        cosine = np.einsum("bid,bjd->bij", block, block).astype(float)
        off_diagonal = cosine.sum(axis=(1, 2)) - np.trace(cosine, axis1=1, axis2=2)
        out[start : start + 512] = 1.0 - off_diagonal / (k * (k - 1))
    return out


def category_diversity(slates: ArrayLike, category: ArrayLike) -> NDArray[np.float64]:
    """Compute distinct categories over places for each slate, in (0, 1].

    >>> category_diversity([[0, 1, 2, 3]], [5, 5, 6, 6]).tolist()
    [0.5]
    """
    labels = np.asarray(category)[np.asarray(slates)]
    return np.array([len(np.unique(row)) for row in labels]) / labels.shape[1]


def popularity_bias(
    slates: ArrayLike, bought: list[NDArray[np.int64]], popularity: ArrayLike
) -> float:
    """Compare the mean popularity of what is shown with that of what these visitors bought.

    Returns:
        The ratio minus one: 0 shows as popular products as they buy, 1 twice as popular. Visitors
        without purchases are left out; NaN if nobody has any.

    >>> popularity_bias([[0]], [np.array([1])], [20, 10])
    1.0
    """
    counts = np.asarray(popularity, dtype=float)
    shown = counts[np.asarray(slates)].mean(axis=1)
    pairs = [(s, counts[b].mean()) for s, b in zip(shown, bought, strict=True) if len(b)]
    if not pairs:
        return float("nan")
    array = np.array(pairs)
    return float(array[:, 0].mean() / array[:, 1].mean() - 1.0)


def tail_share(slates: ArrayLike, popularity: ArrayLike, head_share: float = 0.2) -> float:
    """Compute the share of shown places held by products outside the most popular `head_share`.

    >>> tail_share([[0, 1]], [5, 4, 3, 2, 1], head_share=0.2)
    0.5
    """
    counts = np.asarray(popularity, dtype=float)
    head = np.argsort(-counts, kind="stable")[: max(1, round(head_share * len(counts)))]
    return float(1.0 - np.isin(np.asarray(slates), head).mean())

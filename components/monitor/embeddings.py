"""Text vectors as clusters, so that a week's texts become a histogram like any other.

In: the index artefact's vectors and the catalogue's titles. Out: product_id, title, cluster. A
title that was not encoded when the index was built falls into no cluster, which is how the monitor
sees a text that the shipped encoder has never met.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

CLUSTERS = 32
ROUNDS = 12


def cluster_texts(
    artefacts: Path, *, clusters: int = CLUSTERS, seed: int = 7
) -> pl.DataFrame | None:
    """Cluster the shipped vectors; None where the index holds none.

    Args:
        artefacts: folder with `index/` and `catalogue/`.
        clusters: number of clusters.
        seed: of the first centres.
    """
    vectors, products = (
        artefacts / "index" / "vectors.npz",
        artefacts / "catalogue" / "products.parquet",
    )
    if not vectors.is_file() or not products.is_file():
        return None
    with np.load(vectors, allow_pickle=False) as held:
        ids = [str(name) for name in held["product_ids"]]
        rows = np.asarray(held["rows"], dtype=np.float32)
    if len(rows) < clusters:
        return None
    found = pl.DataFrame({"product_id": ids, "cluster": spherical_means(rows, clusters, seed)})
    titles = pl.read_parquet(products, columns=["product_id", "title"])
    return titles.join(found, on="product_id").sort("product_id")


def spherical_means(rows: NDArray[np.float32], clusters: int, seed: int) -> NDArray[np.int64]:
    """Return each unit row's cluster by k-means on the sphere; an empty one keeps its centre."""
    centres = rows[np.random.default_rng(seed).choice(len(rows), clusters, replace=False)]
    nearest = np.zeros(len(rows), dtype=np.int64)
    for _ in range(ROUNDS):
        nearest = np.argmax(rows @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, rows)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centres)
    return nearest

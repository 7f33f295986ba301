"""Slates for every visitor of a release, in one batch.

In: a release and the accepted tables. Out: `var/scores/<release_id>.parquet` with visitor_id, rank,
product_id and score. Deterministic: as of the end of the release's own data.
"""

from typing import Any

import polars as pl

from components.contracts.artefacts import Layout
from components.data.parquet import read_table, write_frame
from components.registry.store import Release
from components.stages.gate import Engines


def score_visitors(layout: Layout, release: Release, *, limit: int = 20) -> dict[str, Any]:
    """Score every visitor; return the release, the file and the counts.

    Args:
        layout: where the tables lie and the file goes.
        release: whose engines answer.
        limit: products per visitor.
    """
    engines = Engines.load(release.folder)
    visitors = read_table("visitors", layout.tables)["visitor_id"].sort().to_list()
    columns: dict[str, list[Any]] = {"visitor_id": [], "rank": [], "product_id": [], "score": []}
    for visitor in visitors:
        slate = engines.recommend.recommend(visitor, (), now=engines.now, limit=limit).products
        for hit in slate:
            columns["visitor_id"].append(visitor)
            columns["rank"].append(hit.rank)
            columns["product_id"].append(hit.product_id)
            columns["score"].append(hit.score)
    path = layout.var / "scores" / f"{release.release_id}.parquet"
    write_frame(pl.DataFrame(columns), path)
    return {
        "release": release.release_id,
        "path": path.relative_to(layout.root).as_posix(),
        "visitors": len(visitors),
        "rows": len(columns["visitor_id"]),
    }

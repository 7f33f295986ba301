"""Stage `index`: what the search engine of a release needs, in one folder.

In: `artefacts/catalogue`, product vectors of `artefacts/finetune` where that stage has run, and the
accepted tables. Out: `artefacts/index`: vectors, popularity, k-anonymous queries, synonyms and a
ranker where there are judgements or clicks to learn from. The lexical index itself is rebuilt when
an engine opens (it costs less than a second per 20,000 products, and its files differ from run to
run), so equal inputs give equal bytes.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from components.contracts.artefacts import (
    MANIFEST_NAME,
    Layout,
    sha256_of,
    write_json,
    writing_artefact,
)
from components.contracts.params import Params
from components.data.catalogue import Catalogue
from components.data.parquet import read_frame, read_table
from components.search.engine import ARTEFACT, SearchEngine
from components.search.suggest import QueryLog
from components.search.train import (
    Lesson,
    fit_ranker,
    lessons_from_clicks,
    lessons_from_judgements,
)

log = logging.getLogger(__name__)
_BOUGHT = ("purchase", "basket_add", "click")


def popularity_of(events: pl.DataFrame) -> dict[str, float]:
    """Return log(1 + purchases) by product; of the next weaker event where nothing was bought.

    >>> popularity_of(pl.DataFrame({"product_id": ["a", "a"], "kind": ["purchase", "click"]}))
    {'a': 0.693147}
    """
    for kind in _BOUGHT:
        found = events.filter(pl.col("kind") == kind)
        if len(found):
            counted = found.group_by("product_id").len().sort("product_id")
            values = np.log1p(counted["len"].to_numpy())
            return {
                i: round(float(v), 6) for i, v in zip(counted["product_id"], values, strict=True)
            }
    return {}


def recent_of(events: pl.DataFrame, *, days: int = 28) -> pl.DataFrame:
    """Return the events of the last days before the data end, that is, the newest event."""
    return events.filter(pl.col("at") > pl.col("at").max() - pl.duration(days=days))


def query_log(queries: pl.DataFrame, *, k: int) -> QueryLog:
    """Count the queries of the log that at least `k` visitors typed, day by day as sessions."""
    known = queries.filter(pl.col("visitor_id").is_not_null() & pl.col("at").is_not_null())
    days = known.sort("at", "query_id").group_by(
        "visitor_id", pl.col("at").dt.date(), maintain_order=True
    )
    return QueryLog.from_sessions(
        ((str(visitor), part["text"].to_list()) for (visitor, _), part in days), k=k
    )


def run(params: Params, layout: Layout) -> None:
    """Write `artefacts/index`."""
    p = params.index
    catalogue = Catalogue.load(layout.artefacts)
    encoder_manifest = layout.artefact("finetune") / MANIFEST_NAME
    inputs = {"catalogue": sha256_of(layout.artefact("catalogue") / MANIFEST_NAME)}
    vectors: dict[str, Any] = {}
    encoder = None
    if encoder_manifest.is_file():
        from components.text.vectors import load_encoder, product_vectors

        inputs["finetune"] = sha256_of(encoder_manifest)
        encoder = load_encoder(layout.artefacts)
        vectors = dict(zip(*product_vectors(layout.artefacts), strict=True))
    events = read_table("events", layout.tables).select("product_id", "kind", "at")
    popularity, recent = popularity_of(events), popularity_of(recent_of(events))
    queries = read_table("queries", layout.tables)
    past = query_log(queries, k=p.min_visitors)
    settings = {
        "has_vectors": encoder is not None,
        "vectors": p.vectors,
        "weights": {
            "title": p.title_weight,
            "brand": p.brand_weight,
            "kind": p.category_weight,
            "description": p.description_weight,
        },
        "synonyms": read_synonyms(layout.root / "data" / "synonyms.json"),
    }
    metrics: dict[str, float] = {
        "products": float(len(catalogue)),
        "queries": float(len(past.visitors)),
    }
    lessons = _lessons(layout, queries)
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="index",
        stage="index",
        seed=params.finetune.seed,
        params=p.model_dump(mode="json"),
        inputs=inputs,
        packages=("tantivy", "faiss-cpu", "lightgbm"),
        metrics=metrics,
    ) as folder:
        write_json(folder / "settings.json", settings)
        write_json(folder / "popularity.json", popularity)
        write_json(folder / "recent.json", recent)
        write_json(
            folder / "queries.json",
            {
                "visitors": dict(past.visitors),
                "together": {q: list(t) for q, t in past.together.items()},
            },
        )
        engine = None
        if encoder is not None or lessons:
            engine = SearchEngine(
                catalogue, encoder=encoder, vectors=vectors, popularity=popularity, log=past
            )
        if engine is not None and encoder is not None:
            ids = [i for i in catalogue.ids if i in vectors]
            heads = engine.head_vectors
            np.savez(
                folder / "vectors.npz",
                product_ids=np.asarray(ids, dtype=np.str_),
                rows=np.stack([vectors[i] for i in ids]).astype(np.float32),
                heads=np.asarray(list(heads), dtype=np.str_),
                head_rows=np.stack(list(heads.values())).astype(np.float32),
            )
        ranker = fit_ranker(engine, lessons) if engine is not None and lessons else None
        if ranker is not None:
            ranker.save(folder)
            metrics["lessons"] = float(len(lessons))
    log.info("index: %d products, vectors %s", len(catalogue), encoder is not None)


def _lessons(layout: Layout, queries: pl.DataFrame) -> list[Lesson]:
    """Return what there is to learn from: judgements before clicks."""
    judgements = read_table("judgements", layout.tables)
    if len(judgements):
        return lessons_from_judgements(queries, judgements)
    clicks = layout.root / "data" / "clickthroughs" / "clickthroughs.parquet"
    if not clicks.is_file():
        return []
    return lessons_from_clicks(read_frame(clicks), queries)


def read_synonyms(path: Path) -> dict[str, list[str]]:
    """Read the synonyms a person approved, `{"term": ["other phrase", ...]}`, if there are any."""
    if not path.is_file():
        return {}
    held = json.loads(path.read_text(encoding="utf-8"))
    return {str(term): [str(t) for t in targets] for term, targets in sorted(held.items())}

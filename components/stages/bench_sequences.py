"""`shelfwise bench sequences`: protocol P2 on any file of ordered interactions.

In: `user_id, item_id, position`, and optionally an item table with any text columns. Out: a report
with every generator, the weighted blend and the stacked ranker, with products already seen removed
and kept, for two seeds; and slates from which every figure can be recomputed. Each visitor's last
product is the test, the one before chooses (early stopping, weights, which of the two joins is
shipped); models learn from the rest. Leave-one-out leaks later visitors' choices into earlier
histories; it is used only to compare with the literature.
"""

import json
import logging
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import scipy.sparse as sp
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import ParamsError, SourceError
from components.contracts.params import Positive, Section, Share
from components.data.parquet import write_frame
from components.evaluate.report import metric_row, write_report
from components.recommend.blend import (
    Pool,
    Score,
    StackConfig,
    StackedRanker,
    WeightedBlend,
    make_pool,
    ranked,
    target_ndcg,
)
from components.recommend.graph import GraphPropagation
from components.recommend.item_knn import ItemKNN, ItemKNNConfig
from components.recommend.item_text import cached_vectors, nearest, product_texts, word_matrix
from components.recommend.text_neighbours import TextCoVisits, TextLikeness

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
log = logging.getLogger(__name__)
DEPTH = 20
LEAST_VISITORS = 50  # below, trees over scores would learn the visitors by heart
SETTINGS_NAME = "benchmarks/sequences.yaml"
VIEWS = ("removed", "kept")


class KnnSettings(Section):
    """`ItemKNNConfig`, fixed beforehand."""

    window: Positive = 20
    gap_power: float = 0.5
    backward: float = 0.4
    source_power: float = 0.7
    target_power: float = 0.15
    shrink: float = 10.0
    recency_power: float = 1.2
    history: Positive = 50


class TransformerSettings(Section):
    """`SASRecConfig` and `TrainOptions`; small files get more epochs, up to `min_steps` steps."""

    width: Positive = 128
    layers: Positive = 2
    heads: Positive = 4
    dropout: Share = 0.3
    id_dropout: Share = 0.1
    text_width: Positive = 64
    frequency: bool = True
    epochs: Positive = 6
    min_steps: Positive = 2400
    max_epochs: Positive = 40
    patience: Positive = 3
    seconds: Annotated[float, Field(gt=0)] = 360.0
    batch_size: Positive = 64
    max_events: Positive = 50
    learning_rate: float = 2e-3
    refit_epochs: Positive = 1
    refit_learning_rate: float = 5e-4


class StackSettings(Section):
    """`StackConfig`."""

    trees: Positive = 160
    leaves: Positive = 15
    learning_rate: float = 0.04


class SequencesSettings(Section):
    """All that the benchmark may choose beforehand.

    Attributes:
        seeds: one full fit each; the first is the shipped one.
        processes: fits at a time, one thread each.
        per_generator: candidates each generator brings.
        fit_visitors, judge_visitors: validation visitors (random, disjoint) that the joins are
            fitted on, and that stop the training and choose the shipped join.
        text_neighbours: products alike in text that share co-visits.
    """

    seeds: tuple[int, ...] = (7, 8)
    processes: Positive = 2
    per_generator: Positive = 40
    fit_visitors: Positive = 9000
    judge_visitors: Positive = 3000
    max_tokens_of_text: Positive = 64
    text_neighbours: Positive = 10
    knn: KnnSettings = KnnSettings()
    graph_rank: Positive = 192
    graph_layers: Positive = 3
    transformer: TransformerSettings = TransformerSettings()
    stack: StackSettings = StackSettings()
    bootstrap: Positive = 1000


@dataclass(frozen=True)
class Text:
    """What the products say: word rows, encoder rows, and neighbours in both."""

    words: sp.csr_matrix
    vectors: FloatArray | None
    spread: sp.csr_matrix


@dataclass(frozen=True)
class SequenceFile:
    """Interactions by visitor, dense indices, and the outside ids."""

    sequences: list[IntArray]
    user_ids: pl.Series
    item_ids: pl.Series
    items: pl.DataFrame | None

    @property
    def n_products(self) -> int:
        """V: every product of either file."""
        return len(self.item_ids)


def read_settings(path: Path) -> SequencesSettings:
    """Read `benchmarks/sequences.yaml`; the defaults stand where it is absent.

    Raises:
        ParamsError: an unknown key or a value out of range.
    """
    if not path.is_file():
        return SequencesSettings()
    try:
        return SequencesSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ParamsError(f"{path}: {error}") from error


def read_sequences(interactions: Path, items: Path | None) -> SequenceFile:
    """Read the two files.

    Raises:
        SourceError: a file or column is missing, or nothing can be learnt from it.
    """
    frame = _read(interactions, ("user_id", "item_id", "position"))
    frame = frame.drop_nulls(["user_id", "item_id", "position"])
    if frame.is_empty():
        raise SourceError(f"{interactions}: no interactions.")
    frame = frame.with_columns(pl.col("item_id")).sort("user_id", "position", maintain_order=True)
    known = frame.select("item_id").unique()
    table = None
    if items is not None:
        table = _read(items, ("item_id",)).unique("item_id", keep="first", maintain_order=True)
        try:
            known = pl.concat([known, table.select(pl.col("item_id").cast(known.dtypes[0]))])
        except pl.exceptions.PolarsError as error:
            raise SourceError(
                f"{items}: item_id is of another type than in {interactions}."
            ) from error
    ids = known.unique().sort("item_id").with_row_index("item")
    frame = frame.join(ids, on="item_id", how="left", maintain_order="left")
    if table is not None:
        table = ids.select("item_id").join(
            table.with_columns(pl.col("item_id").cast(ids["item_id"].dtype)),
            on="item_id", how="left", maintain_order="left",
        )  # fmt: skip
    user = frame["user_id"].to_numpy()
    cuts = np.flatnonzero(user[1:] != user[:-1]) + 1
    sequences = np.split(frame["item"].to_numpy().astype(np.int64), cuts)
    first = np.r_[0, cuts]
    return SequenceFile(sequences, frame["user_id"][first], ids["item_id"], table)


def _read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as Parquet ({error}).") from error
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise SourceError(f"{path}: missing columns {absent}; it has {frame.columns}.")
    return frame


def describe_products(file: SequenceFile, settings: SequencesSettings, cache: Path) -> Text | None:
    """Return words, encoder rows and text neighbours, or None where there is nothing to read."""
    if file.items is None:
        return None
    words = word_matrix(file.items)
    texts = product_texts(file.items)
    vectors = None
    if any(texts):
        vectors = _encode(texts, settings.max_tokens_of_text, cache)
    if not words.shape[1] and vectors is None:
        return None
    if vectors is not None:
        vectors = vectors - vectors.mean(axis=0)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    near = nearest(words, vectors, settings.text_neighbours)
    near.data = near.data**2
    total = np.asarray(near.sum(axis=1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    share = sp.diags(scale.astype(np.float32)) @ near
    spread = sp.csr_matrix((share + sp.identity(file.n_products)) * 0.5, dtype=np.float32)
    return Text(words, vectors, spread)


def _encode(texts: Sequence[str], max_tokens: int, cache: Path) -> FloatArray | None:
    from components.text.packaged import packaged_folder

    folder = packaged_folder()
    if folder is None:
        log.warning("the packaged encoder is not installed; words alone describe the products")
        return None
    import torch

    from components.text.encoder import TextEncoder

    torch.set_num_threads(1)

    class Lazy:
        """The encoder, loaded only if the vectors are not cached."""

        width = 384
        digest = f"packaged {max_tokens}"

        def encode(self, texts: Sequence[str]) -> FloatArray:
            return TextEncoder.from_folder(folder, max_tokens=max_tokens).encode(texts)

    return cached_vectors(texts, Lazy(), cache)


def sequence_generators(
    sequences: Sequence[Any], n_products: int, text: Text | None, settings: SequencesSettings
) -> dict[str, Score]:
    """Fit every generator but the Transformer; returns name to score function."""
    knn = ItemKNN(ItemKNNConfig(**settings.knn.model_dump())).fit(sequences, n_products)
    last = ItemKNN(replace(knn.config, history=1))
    last.similarity = knn.similarity
    graph = GraphPropagation(rank=settings.graph_rank, layers=settings.graph_layers)
    graph.fit(sequences, n_products)
    out: dict[str, Score] = {
        "item_knn": knn.score,
        "item_knn_last": last.score,
        "graph": graph.score,
    }
    if text is not None:
        lent = TextCoVisits(knn.config).fit(sequences, n_products, knn=knn, spread=text.spread)
        out["text_knn"] = lent.score
        for name, rows in (("words", text.words), ("encoder", text.vectors)):
            if rows is None or not rows.shape[1]:
                continue
            for last in (False, True):
                kind = f"{name}_last" if last else name
                model = TextLikeness(kind, last=last).fit(sequences, n_products, rows=rows)
                out[kind] = model.score
    return out


@dataclass
class SeedResult:
    """What one seed's fit gives: ranked heads per row of the report, and what it cost."""

    heads: dict[tuple[str, str, bool], IntArray]
    shipped: dict[str, str]
    weights: dict[str, dict[str, float]]
    judged: dict[str, dict[str, float]]
    curve: list[float]
    fit_seconds: float
    rank_seconds: float
    refit_seconds: float
    cpu_seconds: float
    peak_mib: float


def fit_seed(
    file: SequenceFile, text: Text | None, settings: SequencesSettings, seed: int, held_out: int
) -> SeedResult:
    """Fit on all but the held-out products, choose on validation, rank for the test.

    Args:
        file: the interactions.
        text: product texts, or None.
        settings: fixed beforehand.
        seed: of the Transformer, the trees and the validation sample.
        held_out: products taken from each end: 2 (test and validation), or 1 where the file has
            no test products and slates alone are wanted.
    """
    import torch

    from components.recommend.sequences import leave_out
    from components.recommend.train_sasrec import SASRecRecommender, next_step_ndcg
    from components.recommend.training import TrainOptions

    torch.set_num_threads(1)
    begun, cpu = time.monotonic(), time.process_time()
    t = settings.transformer
    v = file.n_products
    learn = leave_out(file.sequences, held_out)
    history = leave_out(file.sequences, held_out - 1)
    chooses = [row for row, part in enumerate(learn) if len(part)]
    order = np.random.default_rng(seed).permutation(np.array(chooses, np.int64))
    n_judge = min(settings.judge_visitors, max(len(order) // 4, 1))
    judge = np.sort(order[:n_judge])
    fit = np.sort(order[n_judge : n_judge + settings.fit_visitors])
    target = np.array([part[-1] if len(part) else -1 for part in history], np.int64)

    def parts(rows: IntArray) -> tuple[list[IntArray], IntArray]:
        return [learn[row] for row in rows], target[rows]

    judge_histories, judge_target = parts(judge)
    n_steps = max(sum(len(part) > 1 for part in learn) // t.batch_size, 1)
    epochs = int(min(max(t.epochs, -(-t.min_steps // n_steps)), max(t.max_epochs, t.epochs)))
    transformer = SASRecRecommender(
        width=t.width, layers=t.layers, heads=t.heads, dropout=t.dropout,
        id_dropout=t.id_dropout, text_width=t.text_width, frequency=t.frequency,
        options=TrainOptions(
            seed=seed, epochs=epochs, patience=t.patience, seconds=t.seconds,
            batch_size=t.batch_size, max_events=t.max_events, learning_rate=t.learning_rate,
            max_tokens=max(64, min(2048, 30_000_000 // v)),
        ),
    )  # fmt: skip
    vectors = text.vectors if text is not None else None

    def validate(current: Any) -> float:
        wanted = list(judge_target[:, None])
        return float(np.mean(next_step_ndcg(current, judge_histories, wanted, remove_seen=True)))

    transformer.fit(learn, v, text=vectors, validate=validate)
    curve = [row["valid"] for row in transformer.progress.curve]
    generators = {"sasrec": transformer.score, **sequence_generators(learn, v, text, settings)}
    joins: dict[str, dict[str, Any]] = {view: {} for view in VIEWS}
    shipped, weights, judged = {}, {}, {}
    fit_histories, fit_target = parts(fit)
    fit_pool = make_pool(
        generators, fit_histories, per_generator=settings.per_generator, target=fit_target
    )
    judge_pool = make_pool(generators, judge_histories, per_generator=settings.per_generator)
    for view in VIEWS:
        mine, theirs = in_view(fit_pool, view), in_view(judge_pool, view)
        blend = WeightedBlend().fit(mine, fit_target)
        joins[view] = {"blend": blend}
        if len(np.unique(fit_pool.visitor)) >= LEAST_VISITORS:
            stack = StackedRanker(StackConfig(**settings.stack.model_dump()), seed=seed)
            joins[view]["stack"] = stack.fit(mine, fit_target)
        weights[view] = blend.weights
        judged[view] = {
            name: float(target_ndcg(theirs, join.score(theirs), judge_target).mean())
            for name, join in joins[view].items()
        }
        shipped[view] = max(sorted(judged[view]), key=lambda name: judged[view][name])
    del fit_pool, judge_pool
    fit_seconds = time.monotonic() - begun
    heads = _heads(generators, joins, history, v, settings, refit=False)
    rank_seconds = time.monotonic() - begun - fit_seconds
    transformer.go_on(history, epochs=t.refit_epochs, learning_rate=t.refit_learning_rate)
    generators = {"sasrec": transformer.score, **sequence_generators(history, v, text, settings)}
    heads |= _heads(generators, joins, history, v, settings, refit=True)
    return SeedResult(
        heads, shipped, weights, judged, curve, fit_seconds, rank_seconds,
        time.monotonic() - begun - fit_seconds - rank_seconds, time.process_time() - cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )  # fmt: skip


def in_view(pool: Pool, view: str) -> Pool:
    """Return the pool as the view sees it: without the visitor's own products, or with them."""
    return pool.take(np.flatnonzero(~pool.seen)) if view == "removed" else pool


def _heads(
    generators: dict[str, Score], joins: dict[str, dict[str, Any]], histories: Sequence[Any],
    v: int, settings: SequencesSettings, *, refit: bool,
) -> dict[tuple[str, str, bool], IntArray]:  # fmt: skip
    """Rank for every visitor by every generator and join, both views, 20 deep."""
    counts = np.bincount(np.concatenate(histories) if histories else [], minlength=v)
    by_count = np.lexsort((np.arange(v), -counts))
    alone = [name for name in generators if not refit or name in ("sasrec", "item_knn")]
    out = {
        (name, view, refit): np.full((len(histories), DEPTH), -1, np.int64)
        for name in (*alone, *joins["removed"]) for view in VIEWS
    }  # fmt: skip
    rows = np.array([row for row, history in enumerate(histories) if len(history)], np.int64)
    for start in range(0, len(rows), 2048):
        part = rows[start : start + 2048]
        pool = make_pool(
            generators, [histories[row] for row in part], per_generator=settings.per_generator
        )
        for view in VIEWS:
            seen = in_view(pool, view)
            for name in alone:
                out[name, view, refit][part] = ranked(seen, seen.column(f"z.{name}"), DEPTH)
            for name, join in joins[view].items():
                out[name, view, refit][part] = ranked(seen, join.score(seen), DEPTH)
    for (_, view, _), heads in out.items():
        _fill(heads, histories, by_count, remove_seen=view == "removed")
    return out


def popular_heads(
    histories: Sequence[Any], v: int, learn: Sequence[Any]
) -> dict[tuple[str, str, bool], IntArray]:
    """Rank by how often each product was taken, ties by index."""
    counts = np.bincount(np.concatenate(learn) if len(learn) else [], minlength=v)
    by_count = np.lexsort((np.arange(v), -counts))
    out = {}
    for view in VIEWS:
        heads = np.full((len(histories), DEPTH), -1, np.int64)
        _fill(heads, histories, by_count, remove_seen=view == "removed")
        out["popularity", view, False] = heads
    return out


def _fill(
    heads: IntArray, histories: Sequence[Any], by_count: IntArray, *, remove_seen: bool
) -> None:
    """Complete short rankings with the most popular products not yet in them."""
    for row in np.flatnonzero((heads < 0).any(axis=1)).tolist():
        held = heads[row][heads[row] >= 0]
        barred = set(held.tolist())
        if remove_seen:
            barred |= set(np.asarray(histories[row]).tolist())
        more = [i for i in by_count[: DEPTH + len(barred)].tolist() if i not in barred]
        filled = np.concatenate([held, np.array(more, np.int64)])[:DEPTH]
        heads[row, : len(filled)] = filled


def run(
    interactions: Path,
    items: Path | None,
    out: Path,
    *,
    slates: Path | None = None,
    predict_only: bool = False,
    settings: SequencesSettings | None = None,
) -> None:
    """Run protocol P2 on a file.

    Args:
        interactions: Parquet with user_id, item_id, position.
        items: Parquet with item_id and any text columns; identifiers alone are used without.
        out: the report, with `fit_seconds` and the like unless it lies in the checkout's
            `reports/`; with `predict_only` only what the fit cost and chose.
        slates: Parquet `user_id, view, rank, item_id` of the shipped ranking, 20 deep; the views
            `removed` and `kept`, and with `_refit` those of the models refitted on validation too.
        predict_only: the file has no test products: its last ones choose, and slates are written.
        settings: what is fixed beforehand; `benchmarks/sequences.yaml` if not given.

    Raises:
        SourceError: a file that cannot be used, or `predict_only` without a place for slates.
    """
    layout = Layout(os.environ.get("SHELFWISE_ROOT", "."))
    settings = settings or read_settings(layout.root / SETTINGS_NAME)
    if predict_only and slates is None:
        raise SourceError("--predict-only writes slates alone; say where with --slates.")
    begun = time.monotonic()
    file = read_sequences(Path(interactions), Path(items) if items else None)
    held_out = 1 if predict_only else 2
    long_enough = sum(len(sequence) > held_out for sequence in file.sequences)
    if long_enough < 20:
        raise SourceError(
            f"{interactions}: {long_enough} visitors have more than {held_out} interactions; "
            f"leave-one-out needs at least 20 of them."
        )
    text = describe_products(file, settings, layout.var / "cache" / "texts")
    text_seconds = time.monotonic() - begun
    seeds = settings.seeds[:1] if predict_only else settings.seeds
    if len(seeds) > 1 and settings.processes > 1:
        with ProcessPoolExecutor(settings.processes, mp_context=get_context("spawn")) as workers:
            jobs = [workers.submit(fit_seed, file, text, settings, s, held_out) for s in seeds]
            results = [job.result() for job in jobs]
    else:
        results = [fit_seed(file, text, settings, seed, held_out) for seed in seeds]
    if slates is not None:
        _write_slates(Path(slates), file, results[0])
    cost = {
        "fit_seconds": [round(text_seconds + result.fit_seconds, 1) for result in results],
        "rank_seconds": [round(result.rank_seconds, 1) for result in results],
        "refit_seconds": [round(result.refit_seconds, 1) for result in results],
        "cpu_seconds": [round(result.cpu_seconds, 1) for result in results],
        "peak_mib": [round(result.peak_mib) for result in results],
    }
    cold = {
        "seeds": list(seeds), "products": file.n_products, "visitors": len(file.sequences),
        "interactions": int(sum(len(sequence) for sequence in file.sequences)),
        "text": "none" if text is None else "words" if text.vectors is None else "words, encoder",
        "shipped_model": results[0].shipped, "blend_weights": results[0].weights,
        "valid_ndcg@10": [result.judged for result in results],
        "transformer_valid_ndcg@10": [result.curve for result in results],
    }  # fmt: skip
    committed = layout.reports in Path(out).resolve().parents
    rows = [] if predict_only else report_rows(file, results, seeds, settings)
    write_report(
        Path(out), protocol="P2 sequential, leave-one-out", dataset=Path(interactions).parent.name,
        split="last product test, last but one validation, the rest train; full ranking",
        cut_off="none: leave-one-out", n=0 if predict_only else len(file.sequences),
        seed=next(iter(seeds)), rows=rows,
        # How many are fitted at a time changes no figure.
        settings=settings.model_dump(exclude={"processes"}), **cold,
        **({} if committed else cost),
    )  # fmt: skip
    if committed:
        _keep_timings(layout, time.monotonic() - begun, cost)


def _keep_timings(layout: Layout, seconds: float, cost: dict[str, list[Any]]) -> None:
    """Committed reports hold no timings: what differs from run to run goes to `var`.

    The entry has what every stage's has, the whole run's seconds and highest memory, and the parts.
    """
    path = layout.var / "timings.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    whole = {"seconds": round(seconds, 1), "peak_mib": max(cost["peak_mib"])}
    write_json(path, {**held, "bench_sequences": {**cost, **whole}})


def report_rows(
    file: SequenceFile, results: Sequence[SeedResult], seeds: Sequence[int],
    settings: SequencesSettings,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return one row per model, view, seed and refit; the first seed's chosen join is shipped."""
    from components.recommend.sequences import leave_out

    target = np.array([sequence[-1] for sequence in file.sequences], np.int64)
    history, learn = leave_out(file.sequences, 1), leave_out(file.sequences, 2)
    judged = np.array([len(part) > 0 for part in history])
    rows = []

    def add(key: tuple[str, str, bool], heads: IntArray, shipped: bool, seed: int | None) -> None:
        hits = heads[judged, :10] == target[judged, None]
        gain = hits / np.log2(np.arange(2, 12))
        labels = {"model": key[0], "shipped": shipped, "slice": "all", "seen": key[1]}
        labels |= {"refit": key[2]} | ({} if seed is None else {"fit_seed": seed})
        values = {"ndcg@10": gain.sum(axis=1), "recall@10": hits.any(axis=1).astype(float)}
        rows.append(metric_row(values, bootstrap=settings.bootstrap, seed=seeds[0], **labels))

    for key, heads in popular_heads(history, file.n_products, learn).items():
        add(key, heads, False, None)
    for number, (seed, result) in enumerate(zip(seeds, results, strict=True)):
        for key, heads in result.heads.items():
            fixed = key[0] not in ("sasrec", "blend", "stack")
            if fixed and number:
                continue
            chosen = results[0].shipped[key[1]]
            shipped = number == 0 and not key[2] and key[0] == chosen
            add(key, heads, shipped, None if fixed else seed)
    return rows


def _write_slates(path: Path, file: SequenceFile, result: SeedResult) -> None:
    frames = []
    for refit in (False, True):
        for view in VIEWS:
            heads = result.heads[result.shipped[view], view, refit]
            row, rank = np.nonzero(heads >= 0)
            frames.append(
                pl.DataFrame(
                    {
                        "user_id": file.user_ids[row],
                        "view": [view + ("_refit" if refit else "")] * len(row),
                        "rank": (rank + 1).astype(np.int64),
                        "item_id": file.item_ids[heads[row, rank]],
                    }
                )
            )
    write_frame(pl.concat(frames), path)

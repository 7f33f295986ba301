"""Stage `train_sasrec`: the sequential Transformer as a recommender, and its place in the pipeline.

In: events before the test cut-off (train to learn from, valid to stop by) and, if there, the text
vectors of the catalogue. Out: `artefacts/train_sasrec` with the weights, the product ids they
stand for, and a manifest. Serving reads it with `load_sequence_model`, which needs no torch.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, sha256_of, write_json, writing_artefact
from components.contracts.errors import ParamsError
from components.contracts.params import Params
from components.data.parquet import read_table
from components.data.split import read_cut_offs
from components.evaluate.metrics import ndcg_at_k
from components.recommend.item_knn import co_occurrence
from components.recommend.sasrec import SASRec, SASRecConfig
from components.recommend.sequence_model import (
    EVENT_KINDS,
    PRODUCTS_NAME,
    EventSequences,
    event_sequences,
)
from components.recommend.sequence_scorer import SequenceScorer
from components.recommend.training import (
    Progress,
    TrainingData,
    TrainOptions,
    process_group,
    train,
)
from components.text.encoder import torch_threads

FloatArray = NDArray[np.float32]
log = logging.getLogger(__name__)


class SASRecRecommender:
    """The sequential Transformer behind the protocol every recommender follows."""

    name = "sasrec"

    def __init__(
        self,
        *,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.3,
        id_dropout: float = 0.1,
        text_dropout: float = 0.0,
        mask: float = 0.0,
        text_width: int = 64,
        kinds: int = 0,
        time_gaps: int = 0,
        frequency: bool = False,
        options: TrainOptions | None = None,
    ) -> None:
        """Keep the shape and the way of training: see `SASRecConfig` and `TrainOptions`."""
        self.shape = {
            "width": width, "layers": layers, "heads": heads, "dropout": dropout,
            "id_dropout": id_dropout, "text_dropout": text_dropout, "mask": mask,
            "text_width": text_width, "kinds": kinds, "time_gaps": time_gaps,
            "frequency": frequency,
        }  # fmt: skip
        self.options = options or TrainOptions()
        self.model: SASRec | None = None
        self.scorer: SequenceScorer | None = None
        self.progress = Progress()
        self._text_map: tuple[FloatArray, FloatArray] | None = None

    def fit(
        self,
        sequences: Sequence[Any],
        n_products: int,
        *,
        text: FloatArray | None = None,
        steps: Sequence[Any] | None = None,
        kinds: Sequence[Any] | None = None,
        hours: Sequence[Any] | None = None,
        validate: Callable[["SASRecRecommender"], float] | None = None,
        checkpoint: Path | None = None,
        **_: Any,
    ) -> Self:
        """Train from a warm start.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            n_products: V.
            text: (V, E') encoder vectors of the products; fused into the table if given.
            steps: per visitor (T,) basket numbers.
            kinds: per visitor (T,) event kinds in [0, kinds).
            hours: per visitor (T,) times in hours.
            validate: judges this recommender after each epoch; best weights are kept.
            checkpoint: file that lets a killed run go on.
        """
        reduced = None
        shape = dict(self.shape)
        if text is not None and shape["text_width"]:
            reduced, self._text_map = principal(text, int(shape["text_width"]))
            shape["text_width"] = reduced.shape[1]
        else:
            shape["text_width"] = 0
        torch.manual_seed(self.options.seed)
        self.model = SASRec(
            SASRecConfig(n_products=n_products, **shape),
            torch.from_numpy(reduced) if reduced is not None else None,
        )
        start = warm_table(sequences, n_products, int(shape["width"]), steps=steps)
        with torch.no_grad():
            if reduced is not None:
                gram = reduced.T @ reduced + 10.0 * np.eye(reduced.shape[1], dtype=np.float32)
                projection = np.linalg.solve(gram, reduced.T @ start).astype(np.float32)
                self.model.text_projection.copy_(torch.from_numpy(projection))
                start = start - reduced @ projection
            self.model.identifier.copy_(torch.from_numpy(start.astype(np.float32)))
        return self._train(sequences, self.options, steps, kinds, hours, validate, checkpoint)

    def go_on(
        self,
        sequences: Sequence[Any],
        *,
        epochs: int,
        learning_rate: float,
        steps: Sequence[Any] | None = None,
        kinds: Sequence[Any] | None = None,
        hours: Sequence[Any] | None = None,
    ) -> Self:
        """Train the fitted model a little longer, on sequences that have since grown.

        Raises:
            ValueError: not fitted in this process.
        """
        if self.model is None:
            raise ValueError("go_on needs a fitted model; call fit first.")
        options = replace(self.options, epochs=epochs, learning_rate=learning_rate)
        return self._train(sequences, options, steps, kinds, hours, None, None)

    def _train(
        self, sequences: Sequence[Any], options: TrainOptions, steps: Any, kinds: Any, hours: Any,
        validate: Callable[["SASRecRecommender"], float] | None, checkpoint: Path | None,
    ) -> Self:  # fmt: skip
        model = self.model
        assert model is not None
        time_gaps = int(self.shape["time_gaps"])
        data = TrainingData.of(
            sequences, model.config.n_products, steps=steps,
            kinds=kinds if self.shape["kinds"] else None,
            hours=hours if time_gaps else None, time_gaps=time_gaps,
        )  # fmt: skip

        def judge(_: SASRec) -> float:
            self.scorer = self._export()
            assert validate is not None
            return validate(self)

        self.progress = train(
            model, data, options, validate=judge if validate else None, checkpoint=checkpoint
        )
        self.scorer = self._export()
        return self

    def _export(self) -> SequenceScorer:
        model = self.model
        assert model is not None
        with torch.no_grad():
            weights = {
                name: value.detach().numpy().copy()
                for name, value in model.named_parameters()
                if name not in ("identifier", "text_projection")
            }
            weights["table"] = model.table().numpy().copy()
            if self._text_map is not None and model.config.text_width:
                components, offset = self._text_map
                projection = model.text_projection.numpy()
                weights["text_to_table"] = components @ projection
                weights["text_offset"] = offset @ projection
        return SequenceScorer(
            {**asdict(model.config), "max_events": self.options.max_events}, weights
        )

    def score(self, sequences: Sequence[Any], **side: Any) -> FloatArray:
        """Return (B, V) float32 logits; zeros for an empty sequence."""
        return self._fitted().score(sequences, **side)

    def save(self, folder: Path) -> None:
        """Write what serving needs; training state is not kept."""
        self._fitted().save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; it scores, but cannot go on training."""
        recommender = cls()
        recommender.scorer = SequenceScorer.load(folder)
        return recommender

    def _fitted(self) -> SequenceScorer:
        if self.scorer is None:
            raise ValueError("SASRecRecommender has no weights yet; call fit or load first.")
        return self.scorer


def principal(text: FloatArray, width: int) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Reduce text vectors to their main directions, scaled to a mean length of 1.

    Args:
        text: (V, E').
        width: directions wanted; at most min(V, E').

    Returns:
        (V, E) reduced vectors, and (E', E), (E,) such that `text @ first + second` gives them.
    """
    mean = text.mean(axis=0)
    centred = (text - mean).astype(np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    vectors = vectors[:, np.argsort(-values, kind="stable")[: min(width, *text.shape)]]
    sign = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    vectors = vectors * np.where(sign == 0, 1.0, sign)
    reduced = centred @ vectors
    scale = 1.0 / max(float(np.linalg.norm(reduced, axis=1).mean()), 1e-9)
    components = (vectors * scale).astype(np.float32)
    offset = (-mean.astype(np.float64) @ (vectors * scale)).astype(np.float32)
    return (text @ components + offset).astype(np.float32), (components, offset)


def warm_table(
    sequences: Sequence[Any], n_products: int, width: int, *, steps: Sequence[Any] | None = None
) -> FloatArray:
    """Return (V, D) start vectors: products with the same neighbours start near each other.

    The main singular directions of the damped co-occurrence matrix, with rows of mean length 1;
    products without neighbours start at zero, and so do directions the data do not have.
    """
    pairs = co_occurrence(
        sequences, n_products, steps=steps, window=20, gap_power=0.5, backward=1.0
    ).tocoo()
    counts = np.asarray(
        np.bincount(np.concatenate([np.asarray(s, np.int64) for s in sequences] or [[]]).astype(
            np.int64), minlength=n_products)
    ) + 5.0  # fmt: skip
    damped = sp.csr_matrix(
        (pairs.data / np.sqrt(counts[pairs.row] * counts[pairs.col]), (pairs.row, pairs.col)),
        shape=(n_products, n_products), dtype=np.float64,
    )  # fmt: skip
    table = np.zeros((n_products, width), np.float64)
    rank = min(width, n_products - 2)
    if rank >= 1 and damped.nnz:
        from scipy.sparse.linalg import svds

        first = np.random.default_rng(0).standard_normal(n_products)
        left, values, _ = svds(damped, k=rank, v0=first)
        order = np.argsort(-values, kind="stable")
        left = left[:, order]
        sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])
        table[:, :rank] = (
            left * np.where(sign == 0, 1.0, sign) * np.sqrt(np.maximum(values[order], 0))
        )
    held = np.linalg.norm(table, axis=1)
    return (table / max(float(held[held > 0].mean()) if (held > 0).any() else 1.0, 1e-9)).astype(
        np.float32
    )


def next_step_ndcg(
    recommender: Any,
    histories: Sequence[Any],
    targets: Sequence[Any],
    *,
    remove_seen: bool,
    k: int = 10,
    **side: Any,
) -> FloatArray:
    """Return (B,) NDCG@k of the ranking of all products against what came next.

    Args:
        recommender: anything with `score`.
        histories: per visitor (T,) product indices.
        targets: per visitor the products that came next.
        remove_seen: leave the visitor's own products out of the ranking.
        k: cut.
        side: per-visitor lists handed to `score`.
    """
    out = []
    for start in range(0, len(histories), 512):
        part = slice(start, start + 512)
        scores = recommender.score(
            histories[part], **{name: value[part] for name, value in side.items()}
        )
        if remove_seen:
            for row, history in enumerate(histories[part]):
                scores[row, np.asarray(history, np.int64)] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k] if scores.shape[1] <= 4 * k else (
            _head(scores, k)
        )  # fmt: skip
        wanted = [np.asarray(target) for target in targets[part]]
        hits = np.stack([np.isin(order[row], wanted[row]) for row in range(len(wanted))])
        out.append(ndcg_at_k(hits, [len(np.unique(w)) for w in wanted], k))
    return np.concatenate(out)


def _head(scores: FloatArray, k: int) -> NDArray[np.int64]:
    head = np.argpartition(-scores, k, axis=1)[:, :k]
    head = np.sort(head, axis=1)
    order = np.argsort(-np.take_along_axis(scores, head, axis=1), axis=1, kind="stable")
    return np.take_along_axis(head, order, axis=1)


def validation_sample(
    whole: EventSequences, valid_from_hours: float, *, n: int, seed: int
) -> dict[str, list[Any]]:
    """Pick a random sample of visitors who bought in the valid part: history and next basket.

    Never the first n: visitors' order in a file is not random.
    """
    picked: dict[str, list[Any]] = {"histories": [], "targets": [], "kinds": [], "hours": []}
    order = np.random.default_rng(seed).permutation(len(whole.items))
    for index in order:
        later = np.flatnonzero(whole.hours[index] >= valid_from_hours)
        if not len(later) or later[0] == 0:
            continue
        first = int(later[0])
        basket = whole.steps[index] == whole.steps[index][first]
        picked["histories"].append(whole.items[index][:first])
        picked["targets"].append(np.unique(whole.items[index][basket]))
        picked["kinds"].append(whole.kinds[index][:first])
        picked["hours"].append(whole.hours[index][:first])
        if len(picked["histories"]) == n:
            break
    return picked


def run(params: Params, layout: Layout) -> None:
    """Train on the checkout's tables and write `artefacts/train_sasrec`.

    `torchrun --nproc-per-node N -m components.cli stage train_sasrec` shares each batch among N
    processes; the first one writes.

    Raises:
        ParamsError: no product has enough purchases, or no visitor two events.
    """
    section = params.train_sasrec
    cut = read_cut_offs(layout)
    events = read_table("events", layout.tables)
    past = events.filter(pl.col("week") < cut.test_from_week)
    counted = (
        past.filter(pl.col("kind") == "purchase").group_by("product_id").len()
        if (past["kind"] == "purchase").any()
        else past.group_by("product_id").len()
    )
    product_ids = sorted(
        counted.filter(pl.col("len") >= params.split.min_purchases)["product_id"].to_list()
    )
    if len(product_ids) < 3:
        raise ParamsError(
            f"train_sasrec: {len(product_ids)} products have split.min_purchases = "
            f"{params.split.min_purchases} purchases before the test cut-off; lower it."
        )
    whole = event_sequences(past, product_ids)
    fitted = event_sequences(past.filter(pl.col("week") < cut.valid_from_week), product_ids)
    if not any(len(np.unique(steps)) > 1 for steps in fitted.steps):
        raise ParamsError("train_sasrec: no visitor has two baskets before the valid cut-off.")
    later = past.filter(pl.col("week") >= cut.valid_from_week)["at"].min()
    sample = validation_sample(
        whole, later.timestamp() / 3600.0 if later is not None else np.inf,  # type: ignore[union-attr]
        n=section.validation_visitors, seed=section.seed,
    )  # fmt: skip
    text, text_hash = _text_vectors(layout, product_ids) if section.text_fusion else (None, "")
    held_kinds = past["kind"].n_unique()
    recommender = SASRecRecommender(
        width=section.width, layers=section.layers, heads=section.heads, dropout=section.dropout,
        id_dropout=section.id_dropout, text_dropout=section.text_dropout, mask=section.mask,
        text_width=section.text_width,
        kinds=len(EVENT_KINDS) if held_kinds > 1 else 0, time_gaps=section.time_gaps,
        frequency=section.frequency,
        options=TrainOptions(
            seed=section.seed, epochs=section.epochs, seconds=section.seconds,
            patience=section.patience, batch_size=section.batch_size,
            max_events=section.max_events, max_tokens=section.max_tokens,
            learning_rate=section.learning_rate, weight_decay=section.weight_decay,
            loss=section.loss, negatives=section.negatives, smoothing=section.smoothing,
            crop=section.crop,
        ),
    )  # fmt: skip

    def validate(current: SASRecRecommender) -> float:
        scores = next_step_ndcg(
            current, sample["histories"], sample["targets"], remove_seen=False,
            kinds=sample["kinds"], hours=sample["hours"],
        )  # fmt: skip
        return float(np.mean(scores))

    tail = fitted.last(section.max_events + 1)
    with torch_threads(section.threads), process_group() as rank:
        recommender.fit(
            tail.items, len(product_ids), text=text, steps=tail.steps, kinds=tail.kinds,
            hours=tail.hours, validate=validate if sample["histories"] else None,
            checkpoint=layout.var / "checkpoints" / "train_sasrec.safetensors",
        )  # fmt: skip
    if rank:
        return
    inputs = {"events": sha256_of(layout.tables / "events.parquet")}
    if text_hash:
        inputs["text_vectors"] = text_hash
    metrics = {"products": float(len(product_ids)), "visitors": float(len(fitted.items))}
    progress = recommender.progress
    if progress.curve and "valid" in progress.curve[0]:
        metrics["valid_ndcg@10"] = round(max(row["valid"] for row in progress.curve), 6)
        metrics["best_epoch"] = float(progress.best_epoch + 1)
    with writing_artefact(
        layout.artefact("train_sasrec"), kind="sasrec", stage="train_sasrec", seed=section.seed,
        params=section.model_dump(mode="json"), inputs=inputs,
        packages=("numpy", "torch", "safetensors"), metrics=metrics,
        notes={"text": "none" if text is None else "fused", "ended": progress.ended or "epochs"},
    ) as folder:  # fmt: skip
        recommender.save(folder)
        (folder / PRODUCTS_NAME).write_text(json.dumps(product_ids) + "\n", encoding="utf-8")
        write_json(
            folder / "curve.json",
            [{name: round(value, 6) for name, value in row.items()} for row in progress.curve],
        )


def _text_vectors(layout: Layout, product_ids: Sequence[str]) -> tuple[FloatArray | None, str]:
    from components.recommend.item_text import catalogue_vectors

    return catalogue_vectors(layout.artefacts, product_ids)

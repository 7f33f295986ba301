"""Stage `pretrain`: go on with token modelling on the shop's own words.

In: products, reviews and queries of the train part; an encoder as `pretrain.init` says. Out:
`artefacts/pretrain`: the better of the encoder as it came and the pretrained one (chosen on the
validation tasks), its catalogue vectors, and both encoders' results for the ablation report. A body
that sees to its right learns masked tokens, a causal one the next token.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from components.contracts.artefacts import Layout, sha256_of, write_json, writing_artefact
from components.contracts.params import Params, PretrainParams
from components.data.parquet import read_table
from components.text.encoder import OnnxEncoder, TextEncoder, padded, token_ids, torch_threads
from components.text.losses import IGNORED, mask_tokens, next_token_targets
from components.text.pairs import ProductWords, describe, recorded_pairs
from components.text.precision import multiplying_in, resolved
from components.text.tasks import (
    Tasks,
    build_tasks,
    choice_score,
    query_texts,
    read_part,
    score_tasks,
)
from components.text.texts import clean
from components.text.training import THREADS, first_encoder, freeze, optimiser_of, rate_at
from components.text.vectors import VECTORS_NAME, TextVectors

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
ENCODER_FOLDER = "encoder"
RESULTS_NAME = "results.json"
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime")


def corpus(catalogue: ProductWords, reviews: pl.DataFrame, queries: pl.DataFrame) -> list[str]:
    """Return every distinct text to learn from, sorted: products, reviews, queries."""
    told = [*catalogue.texts, *reviews["text"].to_list(), *queries["text"].to_list()]
    return sorted({clean(text) for text in told if text and text.strip()})


def before(frame: pl.DataFrame, train: pl.DataFrame) -> pl.DataFrame:
    """Keep rows not later than the last train event; rows without a time are kept."""
    last = train["at"].max()
    return frame if last is None else frame.filter(pl.col("at").is_null() | (pl.col("at") <= last))


def is_causal(encoder: TextEncoder) -> bool:
    """Tell whether the body sees only to its left, by trying it: no list of model names."""
    import torch

    size = int(encoder.body.get_input_embeddings().weight.shape[0])
    probe = torch.tensor([[1 % size, 2 % size, 3 % size], [1 % size, 2 % size, 5 % size]])
    encoder.body.eval()
    with torch.inference_mode():
        states = encoder.hidden(probe, torch.ones_like(probe))
    return bool(torch.allclose(states[0, :2], states[1, :2], atol=1e-6))


def token_head(encoder: TextEncoder, vocabulary: np.ndarray) -> "torch.nn.Module":
    """Make the head that turns hidden states into scores over the shop's own tokens.

    Its output layer is tied to the body's token embeddings, restricted to `vocabulary`: a shop uses
    a small part of a general vocabulary, and scoring the rest would cost most of the time.
    """
    import torch

    class TokenHead(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(encoder.width, encoder.width)
            torch.nn.init.eye_(self.dense.weight)
            torch.nn.init.zeros_(self.dense.bias)
            self.norm = torch.nn.LayerNorm(encoder.width)
            self.bias = torch.nn.Parameter(torch.zeros(len(vocabulary)))
            self.register_buffer("kept", torch.from_numpy(vocabulary))

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            rows = encoder.body.get_input_embeddings().weight[self.kept]  # (V, D)
            changed = self.norm(torch.nn.functional.gelu(self.dense(states)))  # (M, D)
            return changed @ rows.T + self.bias  # (M, V)

    return TokenHead()


def special_ids(encoder: TextEncoder) -> tuple[frozenset[int], int | None]:
    """Return the ids that are never hidden, and the id of the mask token if there is one."""
    tokenizer = encoder.tokenizer
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    special |= set(tokenizer.encode("").ids)
    for name in ("[MASK]", "<mask>", "<extra_id_0>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return frozenset(special | {found}), found
    return frozenset(special), None


def bucketed(
    lengths: np.ndarray, batch_size: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Cut all rows into batches of like length, in random order, rows of one length shuffled.

    >>> sizes = bucketed(np.array([1, 9, 1, 9]), 2, np.random.default_rng(0))
    >>> sorted(sorted(batch.tolist()) for batch in sizes)
    [[0, 2], [1, 3]]
    """
    order = np.lexsort((generator.random(len(lengths)), lengths))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def train_tokens(
    encoder: TextEncoder, texts: Sequence[str], params: PretrainParams, *, train_embeddings: bool
) -> list[float]:
    """Train the body in place; returns the loss of every step.

    The first `head_steps` train the head alone, so that its random start does not shake the body.
    """
    import torch

    rows = token_ids(encoder.tokenizer, texts)
    vocabulary = np.unique(np.concatenate([np.asarray(row) for row in rows]))
    unseen = int(encoder.body.get_input_embeddings().weight.shape[0])
    place = np.full(unseen + 1, IGNORED)  # token id -> column of the head
    place[vocabulary] = np.arange(len(vocabulary))
    special, mask_id = special_ids(encoder)
    causal = is_causal(encoder)
    torch.manual_seed(params.seed)
    generator = np.random.default_rng(params.seed)
    head = token_head(encoder, vocabulary)
    freeze(encoder, embeddings=not train_embeddings, layers=params.frozen_layers)
    optimiser = optimiser_of(
        [encoder.body, head], learning_rate=params.learning_rate, weight_decay=params.weight_decay
    )
    head_optimiser = optimiser_of([head], learning_rate=1e-3, weight_decay=0.0)
    losses: list[float] = []
    lengths = np.array([len(row) for row in rows])
    queue: list[np.ndarray] = []
    for step in range(params.steps):
        alone = step < params.head_steps
        if not queue:
            queue = bucketed(lengths, params.batch_size, generator)
        batch = queue.pop()
        ids, mask = padded([rows[i] for i in batch])
        if causal:
            targets = next_token_targets(ids, mask)
        else:
            ids, targets = mask_tokens(
                ids,
                mask,
                special=special,
                mask_id=mask_id,
                vocabulary=vocabulary,
                share=params.mask_share,
                generator=generator,
            )
        wanted = torch.from_numpy(place[np.where(targets == IGNORED, unseen, targets)])
        encoder.body.train(not alone)
        chosen = wanted != IGNORED
        if not bool(chosen.any()):
            continue
        with multiplying_in(params.precision):
            with torch.set_grad_enabled(not alone):
                states = encoder.hidden(torch.from_numpy(ids), torch.from_numpy(mask))
            guessed = head(states[chosen]).float()
        loss = torch.nn.functional.cross_entropy(guessed, wanted[chosen])
        active = head_optimiser if alone else optimiser
        if not alone:
            share = rate_at(
                step - params.head_steps, params.steps - params.head_steps, params.warmup_share
            )
            for group in optimiser.param_groups:
                group["lr"] = params.learning_rate * share
        active.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(head.parameters()), 1.0)
        torch.nn.utils.clip_grad_norm_(list(encoder.body.parameters()), 1.0)
        active.step()
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            log.info("pretrain: step %d of %d, loss %.3f", step, params.steps, losses[-1])
    encoder.body.eval()
    return losses


def measure(
    encoder: TextEncoder, catalogue: ProductWords, valid: Tasks, test: Tasks
) -> tuple[dict[str, Any], TextVectors]:
    """Encode catalogue and queries as they would be served, and score both parts.

    Returns:
        `choice` (validation only), `digest` of the vectors, per-task means on validation and
        per-row values on test; and the vectors.
    """
    with TemporaryDirectory() as folder:
        encoder.export(Path(folder))
        served = OnnxEncoder(Path(folder), threads=THREADS)
        vectors = TextVectors.of([*catalogue.texts, *query_texts(valid, test)], served)
    return results_of(vectors, catalogue, valid, test), vectors


def results_of(
    vectors: TextVectors, catalogue: ProductWords, valid: Tasks, test: Tasks
) -> dict[str, Any]:
    """Score one set of vectors on both parts; see `measure`."""
    on_valid = score_tasks(valid, vectors, catalogue)
    on_test = score_tasks(test, vectors, catalogue)
    return {
        "choice": round(choice_score(valid, vectors, catalogue), 6),
        "digest": catalogue_vectors(vectors, catalogue).digest(),
        "valid": {
            task: {name: round(float(np.mean(rows)), 6) for name, rows in values.items()}
            for task, values in on_valid.items()
        },
        "test": {
            task: {name: [round(float(v), 6) for v in rows] for name, rows in values.items()}
            for task, values in on_test.items()
        },
    }


def catalogue_vectors(vectors: TextVectors, catalogue: ProductWords) -> TextVectors:
    """Keep the rows of catalogue texts alone, sorted by hash."""
    from components.text.texts import text_hash

    hashes = sorted({text_hash(text) for text in catalogue.texts})
    place = {name: index for index, name in enumerate(vectors.hashes)}
    return TextVectors(hashes, vectors.rows[[place[name] for name in hashes]])


def read_tasks(
    params: Params, layout: Layout, catalogue: ProductWords
) -> tuple[Tasks, Tasks, list[tuple[str, int]], pl.DataFrame]:
    """Read the split and build the validation and test tasks.

    Returns:
        Validation tasks, test tasks, recorded query-product pairs, and the train events.
    """
    train, valid, test = (read_part(name, layout.splits) for name in ("train", "valid", "test"))
    queries = read_table("queries", layout.tables)
    judgements = read_table("judgements", layout.tables)
    recorded = recorded_pairs(catalogue, queries, judgements, train)
    least = params.split.min_basket
    seed = params.pretrain.seed
    on_valid = build_tasks(
        catalogue,
        history=train,
        part=valid,
        recorded=recorded,
        name="valid",
        seed=seed,
        least=least,
    )
    on_test = build_tasks(
        catalogue,
        history=pl.concat([train, valid]),
        part=test,
        recorded=recorded,
        name="test",
        seed=seed,
        least=least,
    )
    return on_valid, on_test, recorded, train


def input_hashes(layout: Layout) -> dict[str, str]:
    """Return the hash of every table the text stages read."""
    paths = [layout.tables / f"{name}.parquet" for name in ("products", "reviews", "queries")]
    paths += [layout.splits / f"{name}.parquet" for name in ("train", "valid", "test")]
    return {path.stem: sha256_of(path) for path in paths if path.is_file()}


def run(params: Params, layout: Layout) -> None:
    """Pretrain, choose, and write `artefacts/pretrain`.

    Raises:
        ParamsError, ArtefactError: the first encoder cannot be had.
    """
    catalogue = describe(read_table("products", layout.tables))
    valid, test, _, train = read_tasks(params, layout, catalogue)
    texts = corpus(
        catalogue,
        before(read_table("reviews", layout.tables), train),
        before(read_table("queries", layout.tables), train),
    )
    metrics: dict[str, float] = {}
    with (
        torch_threads(THREADS),
        writing_artefact(
            layout.artefact("pretrain"),
            kind="encoder",
            stage="pretrain",
            seed=params.pretrain.seed,
            params=params.pretrain.model_dump(mode="json"),
            inputs=input_hashes(layout),
            packages=PACKAGES,
            metrics=metrics,
            notes={"precision": resolved(params.pretrain.precision)},
        ) as folder,
    ):
        encoder, origin = first_encoder(params.pretrain, texts)
        results: dict[str, Any] = {"origin": origin}
        results["as shipped"], first = measure(encoder, catalogue, valid, test)
        encoder.save(folder / ENCODER_FOLDER)
        chosen, vectors = "as shipped", first
        if params.pretrain.steps:
            losses = train_tokens(
                encoder, texts, params.pretrain, train_embeddings=origin == "scratch"
            )
            metrics["first_loss"] = round(float(np.mean(losses[:10])), 6)
            metrics["last_loss"] = round(float(np.mean(losses[-10:])), 6)
            results["+ MLM"], second = measure(encoder, catalogue, valid, test)
            # A body that nothing was ever taught is no candidate, whatever chance gives it.
            if origin == "scratch" or results["+ MLM"]["choice"] > results["as shipped"]["choice"]:
                chosen, vectors = "+ MLM", second
                encoder.save(folder / ENCODER_FOLDER)
        results["chosen"] = chosen
        metrics["choice"] = results[chosen]["choice"]
        catalogue_vectors(vectors, catalogue).save(folder / VECTORS_NAME)
        write_json(folder / RESULTS_NAME, results)
    log.info("pretrain: chosen %s, choice score %.4f", chosen, metrics["choice"])


def read_results(folder: Path) -> dict[str, Any]:
    """Read the results a text stage left in its artefact."""
    return json.loads((folder / RESULTS_NAME).read_text(encoding="utf-8"))

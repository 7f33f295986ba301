"""Stage `finetune`: queries next to their products, products next to what is bought with them.

In: `artefacts/pretrain`, products, events before `finetune.before_week`, recorded queries if the
shop has any. Out: `artefacts/finetune`: the served encoder (ONNX, tokenizer), the vector of every
catalogue text by text hash, product ids, the category head, and results for the ablation report.
What is served is chosen on validation, so a fine-tuning that hurts is never shipped.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, sha256_of, write_json, writing_artefact
from components.contracts.params import FinetuneParams, Params
from components.data.parquet import read_table
from components.text.encoder import (
    MODEL_NAME,
    OnnxEncoder,
    TextEncoder,
    quantise,
    token_ids,
    torch_threads,
)
from components.text.heads import CategoryHead, class_weights
from components.text.losses import info_nce
from components.text.normalise import tokens
from components.text.pairs import (
    Part,
    ProductWords,
    TextPairs,
    bought_together,
    describe,
    generated_pairs,
    popularity_of,
    product_pairs,
)
from components.text.precision import multiplying_in, resolved
from components.text.pretrain import (
    ENCODER_FOLDER,
    PACKAGES,
    RESULTS_NAME,
    catalogue_vectors,
    input_hashes,
    read_results,
    read_tasks,
    results_of,
)
from components.text.purchase_intent import fit_purchase_intent
from components.text.ratings import fit_and_save as fit_ratings
from components.text.tasks import query_texts
from components.text.texts import text_hash
from components.text.training import THREADS, freeze, optimiser_of, rate_at, set_dropout
from components.text.vectors import PRODUCTS_NAME, VECTORS_NAME, TextVectors, top_k

log = logging.getLogger(__name__)
_VALIDATION_PAIRS = 384
_NEIGHBOURS = 40


def training_events(events: pl.DataFrame, before_week: int | None) -> pl.DataFrame:
    """Keep train events before a week; all of them where that would leave none."""
    if before_week is None:
        return events
    early = events.filter(pl.col("week") < before_week)
    return early if not early.is_empty() else events


def with_recorded(
    pairs: TextPairs, recorded: Sequence[tuple[str, int]], *, seed: int, at_most: float = 0.5
) -> TextPairs:
    """Replace up to a share of the made-up queries by recorded ones, drawn with a seed."""
    from components.text.pairs import part_of_group

    known = [(text, place) for text, place in recorded if part_of_group(text.casefold()) == "train"]
    if not known or not len(pairs):
        return pairs
    generator = np.random.default_rng([seed, 3])
    places = np.flatnonzero(generator.random(len(pairs)) < at_most)
    lefts, rights, words = list(pairs.lefts), pairs.rights.copy(), list(pairs.left_words)
    for place in places:
        text, product = known[int(generator.integers(len(known)))]
        lefts[place], rights[place], words[place] = text, product, frozenset(tokens(text))
    return TextPairs(lefts, rights, pairs.left_products, words)


def hard_negatives(
    catalogue: ProductWords, pairs: TextPairs, vectors: NDArray[np.float32], n: int, *, seed: int
) -> NDArray[np.int64]:
    """Mine, for each query pair, products like the right one that do not answer the query.

    They are drawn among the nearest neighbours of the right product, leaving out its own group and
    every product that has all the query's words.

    Args:
        catalogue: the products.
        pairs: query pairs.
        vectors: (V, D) rows of the catalogue by the encoder that training starts from.
        n: negatives per pair.
        seed: of the draw.

    Returns:
        (pairs, n) product places; -1 where there was none.
    """
    found = np.full((len(pairs), n), -1, np.int64)
    if not len(pairs) or n == 0:
        return found
    wanted, inverse = np.unique(pairs.rights, return_inverse=True)
    near, _ = top_k(vectors[wanted], vectors, _NEIGHBOURS)
    generator = np.random.default_rng([seed, 5])
    for row, (right, query) in enumerate(zip(pairs.rights, pairs.left_words, strict=True)):
        others = [
            int(place)
            for place in near[inverse[row]]
            if catalogue.groups[place] != catalogue.groups[right]
            and not (query and query <= catalogue.words[place])
        ]
        if others:
            found[row] = [others[int(i)] for i in generator.integers(len(others), size=n)]
    return found


def false_negatives(
    catalogue: ProductWords,
    words: Sequence[frozenset[str]],
    lefts: NDArray[np.int64],
    candidates: NDArray[np.int64],
    partners: set[tuple[int, int]],
) -> NDArray[np.bool_]:
    """Mark candidates that are right answers too, so that they are not pushed away.

    For a query: products with all its words. For a product: itself, its known partners, and
    products with its text.

    Returns:
        (lefts, candidates) booleans.
    """
    marked = np.zeros((len(words), len(candidates)), bool)
    for row, (query, left) in enumerate(zip(words, lefts, strict=True)):
        for column, place in enumerate(candidates):
            if left >= 0:
                marked[row, column] = (
                    place == left
                    or (int(left), int(place)) in partners
                    or catalogue.texts[place] == catalogue.texts[left]
                )
            else:
                marked[row, column] = bool(query) and query <= catalogue.words[place]
    same = candidates[None, : len(words)] == candidates[: len(words), None]
    marked[:, : len(words)] |= same
    return marked


class Batches:
    """Draws mixed batches of query pairs and product pairs, tokenised once."""

    def __init__(
        self,
        encoder: TextEncoder,
        catalogue: ProductWords,
        queries: TextPairs,
        products: TextPairs,
        negatives: NDArray[np.int64],
        partners: set[tuple[int, int]],
        category_of: NDArray[np.int64],
    ) -> None:
        """Tokenise every text that training will see."""
        self.catalogue, self.queries, self.products = catalogue, queries, products
        self.negatives, self.partners, self.category_of = negatives, partners, category_of
        used = {*queries.rights.tolist(), *products.rights.tolist(), *negatives.ravel().tolist()}
        places = sorted(used - {-1})
        texts = sorted({*queries.lefts, *products.lefts, *(catalogue.texts[p] for p in places)})
        self.rows = dict(zip(texts, token_ids(encoder.tokenizer, texts), strict=True))

    def loss(
        self,
        encoder: TextEncoder,
        head: Any,
        params: FinetuneParams,
        query_places: NDArray[np.int64],
        product_places: NDArray[np.int64],
        weights: Any,
    ) -> Any:
        """Contrastive loss of one batch, plus the weighted category loss of its queries."""
        import torch

        catalogue = self.catalogue
        lefts = [self.queries.lefts[i] for i in query_places]
        lefts += [self.products.lefts[i] for i in product_places]
        words = [self.queries.left_words[i] for i in query_places]
        words += [frozenset()] * len(product_places)
        left_products = np.concatenate(
            [np.full(len(query_places), -1), self.products.left_products[product_places]]
        ).astype(np.int64)
        rights = np.concatenate(
            [self.queries.rights[query_places], self.products.rights[product_places]]
        )
        mined = self.negatives[query_places].ravel()
        candidates = np.concatenate([rights, mined[mined >= 0]])
        masked = false_negatives(catalogue, words, left_products, candidates, self.partners)
        texts = [*lefts, *(catalogue.texts[place] for place in candidates)]
        unique = list(dict.fromkeys(texts))
        place = {text: index for index, text in enumerate(unique)}
        with multiplying_in(params.precision):
            vectors = encoder.embed([self.rows[text] for text in unique]).float()  # (U, D)
        left_rows = vectors[[place[text] for text in lefts]]  # (B, D)
        candidate_rows = vectors[[place[catalogue.texts[p]] for p in candidates]]  # (B + N, D)
        loss = info_nce(
            left_rows,
            candidate_rows,
            temperature=params.temperature,
            false_negatives=torch.from_numpy(masked),
        )
        if params.category_weight and len(query_places) and head is not None:
            labels = torch.from_numpy(self.category_of[self.queries.rights[query_places]])
            loss = loss + params.category_weight * torch.nn.functional.cross_entropy(
                head(left_rows[: len(query_places)]), labels, weight=weights
            )
        return loss


def train_pairs(
    encoder: TextEncoder,
    batches: Batches,
    validation: Batches,
    params: FinetuneParams,
    *,
    train_embeddings: bool,
    n_categories: int,
) -> dict[str, float]:
    """Fine-tune the body in place by a fixed number of steps, with early stopping.

    The loss of fixed validation pairs is looked at every `check_every` steps; the best weights come
    back, and `patience` checks without a gain end the training.

    Returns:
        `steps` done, `best_step`, and first and best validation loss.
    """
    import torch

    torch.manual_seed(params.seed)
    generator = np.random.default_rng(params.seed)
    set_dropout(encoder.body, params.dropout)
    freeze(encoder, embeddings=not train_embeddings, layers=params.frozen_layers)
    head = torch.nn.Linear(encoder.width, n_categories) if n_categories > 1 else None
    weights = torch.from_numpy(
        class_weights(batches.category_of[batches.queries.rights], n_categories)
    )
    modules = [encoder.body] if head is None else [encoder.body, head]
    optimiser = optimiser_of(
        modules, learning_rate=params.learning_rate, weight_decay=params.weight_decay
    )
    n_query = round(params.batch_size * params.query_share) if len(batches.queries) else 0
    n_product = params.batch_size - n_query if len(batches.products) else 0
    query_order = generator.permutation(len(batches.queries))
    product_order = generator.permutation(len(batches.products))

    def validation_loss() -> float:
        encoder.body.eval()
        total, count = 0.0, 0
        half = params.batch_size // 2
        with torch.inference_mode():
            for start in range(0, _VALIDATION_PAIRS, half):
                asked = np.arange(start, min(start + half, len(validation.queries)))
                bought = np.arange(start, min(start + half, len(validation.products)))
                if len(asked) + len(bought) < 2:
                    break
                loss = validation.loss(encoder, None, params, asked, bought, None)
                total += float(loss) * (len(asked) + len(bought))
                count += len(asked) + len(bought)
        return total / max(1, count)

    first = best = validation_loss()
    best_step, stale, step = 0, 0, 0
    kept = {name: value.clone() for name, value in encoder.body.state_dict().items()}
    while step < params.steps and n_query + n_product >= 2:
        encoder.body.train()
        share = rate_at(step, params.steps, params.warmup_share)
        for group in optimiser.param_groups:
            group["lr"] = params.learning_rate * share
        asked = np.take(query_order, range(step * n_query, (step + 1) * n_query), mode="wrap")
        bought = np.take(
            product_order, range(step * n_product, (step + 1) * n_product), mode="wrap"
        )
        loss = batches.loss(encoder, head, params, asked, bought, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(encoder.body.parameters()), 1.0)
        optimiser.step()
        step += 1
        if step % params.check_every == 0 or step == params.steps:
            found = validation_loss()
            log.info("finetune: step %d of %d, validation loss %.4f", step, params.steps, found)
            if found < best:
                best, best_step, stale = found, step, 0
                kept = {name: value.clone() for name, value in encoder.body.state_dict().items()}
            else:
                stale += 1
                if stale >= params.patience:
                    break
    encoder.body.load_state_dict(kept)
    encoder.body.eval()
    return {
        "steps": float(step),
        "best_step": float(best_step),
        "first_valid_loss": round(first, 6),
        "best_valid_loss": round(best, 6),
    }


def prepare(
    params: Params,
    encoder: TextEncoder,
    catalogue: ProductWords,
    vectors: NDArray[np.float32],
    recorded: Sequence[tuple[str, int]],
    train: pl.DataFrame,
    category_of: NDArray[np.int64],
) -> tuple[Batches, Batches]:
    """Make training and validation batches.

    Validation pairs are drawn apart: queries of groups that are not trained on, and partners of
    products whose id's hash puts them aside.
    """
    settings = params.finetune
    events = training_events(train, settings.before_week)
    popularity = popularity_of(catalogue, events)
    lefts, rights, weights = bought_together(catalogue, events)
    partners = set(zip(lefts.tolist(), rights.tolist(), strict=True))
    from components.text.pairs import part_of_group

    aside = np.array([part_of_group(name) == "valid" for name in catalogue.product_ids], bool)
    own = aside[lefts] if len(lefts) else np.empty(0, bool)
    n_query = max(1, settings.steps) * round(settings.batch_size * settings.query_share)
    n_product = max(1, settings.steps) * settings.batch_size
    made = []
    parts: tuple[tuple[Part, Any, int, int], ...] = (
        ("train", ~own, n_query, n_product),
        ("valid", own, _VALIDATION_PAIRS, _VALIDATION_PAIRS),
    )
    for part, kept, n_asked, n_bought in parts:
        asked = generated_pairs(
            catalogue, n_asked, seed=settings.seed, popularity=popularity, part=part
        )
        if part == "train":
            asked = with_recorded(asked, recorded, seed=settings.seed)
        bought = product_pairs(
            catalogue,
            (lefts[kept], rights[kept], weights[kept]),
            n_bought,
            seed=settings.seed,
            popularity=popularity,
        )
        mined = hard_negatives(
            catalogue, asked, vectors, settings.hard_negatives, seed=settings.seed
        )
        made.append(Batches(encoder, catalogue, asked, bought, mined, partners, category_of))
    return made[0], made[1]


def run(params: Params, layout: Layout) -> None:
    """Fine-tune, choose, export, and write `artefacts/finetune`.

    Raises:
        ArtefactError: the stage `pretrain` has not run, or the export disagrees with torch.
    """
    settings = params.finetune
    source = layout.artefact("pretrain")
    earlier = read_results(source)
    products = read_table("products", layout.tables)
    catalogue = describe(products)
    valid, test, recorded, train = read_tasks(params, layout, catalogue)
    categories = sorted(set(catalogue.leaves))
    number = {name: index for index, name in enumerate(categories)}
    category_of = np.array([number[leaf] for leaf in catalogue.leaves], np.int64)
    started = TextVectors.load(source / VECTORS_NAME)
    metrics: dict[str, float] = {}
    notes: dict[str, str] = {}
    folder = layout.artefact("finetune")
    work = folder.with_name(".finetune.work")
    shutil.rmtree(work, ignore_errors=True)
    with (
        torch_threads(THREADS),
        writing_artefact(
            folder,
            kind="encoder",
            stage="finetune",
            seed=settings.seed,
            params=settings.model_dump(mode="json"),
            inputs={**input_hashes(layout), "pretrain": sha256_of(source / "manifest.json")},
            packages=PACKAGES,
            metrics=metrics,
            notes=notes,
        ) as made,
    ):
        encoder = TextEncoder.from_folder(
            source / ENCODER_FOLDER, max_tokens=params.pretrain.max_tokens
        )
        before = earlier["chosen"]
        results: dict[str, Any] = {"start": before}
        chosen = before
        if settings.steps:
            batches, validation = prepare(
                params,
                encoder,
                catalogue,
                started.matrix(catalogue.texts),
                recorded,
                train,
                category_of,
            )
            metrics.update(
                train_pairs(
                    encoder,
                    batches,
                    validation,
                    settings,
                    train_embeddings=earlier["origin"] == "scratch",
                    n_categories=len(categories),
                )
            )
            encoder.export(work)
            served = OnnxEncoder(work, threads=THREADS)
            vectors = TextVectors.of([*catalogue.texts, *query_texts(valid, test)], served)
            results["+ contrastive"] = results_of(vectors, catalogue, valid, test)
            if results["+ contrastive"]["choice"] > earlier[before]["choice"]:
                chosen = "+ contrastive"
        if chosen != "+ contrastive":
            TextEncoder.from_folder(
                source / ENCODER_FOLDER, max_tokens=params.pretrain.max_tokens
            ).export(work)
            vectors = started
        results["chosen"] = chosen
        results["candidates"] = {
            name: earlier[name]["choice"] for name in ("as shipped", "+ MLM") if name in earlier
        } | ({"+ contrastive": results["+ contrastive"]["choice"]} if settings.steps else {})
        notes["chosen"] = chosen
        notes["runtime"] = "fp32"
        notes["precision"] = resolved(settings.precision)
        if settings.int8:
            choice = {**earlier, **results}[chosen]["choice"]
            vectors, notes["runtime"] = _gate_int8(
                work, vectors, choice, catalogue, valid, test, results
            )
        for path in sorted(work.iterdir()):
            if path.is_file():
                shutil.move(path, made / path.name)
        shutil.rmtree(work, ignore_errors=True)
        kept = catalogue_vectors(vectors, catalogue)
        kept.save(made / VECTORS_NAME)
        np.savez(
            made / PRODUCTS_NAME,
            product_ids=np.asarray(catalogue.product_ids),
            hashes=np.asarray([text_hash(text) for text in catalogue.texts], dtype="U32"),
        )
        metrics["choice"] = results["candidates"].get(chosen, 0.0)
        head = CategoryHead.fit(
            kept.matrix(catalogue.texts), catalogue.leaves, catalogue.groups, seed=settings.seed
        )
        head.save(made)
        metrics["category_accuracy"] = round(head.accuracy, 6)
        metrics["category_macro_recall"] = round(head.macro_recall, 6)
        served = OnnxEncoder(made, threads=THREADS)
        metrics.update(
            fit_ratings(made, layout.tables, layout.splits, encoder=served, seed=settings.seed)
        )
        metrics.update(fit_purchase_intent(made, layout.tables, layout.splits, served.encode))
        write_json(made / RESULTS_NAME, results)
    log.info("finetune: serving %s (%s)", chosen, notes["runtime"])


def _gate_int8(
    work: Path,
    vectors: TextVectors,
    choice: float,
    catalogue: ProductWords,
    valid: Any,
    test: Any,
    results: dict[str, Any],
) -> tuple[TextVectors, str]:
    """Try an int8 copy in `work`; keep it only if the validation score does not fall."""
    small = work / "int8"
    quantise(work, small)
    served = OnnxEncoder(small, threads=THREADS)
    tried = TextVectors.of([*catalogue.texts, *query_texts(valid, test)], served)
    results["int8"] = results_of(tried, catalogue, valid, test)
    if results["int8"]["choice"] >= choice:
        shutil.copyfile(small / MODEL_NAME, work / MODEL_NAME)
        vectors, runtime = tried, "int8"
    else:
        runtime = "fp32"
    shutil.rmtree(small)
    return vectors, runtime

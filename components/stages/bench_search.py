"""`shelfwise bench search`: protocol P3 on any products and graded judgements.

Rankings are over the whole catalogue. What is learned from judgements is cross-validated over
queries (near-duplicate queries stay on one side); BM25's field weights are chosen on the training
queries of each fold as well. Two views: `all` counts an unjudged product as irrelevant, `condensed`
leaves it out. Gains are paired per query over the tuned BM25.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, write_json
from components.contracts.errors import SourceError
from components.contracts.protocols import Encoder
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.data.words import stems
from components.evaluate.bootstrap import mean_interval, paired_interval
from components.evaluate.metrics import graded_ndcg_at_k
from components.evaluate.report import write_report
from components.search.engine import SearchEngine
from components.search.fusion import weighted_fusion
from components.search.index import PARTS, FieldWeights, Hits, LexicalIndex, WordQuery, field_texts
from components.search.ranker import LearnedRanker
from components.text.packaged import packaged_folder
from components.text.texts import text_hash
from components.text.vectors import TextVectors, best_columns

log = logging.getLogger(__name__)
FloatArray = NDArray[np.floating[Any]]
K = 10
DEPTH = 2000  # how long every ranking is, so that the condensed view is not cut short
CANDIDATES = 300
FOLDS = 10
LEAST_LESSONS = 5  # training queries with a relevant product, below which no ranker is fitted
GRADES = (0, 1, 2, 3)
SEED = 7
TITLE_WEIGHTS = (1.0, 2.0, 3.0, 5.0)
MEANING_WEIGHTS = (0.2, 0.4, 0.6, 0.8)
_REQUIRED = ("id", "title")


@dataclass(frozen=True)
class Query:
    """One query with its grades by product id."""

    text: str
    grades: Mapping[str, int]


def read_products(path: Path) -> list[Product]:
    """Read products.

    Args:
        path: Parquet or CSV with `id`, `title` and, where there are, `name` (the model), `supplier`
            or `brand`, `short_description` or `description`, `price_cents`, `date_released`,
            `category`, `type` and `attributes` (JSON; its short texts on kind and colour are used).

    Rows without an id are left out; of rows with the same id the first one stays.

    Raises:
        SourceError: unreadable, without `id` and `title`, or without a product.
    """
    frame = _read(path)
    absent = [name for name in _REQUIRED if name not in frame.columns]
    if absent:
        raise SourceError(f"{path}: missing columns {absent}; it has {frame.columns}.")
    products: dict[str, Product] = {}
    nameless = 0
    for row in frame.iter_rows(named=True):
        product_id = _word(row["id"])
        if product_id is None:
            nameless += 1
            continue
        if product_id in products:
            continue
        released = str(row.get("date_released") or "")[:4]
        attributes: dict[str, Any] = {}
        if row.get("name"):
            attributes["model"] = str(row["name"])
        if released.isdigit():
            attributes["year"] = int(released)
        products[product_id] = Product(
            product_id=product_id,
            title=(_word(row["title"]) or product_id)[:500],
            description=str(row.get("short_description") or row.get("description") or ""),
            brand=_word(row.get("supplier")) or _word(row.get("brand")),
            category=tuple(p for p in str(row.get("category") or "").split(" > ") if p),
            type=_word(row.get("type")),
            price_minor=_cents(row.get("price_cents")),
            attributes=attributes,
        )
    twice = len(frame) - nameless - len(products)
    if nameless or twice:
        log.warning("%s: left out %d rows without id, %d repeated ids", path, nameless, twice)
    if not products:
        raise SourceError(f"{path}: holds no product.")
    return list(products.values())


def _word(value: Any) -> str | None:
    """Return a cell as text; None where it says nothing."""
    return str(value).strip() or None if value is not None else None


def _cents(value: Any) -> int | None:
    """Return a price in cents; None where the cell holds none.

    >>> _cents("1999"), _cents(-1), _cents("on request")
    (1999, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if 0 <= number < 1e12 else None


def read_judgements(path: Path, known: Sequence[str]) -> list[Query]:
    """Read judgements `query, docid, rating`.

    Those of unknown products, without a query, or without a rating are left out; of two for one
    query and product the last one counts.

    Raises:
        SourceError: unreadable, without these columns, with a rating that is no whole number from
            0 to 3, or no query with a relevant product is left.
    """
    frame = _read(path)
    absent = [name for name in ("query", "docid", "rating") if name not in frame.columns]
    if absent:
        raise SourceError(f"{path}: missing columns {absent}; it has {frame.columns}.")
    ids = set(known)
    queries: dict[str, dict[str, int]] = {}
    unknown = blank = 0
    for row, cells in enumerate(frame.select("query", "docid", "rating").iter_rows(), 1):
        text, docid, rating = (_word(cell) for cell in cells)
        if text is None or docid is None or rating is None:
            blank += 1
        elif docid not in ids:
            unknown += 1
        else:
            queries.setdefault(text, {})[docid] = _grade(rating, path, row)
    if unknown or blank:
        log.warning(
            "%s: left out %d judgements of unknown products, %d with an empty cell",
            path, unknown, blank,
        )  # fmt: skip
    if not queries:
        raise SourceError(f"{path}: no judgement names a product of the catalogue.")
    if not any(any(grades.values()) for grades in queries.values()):
        raise SourceError(f"{path}: no query has a product with a rating above 0.")
    return [Query(text, queries[text]) for text in sorted(queries)]


def _grade(text: str, path: Path, row: int) -> int:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number not in GRADES:
        raise SourceError(f"{path}: row {row}: rating {text!r} is none of 0, 1, 2, 3.")
    return int(number)


def _read(path: Path) -> pl.DataFrame:
    """Read a table; cells of a CSV stay text, so that an id `007` is one."""
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())
        raise SourceError(f"{path}: cannot be read as a table ({said[:200]}).") from error


class CachingEncoder:
    """An encoder whose vectors are kept in a file by text hash, so that a second run is quick."""

    def __init__(self, make: Callable[[], Encoder], width: int, path: Path) -> None:
        """Keep vectors at `path`; `make` opens the model when a text is new."""
        self.width = width
        self._make, self._path, self._model = make, path, None
        self._known: dict[str, FloatArray] = {}
        if path.is_file():
            held = TextVectors.load(path)
            self._known = dict(zip(held.hashes, held.rows, strict=True))

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return (B, D) unit rows."""
        hashes = [text_hash(text) for text in texts]
        absent = {h: t for h, t in zip(hashes, texts, strict=True) if h not in self._known}
        if absent:
            if self._model is None:
                self._model = self._make()
            made = self._model.encode(list(absent.values()))
            self._known.update(zip(absent, made, strict=True))
        return np.stack([self._known[h] for h in hashes])

    def save(self) -> None:
        """Write what is known, sorted by hash."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        hashes = sorted(self._known)
        TextVectors(hashes, np.stack([self._known[h] for h in hashes])).save(self._path)


def shipped_encoder(cache: Path) -> CachingEncoder:
    """Return the packaged encoder behind a cache.

    Raises:
        SourceError: the package is not installed.
    """
    folder = packaged_folder()
    if folder is None:
        raise SourceError("The packaged encoder is not installed. Run `make setup`.")

    def make() -> Encoder:
        from components.text.encoder import TextEncoder

        return TextEncoder.from_folder(folder, max_tokens=48)

    return CachingEncoder(make, 384, cache / "minilm.npz")


def tuned_on_catalogue(products: Sequence[Product], *, steps: int, batch: int = 32) -> Encoder:
    """Fine-tune the packaged encoder on the catalogue alone: parts of a product find its title.

    The "query" of a product is its kind, its brand and kind, or some words of its description. The
    judgements are not used.
    """
    import torch

    from components.search.features import head_of
    from components.text.encoder import TextEncoder, token_ids
    from components.text.losses import info_nce
    from components.text.training import freeze, optimiser_of, rate_at

    folder = packaged_folder()
    if folder is None:
        raise SourceError("The packaged encoder is not installed. Run `make setup`.")
    generator = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    encoder = TextEncoder.from_folder(folder, max_tokens=48)
    freeze(encoder, embeddings=True, layers=3)
    optimiser = optimiser_of([encoder.body], learning_rate=2e-5, weight_decay=0.01)
    kinds = [" ".join(head_of(p)) for p in products]
    usable = [i for i, kind in enumerate(kinds) if kind]
    if len(usable) < batch:
        return encoder
    for step in range(steps):
        places = generator.choice(usable, batch, replace=False)
        asked, said = [], []
        for place in places:
            product, kind = products[place], kinds[place]
            words = stems(product.description)
            start = int(generator.integers(0, max(1, len(words) - 4)))
            options = [
                kind,
                f"{product.brand or ''} {kind}",
                " ".join(words[start : start + 5]) or kind,
            ]
            asked.append(options[int(generator.integers(3))])
            said.append(product.title)
        same = torch.tensor([[kinds[a] == kinds[b] for b in places] for a in places])
        for group in optimiser.param_groups:
            group["lr"] = 2e-5 * rate_at(step, steps, 0.1)
        loss = info_nce(
            encoder.embed(token_ids(encoder.tokenizer, asked)),
            encoder.embed(token_ids(encoder.tokenizer, said)),
            temperature=0.05,
            false_negatives=same,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    encoder.body.eval()
    return encoder


def misspelt(text: str, count: int, seed: int) -> str:
    """Return a text with `count` slips: a swapped, dropped, doubled or wrong letter.

    Slips fall on words of four letters and more where there are any, never on the first letter.
    The second falls on another word where there is one; a lone word takes it from six letters on.

    >>> misspelt("keyboard", 1, 0) != "keyboard"
    True
    """
    generator = np.random.default_rng([seed, *text.encode()])
    words = text.split(" ")
    hit: set[int] = set()
    for _ in range(count):
        least = 4 if any(len(w) >= 4 for w in words) else 3
        fit = [n for n, w in enumerate(words) if len(w) >= least and n not in hit]
        fit = fit or [n for n in hit if len(words[n]) >= 6]
        if not fit:
            break
        sizes = np.asarray([len(words[n]) for n in fit], float)
        chosen = fit[int(generator.choice(len(fit), p=sizes / sizes.sum()))]
        hit.add(chosen)
        words[chosen] = _slipped(words[chosen], generator)
    return " ".join(words)


def _slipped(word: str, generator: np.random.Generator) -> str:
    place = int(generator.integers(1, len(word)))
    kind = int(generator.integers(4))
    if kind == 0 and place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    if kind == 2:
        return word[:place] + word[place] + word[place:]
    letter = "abcdefghijklmnopqrstuvwxyz"[int(generator.integers(26))]
    return word[:place] + letter + word[place + 1 :]


def query_class(text: str, engine: SearchEngine) -> str:
    """Return the class of a query: brand, with_number, one_word or more_words."""
    parsed = engine.parse(text)
    if any(m.field == "brand" for m in parsed.mentions):
        return "brand"
    if any(c.isdigit() for c in text):
        return "with_number"
    return "one_word" if len(stems(text)) == 1 else "more_words"


def folds_of(queries: Sequence[str]) -> NDArray[np.int64]:
    """Assign queries to folds; those that differ in blanks and plurals alone stay together.

    There are as many folds as groups of such queries, `FOLDS` at most; with a single one nothing
    is left to learn from, and what is tuned takes its default.
    """
    groups = ["".join(stems(text)) for text in queries]
    unique = sorted(set(groups))
    order = np.random.default_rng(SEED).permutation(len(unique))
    fold = {unique[place]: n % min(FOLDS, len(unique)) for n, place in enumerate(order)}
    return np.asarray([fold[group] for group in groups])


@dataclass(frozen=True)
class _Field:
    """What every model ranks."""

    queries: list[Query]
    ids: list[str]
    row: dict[str, int]

    def ndcg(self, rankings: Sequence[Sequence[int]], *, condensed: bool) -> FloatArray:
        """Return (Q,) NDCG@10; NaN for a query without a relevant product."""
        gains = np.zeros((len(self.queries), K))
        for n, (query, ranked) in enumerate(zip(self.queries, rankings, strict=True)):
            judged = {self.row[i]: g for i, g in query.grades.items()}
            kept = [r for r in ranked if r in judged] if condensed else list(ranked)
            gains[n, : len(kept[:K])] = [judged.get(r, 0) for r in kept[:K]]
        ideal = [list(q.grades.values()) for q in self.queries]
        return graded_ndcg_at_k(gains, ideal, k=K)

    def judged(self, rankings: Sequence[Sequence[int]]) -> FloatArray:
        """Return (Q,) share of the first ten that is judged."""
        out = np.zeros(len(self.queries))
        for n, (query, ranked) in enumerate(zip(self.queries, rankings, strict=True)):
            known = {self.row[i] for i in query.grades}
            out[n] = sum(r in known for r in ranked[:K]) / K
        return out


def _bm25(products: Sequence[Product], texts: Sequence[str]) -> dict[float, list[Hits]]:
    """Return BM25's rankings of plain query words, by the weight of the title."""
    parts = [field_texts(p) for p in products]
    found = {}
    for weight in TITLE_WEIGHTS:
        weights = FieldWeights(title=weight, brand=1, kind=1, description=1, values=0)
        index = LexicalIndex(weights=weights)
        index.add(range(len(products)), [{n: p[n] for n in PARTS if n != "values"} for p in parts])
        found[weight] = [index.search(WordQuery.of(text), k=DEPTH) for text in texts]
    return found


def _mean(values: FloatArray) -> float:
    """Return the mean of what is defined; 0 where nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else 0.0


def _chosen(
    field: _Field, folds: NDArray[np.int64], options: Mapping[float, Sequence[Hits]]
) -> list[Hits]:
    """Choose an option on the training queries of each fold, and apply it to the fold's."""
    scores = {
        name: field.ndcg([h.rows.tolist() for h in hits], condensed=False)
        for name, hits in options.items()
    }
    out: list[Hits] = [Hits()] * len(folds)
    for fold in range(int(folds.max()) + 1):
        rest = folds != fold
        best = max(scores, key=lambda name: (round(_mean(scores[name][rest]), 9), -name))
        for n in np.flatnonzero(~rest).tolist():
            out[n] = options[best][n]
    return out


def _followed(first: Sequence[int], then: Sequence[int]) -> list[int]:
    seen = set(first)
    return [*first, *(r for r in then if r not in seen)]


class _Bench:
    """The models over one catalogue and one set of queries."""

    def __init__(self, products: list[Product], queries: list[Query], cache: Path) -> None:
        ids = [p.product_id for p in products]
        self.field = _Field(queries, ids, {i: n for n, i in enumerate(ids)})
        self.products, self.queries = products, queries
        self.encoder = shipped_encoder(cache)
        titles = self.encoder.encode([p.title for p in products])
        self.titles = titles
        self.engine = SearchEngine.from_products(
            Catalogue.from_products(products),
            self.encoder,
            vectors=dict(zip(ids, titles, strict=True)),
            weights=FieldWeights(title=3, brand=1, kind=1, description=1, values=0),
        )
        self.encoder.encode([q.text for q in queries])
        self.encoder.save()
        self.folds = folds_of([q.text for q in queries])

    def lexical(self, texts: Sequence[str]) -> list[Hits]:
        return _chosen(self.field, self.folds, _bm25(self.products, texts))

    def dense(self, texts: Sequence[str], encoder: Encoder, rows: FloatArray) -> list[Hits]:
        scores = encoder.encode(list(texts)) @ rows.T
        found, best = best_columns(scores, DEPTH)
        return [Hits(r, s) for r, s in zip(found, best, strict=True)]

    def hybrid(self, words: Sequence[Hits], meaning: Sequence[Hits]) -> list[Hits]:
        options = {
            weight: [
                weighted_fusion([w, m], [1.0, weight]) for w, m in zip(words, meaning, strict=True)
            ]
            for weight in MEANING_WEIGHTS
        }
        return _chosen(self.field, self.folds, options)

    def described(self, texts: Sequence[str]) -> list[tuple[list[int], FloatArray]]:
        out = []
        for text in texts:
            ids, features = self.engine.candidates(text, depth=CANDIDATES)
            out.append(([self.field.row[i] for i in ids], features))
        return out

    def rankers(self) -> list[LearnedRanker | None]:
        """Fit one ranker per fold, on the other folds' queries; None where they are too few."""
        described = self.described([q.text for q in self.queries])
        grades = [
            np.asarray([q.grades.get(self.field.ids[r], -1) for r in rows], np.int64)
            for q, (rows, _) in zip(self.queries, described, strict=True)
        ]
        fitted: list[LearnedRanker | None] = []
        for fold in range(int(self.folds.max()) + 1):
            kept = [n for n in range(len(self.queries)) if self.folds[n] != fold and len(grades[n])]
            if sum(bool((grades[n] > 0).any()) for n in kept) < LEAST_LESSONS:
                fitted.append(None)
                continue
            fitted.append(
                LearnedRanker().fit([described[n][1] for n in kept], [grades[n] for n in kept])
            )
        return fitted

    def ranked(
        self, texts: Sequence[str], rankers: Sequence[LearnedRanker | None], tail: Sequence[Hits]
    ) -> list[list[int]]:
        out = []
        for n, text in enumerate(texts):
            ids, _ = self.engine.ranked(text, ranker=rankers[self.folds[n]], depth=CANDIDATES)
            out.append(_followed([self.field.row[i] for i in ids], tail[n].rows.tolist()))
        return out


def run(products: Path, judgements: Path, out: Path, *, tune_steps: int = 150) -> dict[str, Any]:
    """Run P3 and write its report.

    Args:
        products: see `read_products`.
        judgements: see `read_judgements`.
        out: the report (JSON).
        tune_steps: of fine-tuning on the catalogue.

    Returns:
        What was written. Timings go to `var/timings.json`.

    Raises:
        SourceError: an input cannot be used.
    """
    started = time.perf_counter()
    layout = Layout()
    shelf = read_products(Path(products))
    queries = read_judgements(Path(judgements), [p.product_id for p in shelf])
    bench = _Bench(shelf, queries, layout.var / "cache")
    texts = [q.text for q in queries]
    words = bench.lexical(texts)
    meaning = bench.dense(texts, bench.encoder, bench.titles)
    tuned = tuned_on_catalogue(shelf, steps=tune_steps)
    tuned_meaning = bench.dense(texts, tuned, tuned.encode([p.title for p in shelf]))
    rankers = bench.rankers()
    generator = np.random.default_rng(SEED)
    rankings: dict[str, list[list[int]]] = {
        "random": [generator.permutation(len(shelf))[:DEPTH].tolist() for _ in queries],
        "bm25": [h.rows.tolist() for h in words],
        "dense": [h.rows.tolist() for h in meaning],
        "dense_finetuned": [h.rows.tolist() for h in tuned_meaning],
        "hybrid": [h.rows.tolist() for h in bench.hybrid(words, meaning)],
        "ranked": bench.ranked(texts, rankers, words),
    }
    rows = _rows(bench, rankings, texts) + _typo_rows(bench, rankers, rankings, texts)
    report = write_report(
        Path(out),
        protocol="P3 search relevance",
        dataset=f"{len(shelf)} products, {len(queries)} queries, "
        f"{sum(len(q.grades) for q in queries)} judgements",
        split=_split(bench.folds, rankers),
        cut_off="none",
        n=int(np.isfinite(bench.field.ndcg(rankings["bm25"], condensed=False)).sum()),
        seed=SEED,
        rows=rows,
    )
    _write_timing(layout.var / "timings.json", time.perf_counter() - started)
    return report


def _split(folds: NDArray[np.int64], rankers: Sequence[LearnedRanker | None]) -> str:
    """Say how what was learned was parted from what is reported."""
    count = int(folds.max()) + 1
    if count == 1:
        return "a single query: nothing is learned or tuned"
    said = f"{count}-fold cross-validation over queries, near-duplicates together"
    unfitted = sum(ranker is None for ranker in rankers)
    return f"{said}; too few queries to fit a ranker in {unfitted} folds" if unfitted else said


def _rows(
    bench: _Bench, rankings: Mapping[str, list[list[int]]], texts: Sequence[str]
) -> list[dict[str, Any]]:
    field = bench.field
    classes = np.asarray([query_class(text, bench.engine) for text in texts])
    slices = {"all": np.ones(len(texts), np.bool_)}
    slices |= {name: classes == name for name in sorted(set(classes))}
    rows = []
    for view in ("all", "condensed"):
        base = field.ndcg(rankings["bm25"], condensed=view == "condensed")
        for name, chosen in slices.items():
            for model, lists in rankings.items():
                values = field.ndcg(lists, condensed=view == "condensed")
                mean, low, high = mean_interval(values[chosen], n=2000, seed=SEED)
                gain = paired_interval(values[chosen], base[chosen], n=2000, seed=SEED)
                rows.append(
                    {
                        "model": model, "shipped": model == "ranked", "slice": name, "judged": view,
                        "n": int(np.isfinite(values[chosen]).sum()),
                        "ndcg@10": mean, "ndcg@10_low": low, "ndcg@10_high": high,
                        "gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high,
                        "judged@10": float(field.judged(lists)[chosen].mean()),
                    }
                )  # fmt: skip
    return rows


def _typo_rows(
    bench: _Bench,
    rankers: Sequence[LearnedRanker | None],
    rankings: Mapping[str, list[list[int]]],
    texts: Sequence[str],
) -> list[dict[str, Any]]:
    """Return how much of the clean NDCG is kept with one and with two slips per query."""
    field, rows = bench.field, []
    clean = {m: field.ndcg(rankings[m], condensed=False) for m in ("bm25", "ranked")}
    for count in (1, 2):
        slipped = [misspelt(text, count, SEED) for text in texts]
        words = bench.lexical(slipped)
        noisy = {
            "bm25": [h.rows.tolist() for h in words],
            "ranked": bench.ranked(slipped, rankers, words),
        }
        for model, lists in noisy.items():
            values = field.ndcg(lists, condensed=False)
            mean, low, high = mean_interval(values, n=2000, seed=SEED)
            rows.append(
                {
                    "model": model, "shipped": model == "ranked",
                    "slice": f"typos_{count}", "judged": "all",
                    "n": int(np.isfinite(values).sum()),
                    "ndcg@10": mean, "ndcg@10_low": low, "ndcg@10_high": high,
                    "kept": _mean(values) / base if (base := _mean(clean[model])) else float("nan"),
                }
            )  # fmt: skip
    return rows


def _write_timing(path: Path, seconds: float) -> None:
    import json
    import resource

    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held["bench_search"] = {"seconds": round(seconds, 1), "peak_mib": round(peak)}
    write_json(path, held)

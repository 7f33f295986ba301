"""Where words and vectors are looked up: one `SearchIndex` interface, and the embedded engine.

`LexicalIndex` is tantivy (BM25 over the weighted parts of a product), `VectorIndex` is faiss,
exact, HNSW or inverted lists; `EmbeddedIndex` is both. Hard constraints come as a mask over rows
and are pushed down. A distributed engine would implement `SearchIndex` the same way. Ranking beyond
the two scores is not done here.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from components.contracts.errors import MissingExtraError
from components.contracts.records import Product
from components.data.words import stems

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
PARTS = ("title", "brand", "kind", "description", "values")
_FEW = 2000  # up to so many allowed rows are named one by one to the engine
_EXACT = 10_000  # up to so many allowed rows are all compared, whatever the index
_LISTS, _LEAST_LISTS = 0.025, 8  # share of the inverted lists that a search reads


@dataclass(frozen=True)
class FieldWeights:
    """How often a word counts in each part of a product; the defaults are those of `params.yaml`.

    All parts lie in one field (BM25F): a word's weighted occurrences are summed before they
    saturate, which ranked better than a sum of one BM25 per field. Weights are rounded to whole
    repetitions, at least one; 0 leaves a part out.
    """

    title: float = 3.0
    brand: float = 1.0
    kind: float = 1.5
    description: float = 0.5
    values: float = 0.5

    def times(self, name: str) -> int:
        """Return how many times a part is written to the index."""
        weight = float(getattr(self, name))
        return 0 if weight <= 0 else max(1, int(weight + 0.5))


@dataclass(frozen=True)
class Hits:
    """Rows and scores, best first; ties go to the smaller row."""

    rows: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))


@runtime_checkable
class SearchIndex(Protocol):
    """Looks up words and vectors among rows; an implementation passes the conformance suite."""

    def add(self, rows: Sequence[int], products: Sequence[Product], vectors: Any = None) -> None:
        """Make new rows searchable when it returns; `vectors` is (n, D) or None."""
        ...

    def remove(self, rows: Sequence[int]) -> None:
        """Make rows unsearchable when it returns."""
        ...

    def words(self, query: "WordQuery", *, k: int, allowed: Any = None) -> Hits:
        """Return the best `k` rows by words, of those that `allowed` (V,) permits."""
        ...

    def nearest(self, vector: Any, *, k: int, allowed: Any = None) -> Hits:
        """Return the best `k` rows by inner product, of those that `allowed` (V,) permits."""
        ...


@dataclass(frozen=True)
class WordQuery:
    """Words to look for. A group is one thing asked for: any of its phrases will do.

    `phrases` are (stems, weight); the first is what was typed, the others widen it.
    """

    phrases: tuple[tuple[tuple[str, ...], float], ...]
    fuzzy: tuple[str, ...] = ()  # stems for which near spellings count too, at a fraction

    @classmethod
    def of(cls, text: str, expansions: Sequence[str] = (), *, weight: float = 0.4) -> "WordQuery":
        """Make a query of plain text and of other phrases for it."""
        first = tuple(dict.fromkeys(stems(text)))
        others = [tuple(dict.fromkeys(stems(e))) for e in expansions]
        return cls(((first, 1.0), *((o, weight) for o in others if o and o != first)))


def field_texts(product: Product) -> dict[str, str]:
    """Return the stems of a product by part, joined by blanks."""
    values = []
    for name, value in product.attributes.items():
        if isinstance(value, str):
            values.append(value)
        elif isinstance(value, list | tuple):
            values += [v for v in value if isinstance(v, str)]
        elif value is True:
            values.append(name.replace("_", " "))
    for variant in product.variants:
        values += variant.options.values()
    kind = [product.type or "", *product.category]
    return {
        "title": " ".join(stems(product.title)),
        "brand": " ".join(stems(product.brand)) if product.brand else "",
        "kind": " ".join(s for k in dict.fromkeys(kind) for s in stems(k)),
        "description": " ".join(stems(product.description)),
        "values": " ".join(s for v in dict.fromkeys(values) for s in stems(v)),
    }


class LexicalIndex:
    """BM25F by tantivy, in memory or in a folder; one writer, readers see whole commits."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        weights: FieldWeights | None = None,
        heap_bytes: int = 64_000_000,
    ) -> None:
        """Open an empty index.

        Args:
            folder: where it lies; None keeps it in memory.
            weights: of the parts of a product.
            heap_bytes: of the writer, for its single thread.

        Raises:
            MissingExtraError: tantivy is not installed.
        """
        try:
            import tantivy
        except ImportError as error:
            raise MissingExtraError(
                "Search needs the extra `serve`: pip install -e '.[serve]'."
            ) from error
        self._tantivy = tantivy
        self._times = {name: (weights or FieldWeights()).times(name) for name in PARTS}
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("all", stored=False, tokenizer_name="words")
        builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
        self._schema = builder.build()
        if folder is None:
            self._index = tantivy.Index(self._schema)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = tantivy.Index(self._schema, path=str(folder))
        analyser = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("words", analyser)
        self._writer = self._index.writer(heap_bytes, 1)
        self._lock = threading.Lock()
        self._searcher = self._index.searcher()

    def add(self, rows: Sequence[int], texts: Sequence[dict[str, str]]) -> None:
        """Add rows by the stems of their parts; searchable when it returns."""
        with self._lock:
            for row, text in zip(rows, texts, strict=True):
                document = self._tantivy.Document()
                parts = [" ".join([value] * self._times[name]) for name, value in text.items()]
                document.add_text("all", " ".join(part for part in parts if part))
                document.add_unsigned("row", int(row))
                self._writer.add_document(document)
            self._commit()

    def remove(self, rows: Sequence[int]) -> None:
        """Remove rows; gone when it returns."""
        with self._lock:
            query = self._tantivy.Query.term_set_query(self._schema, "row", [int(r) for r in rows])
            self._writer.delete_documents_by_query(query)
            self._commit()

    def _commit(self) -> None:
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(
        self,
        query: WordQuery,
        *,
        k: int,
        allowed: BoolArray | None = None,
        everything: bool = False,
    ) -> Hits:
        """Return the best `k` rows by BM25.

        Args:
            query: the words.
            k: rows wanted.
            allowed: (V,) bool, the rows that meet the hard constraints.
            everything: whether a row must hold all words of one phrase, somewhere.
        """
        asked = self._query(query, everything)
        if asked is None or k <= 0:
            return Hits()
        tantivy, searcher = self._tantivy, self._searcher
        wanted = k
        if allowed is not None:
            count = int(np.count_nonzero(allowed))
            if count == 0:
                return Hits()
            if count <= _FEW:
                rows = np.flatnonzero(allowed).tolist()
                only = tantivy.Query.const_score_query(
                    tantivy.Query.term_set_query(self._schema, "row", rows), 0.0
                )
                asked = tantivy.Query.boolean_query(
                    [(tantivy.Occur.Must, asked), (tantivy.Occur.Must, only)]
                )
            elif count < len(allowed):
                wanted = min(len(allowed), int(k * len(allowed) / count * 1.3) + 16)
        while True:
            hits = searcher.search(asked, limit=max(wanted, 1), count=False).hits
            if not hits:
                return Hits()
            rows_found = np.asarray(
                searcher.fast_field_values("row", [address for _, address in hits]), np.int64
            )
            scores = np.asarray([score for score, _ in hits], np.float32)
            if allowed is not None:
                inside = rows_found < len(allowed)
                inside[inside] = allowed[rows_found[inside]]
                rows_found, scores = rows_found[inside], scores[inside]
            if len(rows_found) >= k or len(hits) < wanted:
                break
            wanted *= 4
        order = np.lexsort((rows_found, -scores))[:k]
        return Hits(rows_found[order], scores[order])

    def _term(self, word: str, *, fuzzy: bool) -> Any:
        query, occur = self._tantivy.Query, self._tantivy.Occur
        exact = query.term_query(self._schema, "all", word)
        if not fuzzy:
            return exact
        near = query.fuzzy_term_query(self._schema, "all", word, 1, True)
        both = [(occur.Should, exact), (occur.Should, query.boost_query(near, 0.3))]
        return query.boolean_query(both)

    def _query(self, asked: WordQuery, everything: bool) -> Any:
        query, occur = self._tantivy.Query, self._tantivy.Occur
        phrases = []
        for words, weight in asked.phrases:
            if not words:
                continue
            how = occur.Must if everything else occur.Should
            terms = [(how, self._term(w, fuzzy=w in asked.fuzzy)) for w in words]
            phrases.append(query.boost_query(query.boolean_query(terms), weight))
        if not phrases:
            return None
        return phrases[0] if len(phrases) == 1 else query.disjunction_max_query(phrases, 0.2)


class VectorIndex:
    """Unit vectors by faiss: exact inner product, HNSW, or inverted lists for large catalogues."""

    def __init__(self, width: int, *, kind: str = "flat") -> None:
        """Open an empty index.

        Args:
            width: D of the vectors.
            kind: `flat` (exact), `hnsw` (quick to ask, slow to build) or `ivf` (the lists are
                learned from the first vectors added; a million are ready in minutes).

        Raises:
            MissingExtraError: faiss is not installed.
        """
        try:
            import faiss
        except ImportError as error:
            raise MissingExtraError(
                "Vector search needs the extra `serve`: pip install -e '.[serve]'."
            ) from error
        self._faiss: Any = faiss
        self.kind = kind
        self._index: Any
        if kind == "hnsw":
            self._index = faiss.IndexHNSWFlat(width, 32, faiss.METRIC_INNER_PRODUCT)
            self._index.hnsw.efConstruction = 80
            self._index.hnsw.efSearch = 128
        else:
            self._index = faiss.IndexFlatIP(width)
        self._lock = threading.Lock()
        self._rows = np.zeros(0, np.int64)  # faiss place -> row
        self._is_alive = np.zeros(0, np.bool_)
        self._is_in_place = True  # every row lies at its own place

    def _with_lists(self, vectors: FloatArray) -> Any:
        """Return an empty index of inverted lists, learned from a sample of vectors."""
        faiss, width = self._faiss, vectors.shape[1]
        lists = max(1, int(len(vectors) ** 0.5))
        made = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT
        )
        made.cp.niter, made.cp.max_points_per_centroid = 10, 64
        made.cp.min_points_per_centroid = 1  # small catalogues need no warning
        made.train(vectors)
        made.set_direct_map_type(faiss.DirectMap.Array)
        return made

    def __len__(self) -> int:
        """Return the number of vectors, removed ones too."""
        return len(self._rows)

    def add(self, rows: Sequence[int], vectors: FloatArray) -> None:
        """Add (n, D) vectors for rows."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if not len(vectors):
            return
        with self._lock:
            if self.kind == "ivf" and not len(self._rows):
                self._index = self._with_lists(vectors)
            self._index.add(vectors)
            start = len(self._rows)
            self._is_in_place &= bool(np.array_equal(rows, np.arange(start, start + len(rows))))
            self._rows = np.concatenate([self._rows, np.asarray(rows, np.int64)])
            self._is_alive = np.concatenate([self._is_alive, np.ones(len(rows), np.bool_)])

    def remove(self, rows: Sequence[int]) -> None:
        """Leave rows out of later answers; their memory is freed by the next rebuild."""
        with self._lock:
            alive = self._is_alive.copy()
            alive[np.isin(self._rows, np.asarray(rows, np.int64))] = False
            self._is_alive = alive

    def vectors(self, rows: IntArray) -> FloatArray:
        """Return (n, D) vectors of rows; zeros for a row without one."""
        out = np.zeros((len(rows), self._index.d), np.float32)
        if not len(self._rows):
            return out
        is_identity = len(rows) == 0 or (self._rows[-1] == len(self._rows) - 1)
        places = np.asarray(rows) if is_identity else np.searchsorted(self._rows, rows)
        known = places < len(self._rows)
        known[known] = self._rows[places[known]] == np.asarray(rows)[known]
        if known.any():
            out[known] = self._index.reconstruct_batch(places[known].astype(np.int64))
        return out

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Let this thread's query run on one core.

        A single query gains nothing from more, and loses much: it waits for cores in use, and the
        idle threads spin after it.
        """
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)
        try:
            yield
        finally:
            self._faiss.omp_set_num_threads(before)

    def search(self, vector: FloatArray, *, k: int, allowed: BoolArray | None = None) -> Hits:
        """Return the best `k` rows by inner product.

        Args:
            vector: (D,).
            k: rows wanted.
            allowed: (V,) bool over rows; None allows all.
        """
        rows, alive = self._rows, self._is_alive
        if not len(rows) or k <= 0:
            return Hits()
        selected = alive
        if allowed is not None and self._is_in_place:
            selected = np.zeros(len(rows), np.bool_)
            both = min(len(rows), len(allowed))
            np.logical_and(alive[:both], allowed[:both], out=selected[:both])
        elif allowed is not None:
            inside = rows < len(allowed)
            selected = alive & inside
            selected[inside] &= allowed[rows[inside]]
        count = int(np.count_nonzero(selected))
        if not count:
            return Hits()
        asked = np.ascontiguousarray(vector, np.float32)[None]
        if self.kind != "flat" and count <= _EXACT:
            # A search of a few lists or links would miss most of so few.
            chosen = np.flatnonzero(selected)
            scores_of = self._index.reconstruct_batch(chosen) @ asked[0]
            order = np.lexsort((rows[chosen], -scores_of))[:k]
            return Hits(rows[chosen][order], scores_of[order].astype(np.float32))
        picked = None
        if count < len(rows):
            faiss = self._faiss
            if count <= _FEW:
                picked = faiss.IDSelectorBatch(np.flatnonzero(selected).astype(np.int64))
            else:
                picked = faiss.IDSelectorBitmap(np.packbits(selected, bitorder="little"))
        options = self._options(picked, count / len(rows))
        with self._one_thread():
            scores, places = self._index.search(asked, min(k, count), params=options)
        found = places[0] >= 0
        rows_found, best = rows[places[0][found]], scores[0][found]
        order = np.lexsort((rows_found, -best))
        return Hits(rows_found[order], best[order])

    def _options(self, picked: Any, share: float) -> Any:
        """Return faiss' parameters of one search; fewer allowed rows need more lists."""
        faiss = self._faiss
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=picked, efSearch=128)
        if self.kind == "ivf":
            lists = min(self._index.nlist, max(_LEAST_LISTS, int(self._index.nlist * _LISTS)))
            lists = min(self._index.nlist, int(lists / share + 1))
            return faiss.SearchParametersIVF(sel=picked, nprobe=lists)
        return None if picked is None else faiss.SearchParameters(sel=picked)


class EmbeddedIndex:
    """The default `SearchIndex`: tantivy and faiss in this process."""

    def __init__(
        self,
        *,
        width: int | None = None,
        vectors: str = "flat",
        weights: FieldWeights | None = None,
        folder: Path | None = None,
    ) -> None:
        """Open an empty index.

        Args:
            width: D of the vectors; None for an index of words alone.
            vectors: `flat`, `hnsw` or `ivf`.
            weights: of the fields.
            folder: where the lexical part lies; None keeps it in memory.
        """
        self.lexical = LexicalIndex(folder, weights=weights)
        self.vector = None if width is None else VectorIndex(width, kind=vectors)

    def add(
        self, rows: Sequence[int], products: Sequence[Product], vectors: FloatArray | None = None
    ) -> None:
        """Make rows searchable; without vectors they are found by words alone."""
        self.lexical.add(rows, [field_texts(p) for p in products])
        if self.vector is not None and vectors is not None and len(rows):
            self.vector.add(rows, vectors)

    def remove(self, rows: Sequence[int]) -> None:
        """Make rows unsearchable."""
        if len(rows):
            self.lexical.remove(rows)
            if self.vector is not None:
                self.vector.remove(rows)

    def words(self, query: WordQuery, *, k: int, allowed: BoolArray | None = None) -> Hits:
        """Return the best rows by BM25."""
        return self.lexical.search(query, k=k, allowed=allowed)

    def nearest(self, vector: FloatArray, *, k: int, allowed: BoolArray | None = None) -> Hits:
        """Return the best rows by inner product; none for an index of words alone."""
        if self.vector is None:
            return Hits()
        return self.vector.search(vector, k=k, allowed=allowed)

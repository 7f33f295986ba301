"""SearchEngine: the only entry to search. A request goes in, ranked products and reasons come out.

A query is parsed; its hard constraints become a mask over rows; words and vectors propose
candidates inside the mask; the ranker orders them; facets, paging, and ways out of an empty result
follow. All a request reads hangs on one snapshot, so an upsert or a reload never mixes two states.
"""

import base64
import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import read_manifest, sha256_of_json
from components.contracts.errors import ArtefactError
from components.contracts.messages import (
    Facet,
    Filters,
    Relaxation,
    ScoredProduct,
    SearchRequest,
    Span,
    Suggestion,
)
from components.contracts.protocols import Encoder
from components.contracts.records import Product, Variant
from components.data.catalogue import Catalogue
from components.data.filters import FilterTable, fitting_variants
from components.data.words import fold, stems
from components.search.arrange import Arrange, Listing
from components.search.facets import FacetCounter
from components.search.features import NAMES, Asked, Signals, card_of
from components.search.index import EmbeddedIndex, FieldWeights, Hits, WordQuery
from components.search.lexicon import Lexicon, load_lexicon
from components.search.query import ParsedQuery, parse_query
from components.search.ranker import LearnedRanker, prior
from components.search.relax import WORDS, smallest_relaxations, without
from components.search.shelf import Shelf, compare_readings
from components.search.suggest import QueryLog, Suggester
from components.search.vocabulary import Vocabulary
from components.text.purchase_intent import PurchaseHead
from components.text.texts import product_text

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Affinity = Callable[[Sequence[str]], FloatArray]
ARTEFACT = "index"
DEPTH = 200  # candidates by words, and as many by meaning
MEANT = 0.5  # similarity from which a product counts as an answer without sharing a word
NEAR = 0.9  # of the shop's nearest product, for answers where no word of the query helps
COVERED = 0.5  # share of the query's informative words that an answer must hold
_ENCODING = ThreadPoolExecutor(max_workers=8, thread_name_prefix="encode")
_NOT_YET: Mapping[str, Future[Any]] = {}
AHEAD = 200_000  # rows from which filters and words cost more than handing a query over
ODDS = 0.15  # of a reading's log odds against what was typed, in its products' scores


@dataclass(frozen=True)
class SearchResult:
    """The fields of `messages.SearchResponse` that search itself knows."""

    products: tuple[ScoredProduct, ...] = ()
    degraded: tuple[str, ...] = ()
    query: str = ""
    corrected_query: str | None = None
    understood: Filters = field(default_factory=Filters)
    spans: tuple[Span, ...] = ()
    intent: str | None = None
    intent_confidence: float | None = None
    category: str | None = None
    category_confidence: float | None = None
    total: int = 0
    facets: tuple[Facet, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    relaxed: tuple[str, ...] = ()
    cursor: str | None = None
    parsed: ParsedQuery | None = None


@dataclass(frozen=True)
class _Snapshot:
    """What a request reads."""

    version: int
    table: FilterTable
    vocabulary: Vocabulary
    suggester: Suggester
    products: Mapping[str, Product]  # as the table says of them


@dataclass(frozen=True)
class _Found:
    """Candidates of all readings of a query; a product may stand here once per reading."""

    rows: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    features: FloatArray = field(default_factory=lambda: np.zeros((0, len(NAMES)), np.float32))
    is_answer: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    odds: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    by_words: frozenset[int] = frozenset()
    by_meaning: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Ranked:
    """The whole answer to a query, before it is cut into pages."""

    rows: IntArray
    scores: FloatArray
    by_words: frozenset[int]
    by_meaning: frozenset[int]
    relaxed: tuple[str, ...]
    relaxations: tuple[Relaxation, ...]
    facets: tuple[Facet, ...]
    sponsored: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()


class SearchEngine:
    """Search over one catalogue; safe to use from several threads."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        encoder: Encoder | None = None,
        vectors: Mapping[str, FloatArray] | None = None,
        head_vectors: Mapping[str, FloatArray] | None = None,
        popularity: Mapping[str, float] | None = None,
        ranker: LearnedRanker | None = None,
        log: QueryLog | None = None,
        lexicon: Lexicon | None = None,
        weights: FieldWeights | None = None,
        kind: str = "flat",
        promoted: Collection[str] = (),
        currency: str | None = None,
        rates: Mapping[str, object] | None = None,
        purchase_head: PurchaseHead | None = None,
        folder: Path | None = None,
    ) -> None:
        """Index a catalogue; use `load` or `from_products`.

        Args:
            catalogue: the products; `upsert` writes to it as well.
            encoder: text to unit vectors; None makes the engine lexical only.
            vectors: known (D,) vectors by product id; others are encoded.
            head_vectors: known (D,) vectors of the words for kinds of products; others are encoded.
            popularity: log(1 + purchases) by product id.
            ranker: learned order; None uses the prior weights.
            log: past queries, k-anonymous.
            lexicon: with the shop's approved synonyms; the packaged one by default.
            weights: of the parts of a product in the lexical index.
            kind: of the vector index: `flat`, `hnsw` or `ivf`.
            promoted: ids of products that an offer names today.
            currency: of the shop.
            rates: units of a currency per unit of the shop's.
            purchase_head: reads from a query how likely its search ends in a purchase.
            folder: where the lexical index lies; None keeps it in memory.
        """
        self.catalogue = catalogue
        self.encoder = encoder
        self.ranker = ranker
        self.currency, self.rates = currency, rates
        self._purchase_head = purchase_head
        self._popularity = dict(popularity or {})
        self._known_heads = head_vectors or {}
        self._lexicon = self._own_lexicon = lexicon or load_lexicon()
        self._approved: dict[str, tuple[str, ...]] = {}
        self._log = log or QueryLog()
        self._lock = threading.Lock()  # one change at a time; searches never wait for it
        self._pages_lock = threading.Lock()
        self._pages: OrderedDict[str, _Ranked] = OrderedDict()
        products = [catalogue.products[i] for i in catalogue.ids]
        width = encoder.width if encoder is not None else None
        self._index = EmbeddedIndex(width=width, vectors=kind, weights=weights, folder=folder)
        self._shelf, self._facets = Shelf(), FacetCounter()
        self._head_vectors = np.zeros((0, width or 1), np.float32)  # row = place in shelf.heads
        table = FilterTable.from_products(products, promoted=promoted)
        rows = range(len(products))
        self._index.add(rows, products, self._vectors(products, vectors))
        self._add_cards(products)
        self._fresh_words = 0
        self._snapshot = self._make_snapshot(1, table, products)

    @classmethod
    def from_products(
        cls, catalogue: Catalogue, encoder: Encoder | None = None, **options: Any
    ) -> Self:
        """Index a catalogue in memory.

        Args:
            catalogue: the products.
            encoder: text to unit vectors; None makes the engine lexical only.
            options: further arguments of the class.
        """
        return cls(catalogue, encoder=encoder, **options)

    @classmethod
    def load(cls, artefacts: Path, *, catalogue: Catalogue | None = None, **options: Any) -> Self:
        """Open the engine of a release.

        Args:
            artefacts: a folder that holds `catalogue`, `index` and, for meaning, `finetune`.
            catalogue: shared with other engines; read from `artefacts` by default.
            options: further arguments of the class.

        Raises:
            ArtefactError: absent, damaged, or of another version.
        """
        folder = artefacts / ARTEFACT
        read_manifest(folder)
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        held = catalogue or Catalogue.load(artefacts)
        vectors, heads, encoder = _read_vectors(artefacts, folder, settings)
        log = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
        synonyms = {term: tuple(targets) for term, targets in settings["synonyms"].items()}
        return cls(
            held,
            encoder=encoder,
            vectors=vectors,
            head_vectors=heads,
            popularity=json.loads((folder / "popularity.json").read_text(encoding="utf-8")),
            ranker=LearnedRanker.load(folder),
            log=QueryLog(log["visitors"], {q: tuple(t) for q, t in log["together"].items()}),
            lexicon=load_lexicon().with_synonyms(synonyms),
            weights=FieldWeights(**settings["weights"]),
            kind=settings["vectors"],
            purchase_head=PurchaseHead.load(artefacts) if encoder is not None else None,
            **options,
        )

    def purchase_intent(self, texts: Sequence[str]) -> dict[str, float] | None:
        """Return how likely a search for each text ends in a purchase.

        None where the shop's log did not allow to learn it; see `text.purchase_intent`.
        """
        if self._purchase_head is None or self.encoder is None:
            return None
        if not texts:
            return {}
        chances = self._purchase_head.chances(self.encoder.encode(list(texts)))
        return {text: round(float(c), 4) for text, c in zip(texts, chances, strict=True)}

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the catalogue as of now, for `parse_query`."""
        return self._snapshot.vocabulary

    @property
    def table(self) -> FilterTable:
        """The filterable columns as of now."""
        return self._snapshot.table

    @property
    def lexicon(self) -> Lexicon:
        """The words of other languages and the synonyms in use."""
        return self._lexicon

    def parse(self, text: str, *, correct: bool = True) -> ParsedQuery:
        """Read a query as `search` does; `correct=False` takes every word as typed."""
        return self._parsed(text, self._snapshot.vocabulary, correct=correct)

    def _parsed(self, text: str, vocabulary: Vocabulary, *, correct: bool) -> ParsedQuery:
        return parse_query(
            text,
            vocabulary,
            currency=self.currency,
            rates=self.rates,
            lexicon=self._lexicon,
            correct=correct,
        )

    def search(
        self,
        request: SearchRequest,
        *,
        affinity: Affinity | None = None,
        offset: int = 0,
        arrange: Arrange | None = None,
    ) -> SearchResult:
        """Answer a request.

        Args:
            request: the query, explicit filters (added to those parsed from the words), sort order,
                page size and cursor. Unknown or outdated cursors start from the first page.
            affinity: gives a visitor's liking in [0, 1] for product ids; None is impersonal.
            offset: products to skip, when no cursor is given.
            arrange: puts the whole list in another order before it is cut into pages.

        Returns:
            Products that meet every hard constraint, of those with equal cards (title and brand)
            the best alone, on all pages together; when there are none, the smallest relaxations
            with what each brings, and as products those of the best one, named in `relaxed`.
        """
        snapshot = self._snapshot
        parsed = self._parsed(request.query, snapshot.vocabulary, correct=request.correct)
        filters = merge_filters(parsed.filters, request.filters)
        sort = request.sort if request.sort != "relevance" else parsed.sort
        name = sha256_of_json(
            [
                request.query,
                filters.model_dump(mode="json"),
                sort,
                request.visitor_id,
                request.correct,
            ]
        )[:24]
        start, is_known = offset, False
        if request.cursor is not None:
            start, is_known = _read_cursor(request.cursor, name)
        ranked = self._pages.get(name) if is_known else None
        if ranked is None:
            ranked = self._rank(snapshot, parsed, filters, sort, affinity)
            if arrange is not None:
                ranked = self._arranged(snapshot, ranked, arrange, filters, sort, request.limit)
            with self._pages_lock:
                if self._snapshot.version == snapshot.version:  # else it is outdated by now
                    self._pages[name] = ranked
                    self._pages.move_to_end(name)
                    while len(self._pages) > 256:
                        self._pages.popitem(last=False)
        end = start + request.limit
        shown = without(filters, ranked.relaxed)
        products = []
        for place in range(start, min(end, len(ranked.rows))):
            row = int(ranked.rows[place])
            product = snapshot.products.get(snapshot.table.ids[row])
            if product is not None:
                products.append(self._scored(product, ranked, place, shown))
        return SearchResult(
            products=tuple(products),
            degraded=self.degraded,
            query=request.query,
            corrected_query=parsed.corrected,
            understood=filters,
            spans=parsed.spans,
            intent=parsed.intent,
            intent_confidence=round(parsed.intent_confidence, 4),
            category=parsed.category,
            category_confidence=parsed.category_confidence if parsed.category else None,
            total=0 if ranked.relaxed else len(ranked.rows),
            facets=ranked.facets,
            relaxations=ranked.relaxations,
            relaxed=ranked.relaxed,
            cursor=_make_cursor(end, name) if end < len(ranked.rows) else None,
            parsed=parsed,
        )

    def _arranged(
        self,
        snapshot: _Snapshot,
        ranked: _Ranked,
        arrange: Arrange,
        filters: Filters,
        sort: str,
        page: int,
    ) -> _Ranked:
        """Let `arrange` order the whole answer; products it brings in stand with the lowest score.

        What the shop's rules take out is out of the count too.
        """
        table = snapshot.table

        def may_show(product_id: str) -> bool:
            row = table.row_of.get(product_id)
            return row is not None and bool(table.mask(without(filters, ranked.relaxed))[row])

        ids = [table.ids[row] for row in ranked.rows]
        listing = Listing(
            ids, ranked.scores, page, not ranked.relaxed, sort == "relevance", may_show
        )
        made = arrange(listing)
        score_of = dict(zip(ids, ranked.scores.tolist(), strict=True))
        lowest = float(ranked.scores.min(initial=0.0))
        kept = [p for p in dict.fromkeys(made.product_ids) if p in table.row_of]
        return replace(
            ranked,
            rows=np.array([table.row_of[p] for p in kept], dtype=np.int64),
            scores=np.array([score_of.get(p, lowest) for p in kept], dtype=np.float32),
            sponsored=frozenset(made.sponsored),
            pinned=frozenset(made.pinned),
        )

    @property
    def degraded(self) -> tuple[str, ...]:
        """What is missing: `encoder` when search works by words alone."""
        return () if self.encoder is not None else ("encoder",)

    def suggest(
        self,
        prefix: str,
        *,
        visitor_id: str | None = None,
        limit: int = 8,
        own: Sequence[str] = (),
        liked: Mapping[str, float] | None = None,
    ) -> tuple[Suggestion, ...]:
        """Complete a prefix; see `Suggester.suggest`.

        Args:
            prefix: what has been typed so far.
            visitor_id: whose `own` and `liked` these are; without it both are ignored.
            limit: how many at most.
            own: the visitor's own past queries, newest first.
            liked: stem to the visitor's liking in [0, 1].
        """
        if visitor_id is None:
            own, liked = (), None
        return self._snapshot.suggester.suggest(prefix, limit=limit, own=own, liked=liked)

    def related(self, query: str, *, limit: int = 8) -> tuple[str, ...]:
        """Return what people who searched this also searched."""
        return self._snapshot.suggester.related(query, limit=limit)

    def upsert(self, products: Iterable[Product]) -> None:
        """Add or replace products; they are found, priced and filtered anew when it returns.

        The vocabulary is read anew when enough words are new; until then a new product is found by
        its words all the same, only its new brand or type is no filter word yet.
        """
        fresh = list({p.product_id: p for p in products}.values())
        if not fresh:
            return
        with self._lock:
            before = self._snapshot
            self.catalogue.upsert(fresh)
            old = [
                before.table.row_of[p.product_id]
                for p in fresh
                if p.product_id in before.table.row_of
            ]
            first = len(before.table)
            table = before.table.with_products(fresh)
            self._index.add(range(first, first + len(fresh)), fresh, self._vectors(fresh, None))
            self._add_cards(fresh)
            unknown = sum(not before.vocabulary.knows(w) for p in fresh for w in stems(p.title))
            unknown += sum(
                bool(p.brand) and " ".join(stems(p.brand or "")) not in before.vocabulary.brands
                for p in fresh
            )
            self._fresh_words += unknown
            is_small = len(table.row_of) <= 2000
            if unknown and (is_small or self._fresh_words > 200):
                self._fresh_words = 0
                held = [self.catalogue.products[i] for i in self.catalogue.ids]
                self._snapshot = self._make_snapshot(before.version + 1, table, held)
            else:
                self._snapshot = replace(
                    before,
                    version=before.version + 1,
                    table=table,
                    products=self.catalogue.products,
                )
            self._index.remove(old)  # only now: until here searches read the former state
            self._forget_pages()

    def _forget_pages(self) -> None:
        """Drop ranked lists of an earlier state; called after the new one is in place."""
        with self._pages_lock:
            self._pages.clear()

    def set_synonyms(self, approved: Mapping[str, Sequence[str]]) -> None:
        """Let these synonyms, phrase to other phrases, act beside those of the release.

        A query already being answered keeps the words it was read with.
        """
        fresh = {term: tuple(others) for term, others in approved.items()}
        with self._lock:
            if fresh == self._approved:
                return
            self._approved = fresh
            self._lexicon = self._own_lexicon.with_synonyms(fresh)
            self._forget_pages()

    def set_promoted(self, promoted: Collection[str]) -> None:
        """Say which products offers name now; the filter `promotion` follows."""
        with self._lock:
            now = self._snapshot
            self._snapshot = replace(
                now, version=now.version + 1, table=now.table.with_promoted(promoted)
            )
            self._forget_pages()

    def _make_snapshot(
        self, version: int, table: FilterTable, products: Sequence[Product]
    ) -> _Snapshot:
        vocabulary = Vocabulary.from_products(products, currency=self.currency)
        sold: Counter[str] = Counter()
        for product in products:
            weight = float(np.expm1(self._popularity.get(product.product_id, 0.0)))
            for value in (product.type, product.brand, *product.category[-1:]):
                if value and weight:
                    sold[fold(value)] += weight  # type: ignore[assignment]
        suggester = Suggester(
            vocabulary,
            self._log,
            popularity=sold,
            titles=[p.title for p in products],
            lexicon=self._lexicon,
        )
        return _Snapshot(version, table, vocabulary, suggester, self.catalogue.products)

    def _vectors(
        self, products: Sequence[Product], known: Mapping[str, FloatArray] | None
    ) -> FloatArray | None:
        if self.encoder is None:
            return None
        out = np.zeros((len(products), self.encoder.width), np.float32)
        absent = []
        for place, product in enumerate(products):
            vector = known.get(product.product_id) if known is not None else None
            if vector is None:
                absent.append(place)
            else:
                out[place] = vector
        if absent:
            out[absent] = self.encoder.encode([product_text(products[place]) for place in absent])
        return out

    def _add_cards(self, products: Sequence[Product]) -> None:
        cards = [card_of(p, popularity=self._popularity.get(p.product_id, 0.0)) for p in products]
        self._shelf.add(cards)
        self._facets.add(products)
        self._encode_heads()

    def _encode_heads(self) -> None:
        """Keep a vector for every kind of product, so that a search encodes its query alone."""
        if self.encoder is None:
            return
        fresh = [" ".join(h) for h in list(self._shelf.heads)[len(self._head_vectors) :]]
        if not fresh:
            return
        made = np.zeros((len(fresh), self.encoder.width), np.float32)
        absent = [place for place, text in enumerate(fresh) if text not in self._known_heads]
        for place, text in enumerate(fresh):
            if text in self._known_heads:
                made[place] = self._known_heads[text]
        if absent:
            made[absent] = self.encoder.encode([fresh[place] for place in absent])
        self._head_vectors = np.concatenate([self._head_vectors, made])

    @property
    def head_vectors(self) -> dict[str, FloatArray]:
        """The vectors of the words for kinds of products, to be saved with the index."""
        texts = (" ".join(head) for head in self._shelf.heads)
        return dict(zip(texts, self._head_vectors, strict=False))

    def _rank(
        self,
        snapshot: _Snapshot,
        parsed: ParsedQuery,
        filters: Filters,
        sort: str,
        affinity: Affinity | None,
    ) -> _Ranked:
        ahead = self._encoded_ahead(parsed)
        mask = snapshot.table.mask(filters)
        rows, scores, words, meant = self._answers(snapshot, parsed, mask, affinity, ahead=ahead)
        relaxations: tuple[Relaxation, ...] = ()
        relaxed: tuple[str, ...] = ()
        if not len(rows) and snapshot.table.alive.any():
            relaxations = self._relaxations(snapshot, parsed, filters)
            if relaxations:
                relaxed = relaxations[0].drop
                mask = snapshot.table.mask(without(filters, relaxed))
                asked = parsed
                if WORDS in relaxed:
                    asked = replace(parsed, rest="", expansions=(), readings=(), noun=())
                rows, scores, words, meant = self._answers(
                    snapshot, asked, mask, affinity, strict=True
                )
        if sort != "relevance" and len(rows):
            order = self._sorted(snapshot, rows, sort, without(filters, relaxed))
            rows, scores = rows[order], scores[order]
        shown = self._shelf.firsts(rows)  # a family is shown once, by its best
        rows, scores = rows[shown], scores[shown]
        return _Ranked(rows, scores, words, meant, relaxed, relaxations, self._facets.count(rows))

    def _encoded_ahead(self, parsed: ParsedQuery) -> dict[str, Future[Any]]:
        """Begin to encode a query's readings, beside the filters and the search by words."""
        if self.encoder is None or not parsed.rest or len(self._snapshot.table) < AHEAD:
            return {}
        texts = dict.fromkeys([parsed.rest, *(text for text, _ in parsed.readings)])
        return {text: _ENCODING.submit(self.encoder.encode, [text]) for text in texts}

    def _answers(
        self,
        snapshot: _Snapshot,
        parsed: ParsedQuery,
        mask: BoolArray,
        affinity: Affinity | None,
        *,
        strict: bool = False,
        ahead: Mapping[str, Future[Any]] = _NOT_YET,
    ) -> tuple[IntArray, FloatArray, frozenset[int], frozenset[int]]:
        """Return the rows that answer, best first, and which came by words and by meaning."""
        nothing = frozenset[int]()
        if not parsed.rest:
            rows = np.flatnonzero(mask)
            popularity = self._shelf.popularity[rows]
            if affinity is not None and 0 < len(rows) <= 5000:
                ids = [snapshot.table.ids[r] for r in rows]
                popularity = popularity + 2.0 * np.asarray(affinity(ids), np.float32)
            order = np.lexsort((rows, -popularity))
            return rows[order], popularity[order].astype(np.float32), nothing, nothing
        if not mask.any():
            return np.zeros(0, np.int64), np.zeros(0, np.float32), nothing, nothing
        found = self._found(
            snapshot, parsed, mask, affinity, depth=DEPTH, strict=strict, ahead=ahead
        )
        # Answers come before what was merely near; the rest is dropped.
        rows, score = self._ordered(found, found.is_answer, self.ranker)
        return (rows, score, found.by_words, found.by_meaning)

    def _found(
        self,
        snapshot: _Snapshot,
        parsed: ParsedQuery,
        mask: BoolArray,
        affinity: Affinity | None,
        *,
        depth: int,
        strict: bool = False,
        ahead: Mapping[str, Future[Any]] = _NOT_YET,
    ) -> "_Found":
        """Propose and describe candidates for every reading of a query.

        A product found by two readings has two rows; what compares candidates with one another
        compares them over all readings, so that the reading the catalogue knows best wins.
        """
        parts = []
        for text, odds in ((parsed.rest, 0.0), *parsed.readings):
            reading = parsed
            if text != parsed.rest:
                noun = () if parsed.noun and parsed.noun[-1] not in stems(text) else parsed.noun
                reading = replace(parsed, rest=text, expansions=(), noun=noun)
            asked = WordQuery.of(reading.rest, reading.expansions)
            by_words = self._index.words(asked, k=depth, allowed=mask)
            by_meaning, vector = Hits(), None
            if self.encoder is not None:
                begun = ahead.get(text)
                made = self.encoder.encode([text]) if begun is None else begun.result()
                vector = made[0]
                by_meaning = self._index.nearest(vector, k=depth, allowed=mask)
            rows, features, words, is_answer = self._describe(
                snapshot, reading, by_words, by_meaning, vector, affinity, strict=strict
            )
            if len(rows):
                parts.append((rows, features, words, is_answer, odds, by_words, by_meaning))
        if not parts:
            return _Found()
        features = np.concatenate([p[1] for p in parts])
        rows = np.concatenate([p[0] for p in parts])
        if len(parts) > 1:
            compare_readings(features, np.concatenate([p[2] for p in parts]), rows)
        return _Found(
            rows=rows,
            features=features,
            is_answer=np.concatenate([p[3] for p in parts]),
            odds=np.concatenate([np.full(len(p[0]), min(p[4], 0.0), np.float32) for p in parts]),
            by_words=frozenset(r for p in parts for r in p[5].rows.tolist()),
            by_meaning=frozenset(r for p in parts for r in p[6].rows.tolist()),
        )

    @staticmethod
    def _ordered(
        found: "_Found", kept: BoolArray, ranker: LearnedRanker | None
    ) -> tuple[IntArray, FloatArray]:
        """Return the rows kept, each once by its best reading, best first, with their scores."""
        if not kept.any():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        score = ranker.score(found.features) if ranker is not None else prior(found.features)
        score = np.asarray(score + ODDS * found.odds, np.float32)
        rows, score = found.rows[kept], score[kept]
        order = np.lexsort((rows, -score))
        _, first = np.unique(rows[order], return_index=True)
        order = order[np.sort(first)]
        return rows[order], score[order]

    def ranked(
        self, text: str, *, ranker: LearnedRanker | None = None, depth: int = DEPTH
    ) -> tuple[list[str], FloatArray]:
        """Rank all candidates of a text, for evaluation.

        Args:
            text: the query.
            ranker: in place of the engine's own.
            depth: how many by words, and as many by meaning, per reading.

        Returns:
            Product ids, best first, and their scores; those that hardly answer are there too.
        """
        snapshot = self._snapshot
        parsed = self.parse(text)
        parsed = replace(parsed, rest=parsed.rest or parsed.corrected or text)
        mask = snapshot.table.mask(parsed.filters)
        found = self._found(snapshot, parsed, mask, None, depth=depth)
        every = np.ones(len(found.rows), np.bool_)
        rows, scores = self._ordered(found, every, ranker or self.ranker)
        return [snapshot.table.ids[row] for row in rows], scores

    def _describe(
        self,
        snapshot: _Snapshot,
        parsed: ParsedQuery,
        by_words: Hits,
        by_meaning: Hits,
        vector: FloatArray | None,
        affinity: Affinity | None,
        *,
        strict: bool = False,
    ) -> tuple[IntArray, FloatArray, FloatArray, BoolArray]:
        """Return candidate rows, features (n, F), scores by words, and which answer the words."""
        rows = np.union1d(by_words.rows, by_meaning.rows).astype(np.int64)
        n = len(rows)
        words = np.zeros(n, np.float32)
        words[np.searchsorted(rows, by_words.rows)] = by_words.scores
        meaning, head = np.zeros(n, np.float32), np.zeros(n, np.float32)
        if vector is not None and self._index.vector is not None and n:
            meaning = self._index.vector.vectors(rows) @ vector
            head = self._head_scores(rows, vector)
        liked = np.zeros(n, np.float32)
        if affinity is not None and n:
            liked = np.asarray(affinity([snapshot.table.ids[r] for r in rows]), np.float32)
        asked = self.asked(parsed)
        features = self._shelf.features(asked, rows, Signals(words, meaning, head, liked))
        answers = self._is_answer(asked, rows, meaning, vector=vector, strict=strict)
        return rows, features, words, answers

    def candidates(
        self, text: str, *, depth: int = DEPTH, parsed: ParsedQuery | None = None
    ) -> tuple[list[str], FloatArray]:
        """Propose products for a text and describe them, for training and evaluation.

        Args:
            text: the query.
            depth: how many by words, and as many by meaning.
            parsed: the text as already read.

        Returns:
            Product ids, and their features (n, len(features.NAMES)), in row order.
        """
        snapshot = self._snapshot
        parsed = parsed or self.parse(text)
        mask = snapshot.table.mask(parsed.filters)
        words = parsed.rest or parsed.corrected or text
        asked = WordQuery.of(words, parsed.expansions)
        by_words = self._index.words(asked, k=depth, allowed=mask)
        by_meaning, vector = Hits(), None
        if self.encoder is not None:
            vector = self.encoder.encode([words])[0]
            by_meaning = self._index.nearest(vector, k=depth, allowed=mask)
        rows, features, _, _ = self._describe(
            snapshot, replace(parsed, rest=words), by_words, by_meaning, vector, None
        )
        return [snapshot.table.ids[row] for row in rows], features

    def asked(self, parsed: ParsedQuery) -> Asked:
        """Return a parsed query as ranking sees it."""
        words = tuple(dict.fromkeys(stems(parsed.rest)))
        brands = frozenset(
            s for m in parsed.mentions if m.field == "brand" for v in m.values for s in stems(v)
        )
        same = tuple(tuple(stems(e)) for e in parsed.expansions)
        return Asked(words, same, brands, parsed.noun)

    def _is_answer(
        self,
        asked: Asked,
        rows: IntArray,
        meaning: FloatArray,
        *,
        vector: FloatArray | None,
        strict: bool = False,
    ) -> BoolArray:
        """Say which candidates hold enough of the words, or mean the same.

        Where none holds the words, meaning alone answers, and only what comes about as close as
        the nearest product of the whole shop: of "organic lobster" the shop has seafood, though
        none organic, and its organic carrots are no answer.
        Where the kind of thing asked for is known and no candidate is of that kind, nothing
        answers: other products with the same attributes are not what was asked for. `strict`
        leaves out what is not of the kind in any case.
        """
        said = (*asked.words, *(w for phrase in asked.same for w in phrase), *asked.noun)
        held, holds = self._shelf.held(said, rows)
        weights = np.asarray([self._shelf.idf(w) for w in asked.words], np.float64)
        share = holds[:, held.columns_of(asked.words)] @ weights / (weights.sum() or 1.0)
        is_same = np.zeros(len(rows), np.bool_)
        for phrase in filter(None, asked.same):
            is_same |= holds[:, held.columns_of(phrase)].all(1)
        said_so = (share >= COVERED) | is_same
        least = MEANT
        alone = strict or not said_so.any()
        if vector is not None and alone and meaning.max(initial=0.0) >= MEANT:
            nearest = self._index.nearest(vector, k=1).scores
            least = max(MEANT, NEAR * float(nearest.max(initial=0.0)))
        found = (meaning >= least) | said_so
        is_kind = found & (is_same | holds[:, held.columns_of(asked.noun)].all(1))
        return found if not asked.noun or (not strict and is_kind.any()) else is_kind

    def _head_scores(self, rows: IntArray, vector: FloatArray) -> FloatArray:
        """Return the similarity of the query to each candidate's kind."""
        return self._head_vectors[self._shelf.head_rows[rows]] @ vector

    def _sorted(
        self, snapshot: _Snapshot, rows: IntArray, sort: str, filters: Filters
    ) -> NDArray[np.int64]:
        """Return the order of rows by price, rating or age; unknown values come last."""
        products = [snapshot.products[snapshot.table.ids[r]] for r in rows]
        if sort in ("price", "-price"):
            values = [
                np.inf if (v := best_price(p, filters)) is None else float(v) for p in products
            ]
            keys = np.asarray(values)
            if sort == "-price":
                keys = np.where(np.isinf(keys), np.inf, -keys)
        elif sort == "rating":
            keys = np.asarray([np.inf if p.rating is None else -p.rating for p in products])
        else:
            oldest = datetime.min.replace(tzinfo=UTC)
            keys = np.asarray(
                [
                    -(p.updated_at or oldest).timestamp() if p.updated_at else np.inf
                    for p in products
                ]
            )
        return np.lexsort((np.arange(len(rows)), keys))

    def _relaxations(
        self, snapshot: _Snapshot, parsed: ParsedQuery, filters: Filters
    ) -> tuple[Relaxation, ...]:
        """Compute the smallest sets of constraints to drop, counting products that answer."""
        table = snapshot.table
        holds = self._holding(snapshot, parsed) if parsed.rest else None

        def count(part: Filters, with_words: bool) -> int:
            mask = table.mask(part)
            return self._shelf.count(mask & holds if with_words and holds is not None else mask)

        return smallest_relaxations(filters, count, has_words=bool(parsed.rest))

    def _holding(self, snapshot: _Snapshot, parsed: ParsedQuery) -> BoolArray:
        """Return (V,) which rows answer the words, whatever the constraints."""
        holds = np.zeros(len(snapshot.table), np.bool_)
        asked = WordQuery.of(parsed.rest, parsed.expansions)
        by_words = self._index.words(asked, k=len(snapshot.table), allowed=None)
        rows, meaning = by_words.rows, np.zeros(len(by_words.rows), np.float32)
        vector = None
        if self.encoder is not None:
            vector = self.encoder.encode([parsed.rest])[0]
            near = self._index.nearest(vector, k=min(2000, len(holds)))
            rows = np.union1d(rows, near.rows).astype(np.int64)
            meaning = np.zeros(len(rows), np.float32)
            meaning[np.searchsorted(rows, near.rows)] = near.scores
        inside = rows < len(holds)
        rows, meaning = rows[inside], meaning[inside]
        asked_for = self.asked(parsed)
        holds[rows] = self._is_answer(asked_for, rows, meaning, vector=vector, strict=True)
        return holds

    def _scored(
        self, product: Product, ranked: _Ranked, place: int, filters: Filters
    ) -> ScoredProduct:
        row = int(ranked.rows[place])
        origin = []
        is_sponsored = product.product_id in ranked.sponsored
        if is_sponsored:
            origin.append("sponsored")
        if product.product_id in ranked.pinned:
            origin.append("pinned")
        if row in ranked.by_words:
            origin.append("words")
        if row in ranked.by_meaning:
            origin.append("meaning")
        variant = best_variant(product, filters)
        price = product.price_minor if variant is None else variant.price_minor
        full = product.list_price_minor if variant is None else variant.list_price_minor
        return ScoredProduct(
            product_id=product.product_id,
            title=product.title,
            price_minor=price,
            currency=product.currency,
            score=round(float(ranked.scores[place]), 6),
            rank=place + 1,
            origin=tuple(origin) or ("popularity",),
            variant_id=None if variant is None else variant.variant_id,
            list_price_minor=full,
            brand=product.brand,
            category=product.category,
            available=product.available,
            sponsored=is_sponsored,
        )


def merge_filters(parsed: Filters, given: Filters | None) -> Filters:
    """Join the constraints read from the words with those given beside them; both must hold.

    Where both name values of one field, the given ones win: they were chosen by hand.

    >>> merge_filters(Filters(price_max=500), Filters(price_max=300)).price_max
    300
    """
    if given is None:
        return parsed
    changes: dict[str, Any] = {}
    for name in ("category", "type", "brand", "currency", "min_rating", "in_stock", "promotion"):
        value = getattr(given, name)
        if value not in (None, ()):
            changes[name] = value
    for name, pick in (("price_min", max), ("price_max", min)):
        values = [v for v in (getattr(parsed, name), getattr(given, name)) if v is not None]
        if values:
            changes[name] = pick(values)
    if given.price_min is not None or given.price_max is not None:
        changes["currency"] = given.currency or parsed.currency
    exclude = dict(parsed.exclude)
    for name, values in given.exclude.items():
        exclude[name] = tuple(dict.fromkeys((*exclude.get(name, ()), *values)))
    changes["attributes"] = {**parsed.attributes, **given.attributes}
    changes["terms"] = tuple(dict.fromkeys((*parsed.terms, *given.terms)))
    changes["exclude"] = exclude
    return parsed.model_copy(update=changes)


def best_variant(product: Product, filters: Filters) -> Variant | None:
    """Return the variant to show: meets the variant-level constraints, in stock, cheapest."""
    fitting = fitting_variants(product, filters)
    return min(fitting, key=lambda v: (v.stock == 0, v.price_minor, v.variant_id), default=None)


def best_price(product: Product, filters: Filters) -> int | None:
    """Return the price of the variant shown, in minor units."""
    variant = best_variant(product, filters)
    return product.price_minor if variant is None else variant.price_minor


def _make_cursor(offset: int, name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, name]).encode()).decode()


def _read_cursor(cursor: str, name: str) -> tuple[int, bool]:
    """Return (offset, whether it belongs to this query); a damaged one starts at the beginning."""
    try:
        offset, of = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError):
        return 0, False
    if of != name or not isinstance(offset, int) or offset < 0:
        return 0, False
    return offset, True


def _read_vectors(
    artefacts: Path, folder: Path, settings: Mapping[str, Any]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray], Encoder | None]:
    """Return vectors of products and of kinds, and the encoder that made them, if there is one."""
    if not settings["has_vectors"]:
        return {}, {}, None
    from components.text.vectors import load_encoder

    with np.load(folder / "vectors.npz", allow_pickle=False) as held:
        vectors = dict(zip((str(i) for i in held["product_ids"]), held["rows"], strict=True))
        heads = dict(zip((str(h) for h in held["heads"]), held["head_rows"], strict=True))
    encoder = load_encoder(artefacts)
    if vectors and len(next(iter(vectors.values()))) != encoder.width:
        raise ArtefactError(
            f"{folder}: vectors of another encoder. Rebuild with `shelfwise stage index`."
        )
    return vectors, heads, encoder

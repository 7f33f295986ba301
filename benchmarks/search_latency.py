"""Latency of search and suggestion at growing catalogue sizes, beside the bare engines.

Generated texts and random vectors. Per size, in one run: build seconds, memory, p50 and p99 of
`SearchEngine.search` and `.suggest`, upsert-to-visible, and the same queries by plain encode +
tantivy + faiss + rank fusion.

    python -m benchmarks.search_latency --sizes 10000 100000 --out var/search_latency.json
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from components.contracts.messages import SearchRequest
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.search.engine import SearchEngine
from components.search.fusion import reciprocal_rank_fusion
from components.search.index import WordQuery

WIDTH = 384
_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qi ro su ta ve wi xo yu za bre cla dri"
SYLLABLES = _SYLLABLES.split()


class RandomEncoder:
    """Texts to fixed random unit vectors: the cost of a model is left out on both sides."""

    width = WIDTH

    def encode(self, texts):
        rows = np.empty((len(texts), WIDTH), np.float32)
        for n, text in enumerate(texts):
            seed = sum(text.encode()) + 7919 * len(text)
            rows[n] = np.random.default_rng(seed).standard_normal(WIDTH, np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def words(generator, n):
    picks = generator.choice(SYLLABLES, size=(n, 3))
    return ["".join(p) for p in picks]


def products(size, generator):
    vocabulary = words(generator, 3000)
    kinds = [" ".join(generator.choice(vocabulary, 2)) for _ in range(400)]
    rank = np.minimum(generator.zipf(1.3, size=(size, 4)) - 1, 2999)
    kind = generator.integers(0, len(kinds), size)
    price = generator.integers(100, 20_000, size)
    return [
        Product.model_construct(
            product_id=f"p{i}",
            title=f"{' '.join(vocabulary[r] for r in rank[i])} {kinds[kind[i]]}",
            brand=vocabulary[int(kind[i]) % 200],
            type=kinds[kind[i]],
            category=(f"Aisle {int(kind[i]) % 40}",),
            price_minor=int(price[i]),
        )
        for i in range(size)
    ], kinds


def quantiles(seconds):
    p50, p99 = np.quantile(np.asarray(seconds) * 1000, [0.5, 0.99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def timed(run, inputs):
    out = []
    for item in inputs:
        start = time.perf_counter()
        run(item)
        out.append(time.perf_counter() - start)
    return quantiles(out)


def measure(size, queries):
    generator = np.random.default_rng(size)
    shelf, kinds = products(size, generator)
    encoder = RandomEncoder()
    rows = generator.standard_normal((size, WIDTH), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = {p.product_id: rows[i] for i, p in enumerate(shelf)}
    start = time.perf_counter()
    kind = "flat" if size <= 100_000 else "hnsw"
    engine = SearchEngine.from_products(
        Catalogue.from_products(shelf), encoder, vectors=vectors, kind=kind
    )
    built = time.perf_counter() - start
    asked = [str(k) for k in generator.choice(kinds, queries)]
    limited = [f"{k} under ${n}" for n, k in enumerate(asked, 20)]

    def plain(text):
        vector = encoder.encode([text])[0]
        by_words = engine._index.words(WordQuery.of(text), k=200)
        return reciprocal_rank_fusion([by_words, engine._index.nearest(vector, k=200)])

    result = {
        "size": size,
        "vectors": kind,
        "build_seconds": round(built, 1),
        "max_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "plain": timed(plain, asked),
        "search": timed(lambda q: engine.search(SearchRequest(query=q)), asked),
        "search_filtered": timed(lambda q: engine.search(SearchRequest(query=q)), limited),
        "suggest": timed(engine.suggest, [q[:n] for q in asked for n in (2, 4)]),
    }
    fresh = Product(product_id="fresh", title="entirely unheard gadget", price_minor=100)
    start = time.perf_counter()
    engine.upsert([fresh])
    found = engine.search(SearchRequest(query="entirely unheard gadget")).products
    result["upsert_to_visible_ms"] = round((time.perf_counter() - start) * 1000, 1)
    result["upsert_visible"] = bool(found) and found[0].product_id == "fresh"
    result["added_p50_ms"] = round(result["search"]["p50_ms"] - result["plain"]["p50_ms"], 2)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("var/search_latency.json"))
    arguments = parser.parse_args()
    found = [measure(size, arguments.queries) for size in arguments.sizes]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

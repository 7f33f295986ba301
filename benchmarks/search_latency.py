"""Latency of search and suggestion at growing catalogue sizes, beside the bare engines.

Generated texts with a vocabulary that grows with the catalogue, a model number in every fifth title
and random product vectors. Each size runs in a process of its own and answers the same queries by
`SearchEngine.search` and by plain encode + tantivy + faiss + rank fusion, in turn, so that a busy
machine slows both. Encoding a query costs what the packaged encoder costs (ONNX, one thread), on
both sides. Vectors are exact up to 100,000 products, inverted lists beyond. All engines are built
before the first is measured; `--pause` waits for a line on standard input in between, so that a
machine can be made idle for the minutes that count.

    python -m benchmarks.search_latency --sizes 10000 100000 1000000
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from components.contracts.artefacts import write_json
from components.contracts.messages import SearchRequest
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.search.engine import SearchEngine
from components.search.fusion import reciprocal_rank_fusion
from components.search.index import WordQuery
from components.stages.bench_search import misspelt

WIDTH = 384
EXACT_UP_TO = 100_000
_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qi ro su ta ve wi xo yu za bre cla dri"
SYLLABLES = _SYLLABLES.split()
ENCODER = Path("var/cache/latency_encoder")


class RandomEncoder:
    """Texts to fixed random unit vectors: for products, and where no encoder is packaged."""

    width = WIDTH

    def encode(self, texts):
        rows = np.empty((len(texts), WIDTH), np.float32)
        for n, text in enumerate(texts):
            seed = sum(text.encode()) + 7919 * len(text)
            rows[n] = np.random.default_rng(seed).standard_normal(WIDTH, np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def query_encoder():
    """Return the packaged encoder as it is served, or None where it is not installed."""
    from components.text.encoder import OnnxEncoder, TextEncoder
    from components.text.packaged import packaged_folder

    folder = packaged_folder()
    if folder is None:
        return None
    if not (ENCODER / "config.json").is_file():
        TextEncoder.from_folder(folder, max_tokens=48).export(ENCODER)
    return OnnxEncoder(ENCODER)


def words(generator, n):
    made = set()
    while len(made) < n:
        size = int(generator.integers(2, 5))
        made.add("".join(generator.choice(SYLLABLES, size)))
    return sorted(made)


def products(size, generator):
    """Return generated products and the kinds they are of."""
    vocabulary = words(generator, int(3000 * (size / 10_000) ** 0.5))
    count = len(vocabulary)
    generator.shuffle(vocabulary)
    kinds = [" ".join(generator.choice(vocabulary, 2)) for _ in range(400)]
    rank = np.minimum(generator.zipf(1.3, size=(size, 4)) - 1, count - 1)
    kind = generator.integers(0, len(kinds), size)
    price = generator.integers(100, 20_000, size)
    has_model = generator.random(size) < 0.2
    made = []
    for i in range(size):
        model = f" {vocabulary[i % count][:2]}{i}" if has_model[i] else ""
        made.append(
            Product.model_construct(
                product_id=f"p{i}",
                title=f"{' '.join(vocabulary[r] for r in rank[i])} {kinds[kind[i]]}{model}",
                brand=vocabulary[int(kind[i]) % 200],
                type=kinds[kind[i]],
                category=(f"Aisle {int(kind[i]) % 40}",),
                price_minor=int(price[i]),
            )
        )
    return made, kinds


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


def in_turn(runs, inputs):
    """Time several ways to answer the same inputs, one input after the other.

    `cpu_p50_ms` is what the process worked; where it is far below `p50_ms`, the machine was busy.
    """
    out = {name: [] for name in runs}
    worked = {name: [] for name in runs}
    for n, item in enumerate(inputs):
        names = list(runs) if n % 2 else list(runs)[::-1]
        for name in names:
            start, before = time.perf_counter(), time.process_time()
            runs[name](item)
            worked[name].append(time.process_time() - before)
            out[name].append(time.perf_counter() - start)
    return {
        name: {**quantiles(out[name]), "cpu_p50_ms": quantiles(worked[name])["p50_ms"]}
        for name in runs
    }


def resident_mb():
    return psutil.Process().memory_info().rss / 2**20


def measure(size, queries):
    """Build an engine, wait for a line on standard input, and measure it."""
    generator = np.random.default_rng(size)
    random, real = RandomEncoder(), query_encoder()
    shelf, kinds = products(size, generator)
    rows = generator.standard_normal((size, WIDTH), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = {p.product_id: rows[i] for i, p in enumerate(shelf)}
    heads = {kind: random.encode([kind])[0] for kind in kinds}
    catalogue = Catalogue.from_products(shelf)
    kind = "flat" if size <= EXACT_UP_TO else "ivf"
    start, worked = time.perf_counter(), time.process_time()
    engine = SearchEngine.from_products(
        catalogue, real or random, vectors=vectors, head_vectors=heads, kind=kind
    )
    built, worked = time.perf_counter() - start, time.process_time() - worked
    del vectors, rows
    asked = [str(k) for k in generator.choice(kinds, queries)]
    brands = sorted({p.brand for p in shelf[:2000]})
    asked = [
        text if n % 3 else f"{brands[n % len(brands)]} {text.split()[-1]}"
        for n, text in enumerate(asked)
    ]

    def plain(text):
        vector = engine.encoder.encode([text])[0]
        by_words = engine._index.words(WordQuery.of(text), k=200)
        return reciprocal_rank_fusion([by_words, engine._index.nearest(vector, k=200)])

    def search(text):
        return engine.search(SearchRequest(query=text))

    print("built", flush=True)
    sys.stdin.readline()
    for text in asked[:5]:  # the first query of a process loads things
        plain(text), search(text)
    cases = {
        "clean": asked,
        "misspelt": [misspelt(text, 1, 7) for text in asked],
        "filtered": [f"{text} under ${n}" for n, text in enumerate(asked, 20)],
    }
    result = {
        "products": size,
        "vectors": kind,
        "encoder": "packaged" if real else "random",
        "build_seconds": round(built, 1),
        "build_cpu_seconds": round(worked, 1),
        "process_mb": round(resident_mb()),
    }
    for name, texts in cases.items():
        found = in_turn({"plain": plain, "search": search}, texts)
        result[name] = {
            **found,
            **{
                f"added_{kind}_ms": round(
                    found["search"][f"{kind}_ms"] - found["plain"][f"{kind}_ms"], 2
                )
                for kind in ("p50", "cpu_p50")
            },
        }
    prefixes = [text[:n] for text in asked for n in (1, 2, 4, 7)]
    result["suggest"] = timed(engine.suggest, prefixes)
    slipped = [misspelt(text, 1, 7)[: max(6, len(text) - 2)] for text in asked]
    result["suggest_misspelt"] = timed(engine.suggest, slipped)
    result["upsert"] = upserts(engine)
    return result


def upserts(engine, times=7):
    """Time a post until a search finds it."""
    seconds, is_visible = [], True
    for n in range(times):
        fresh = Product(product_id=f"fresh{n}", title=f"unheard gadget{n}x", price_minor=100)
        start = time.perf_counter()
        engine.upsert([fresh])
        found = engine.search(SearchRequest(query=f"unheard gadget{n}x")).products
        seconds.append(time.perf_counter() - start)
        is_visible &= bool(found) and found[0].product_id == fresh.product_id
    return {**quantiles(seconds), "visible": is_visible}


def flat(found):
    """Return what was measured at one size as rows of a table."""
    size = {name: found[name] for name in ("products", "vectors", "encoder")}
    rows = []
    for case in ("clean", "misspelt", "filtered"):
        held = found[case]
        added = {name: value for name, value in held.items() if name.startswith("added")}
        rows.append({"model": "plain", "shipped": False, "slice": case, **size, **held["plain"]})
        rows.append(
            {"model": "search", "shipped": True, "slice": case, **size, **held["search"], **added}
        )
    for case in ("suggest", "suggest_misspelt"):
        rows.append({"model": "suggest", "shipped": True, "slice": case, **size, **found[case]})
    upsert = {f"visible_{name}": value for name, value in found["upsert"].items()}
    kept = ("build_seconds", "build_cpu_seconds", "process_mb")
    built = {name: found[name] for name in kept}
    rows.append({"model": "search", "shipped": True, "slice": "engine", **size, **built, **upsert})
    return rows


def started(size, queries):
    """Return a process that has built the engine of a size and waits for a line to measure it."""
    command = [sys.executable, "-m", "benchmarks.search_latency", "--one", str(size)]
    process = subprocess.Popen(
        [*command, "--queries", str(queries)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if process.stdout.readline().strip() != "built":
        raise SystemExit(process.wait() or 1)
    return process


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("reports/search_latency.json"))
    parser.add_argument("--pause", action="store_true", help="wait for a line before measuring")
    parser.add_argument("--one", type=int, help="measure one size in this process and print it")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.queries)))
        return 0
    query_encoder()
    built = [started(size, arguments.queries) for size in arguments.sizes]
    if arguments.pause:
        print("built", flush=True)
        sys.stdin.readline()
    found = []
    for process in built:
        out, _ = process.communicate("\n")
        if process.returncode:
            return process.returncode
        found.append(json.loads(out.splitlines()[-1]))
        print(json.dumps(found[-1], indent=2), flush=True)
    rows = [row for one in found for row in flat(one)]
    report = {"protocol": "search latency", "queries": arguments.queries, "rows": rows}
    write_json(arguments.out, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How often slips are mended, and how often a word that a shop lacks is bent into one it has.

Slips are made in words of a catalogue's own titles, one or two per query of one to three words.
Absent words are whole words of another catalogue's titles that this one does not hold, asked alone
and beside a word that both know: every correction of one is a wrong one. Beside the shipped rule
(`guarded`) stands the likeliest word of the same noisy channel, taken whatever it is (`likeliest`).
Writes `reports/search_spelling.json`: `python -m benchmarks.search_spelling`.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_intents import catalogues, invented
from components.contracts.records import Product
from components.data.words import fold, stems
from components.evaluate.bootstrap import mean_interval
from components.evaluate.report import write_report
from components.search.vocabulary import Vocabulary
from components.stages.bench_search import misspelt

SEED = 11
OTHERS = ("electronics", "built")  # whose words are asked elsewhere, by preference
SLIPS = 900  # queries with slips per catalogue
ABSENT = 700  # absent words per catalogue
LEAST_HELD = 4  # titles that hold an absent word elsewhere, so that it is no slip itself


Correct = Callable[[str, Sequence[str]], str | None]


def rules(vocabulary: Vocabulary) -> dict[str, Correct]:
    """Return ways to correct a word beside the stems of the other words, by name."""

    def likeliest(word: str, others: Sequence[str]) -> str | None:
        found = vocabulary.speller.guesses(word, others=others, most=1)
        return found[0].word if found else None

    return {
        "likeliest": likeliest,
        "guarded": lambda word, others: vocabulary.correct(word, others=others),
    }


def words_of(title: str) -> list[str]:
    """Return the words of letters of a title.

    >>> words_of("Whole milk (organic), 1 gal")
    ['whole', 'milk', 'organic', 'gal']
    """
    bare = "".join(c if c.isalnum() else " " for c in fold(title))
    return [w for w in bare.split() if w.isascii() and w.isalpha() and len(w) >= 3]


def slips(
    products: Sequence[Product],
    vocabulary: Vocabulary,
    correct: Correct,
    generator: np.random.Generator,
) -> dict[str, list[float]]:
    """Return for every unknown word that slips made: was it corrected, and to what was meant."""
    corrected, right = [], []
    for _ in range(SLIPS):
        title = words_of(products[int(generator.integers(len(products)))].title)
        if not title:
            continue
        size = min(int(generator.integers(1, 4)), len(title))
        meant = [title[n] for n in sorted(generator.permutation(len(title))[:size].tolist())]
        text = misspelt(
            " ".join(meant), int(generator.integers(1, 3)), int(generator.integers(1e6))
        )
        typed = text.split(" ")
        for place, (bad, good) in enumerate(zip(typed, meant, strict=True)):
            if bad == good or vocabulary.knows(bad):
                continue
            rest = [w for n, w in enumerate(typed) if n != place and vocabulary.knows(w)]
            found = correct(bad, tuple(s for w in rest for s in stems(w)))
            corrected.append(float(found is not None))
            right.append(float(found is not None and stems(found) == stems(good)))
    return {"corrected": corrected, "right": right}


def absent(
    elsewhere: Sequence[Product],
    vocabulary: Vocabulary,
    correct: Correct,
    generator: np.random.Generator,
) -> dict[str, list[float]]:
    """Return for words that the catalogue lacks whether they were corrected all the same."""
    held = Counter(w for p in elsewhere for w in set(words_of(p.title)))
    known = sorted(w for w in held if len(w) >= 4 and vocabulary.knows(w))
    lacking = [w for w, n in sorted(held.items()) if n >= LEAST_HELD and len(w) >= 4]
    lacking = [w for w in lacking if not vocabulary.knows(w)]
    chosen = [lacking[n] for n in generator.permutation(len(lacking))[:ABSENT].tolist()]
    out: list[float] = []
    for word in chosen:
        beside = stems(known[int(generator.integers(len(known)))]) if known else []
        out.append(float(correct(word, ()) is not None))
        out.append(float(correct(word, beside) is not None))
    return {"corrected": out}


def row(name: str, slice_: str, found: dict[str, list[float]]) -> dict[str, Any]:
    """Return a row of the report, shares with their intervals."""
    made: dict[str, Any] = {"model": name, "shipped": name == "guarded", "slice": slice_}
    for key, values in found.items():
        mean, low, high = mean_interval(np.asarray(values), n=2000, seed=SEED)
        made |= {"n": len(values), key: mean, f"{key}_low": low, f"{key}_high": high}
    return made


def main() -> int:
    """Judge the catalogues at hand."""
    shelves = {**catalogues(), "invented": invented()}
    rows = []
    for name, products in shelves.items():
        vocabulary = Vocabulary.from_products(products)
        other = next(n for n in (*OTHERS, *shelves) if n in shelves and n != name)
        for model, correct in rules(vocabulary).items():
            for kind, judge, shelf in (
                ("slips", slips, products),
                ("absent", absent, shelves[other]),
            ):
                found = judge(shelf, vocabulary, correct, np.random.default_rng(SEED))
                rows.append(row(model, f"{name}, {kind}", found))
                print(rows[-1])
    write_report(
        Path("reports/search_spelling.json"),
        protocol="Spelling",
        dataset="slips in words of own titles; words of another catalogue's titles",
        split="rules and weights were chosen on other slips in the same catalogues",
        cut_off="none",
        n=sum(r["n"] for r in rows),
        seed=SEED,
        rows=rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What everyday things are called elsewhere: a thesaurus of nouns, and of Chinese words for things.

Two tables lie beside this module, made from public dictionaries by `python -m
components.assistant.thesaurus WORDNET_DICT CEDICT_FILE` (see `data/NOTICE`): names of artefacts and
food with other names of the same thing and names of what it is a kind of (WordNet), and Chinese
words for such things (CC-CEDICT). They propose what a word may mean where the catalogue does not
know it; the catalogue decides which proposal exists. Nothing here knows a shop.
"""

import gzip
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from components.data.words import stem as singular

_FOLDER = Path(__file__).parent / "data"
_NOUNS, _CHINESE = _FOLDER / "nouns.tsv.gz", _FOLDER / "chinese.tsv.gz"
_ARTEFACT, _FOOD = 6, 13  # WordNet's lexicographer files of things a shop may sell
_SENSES = 3  # rarer meanings of a word only mislead
_LONGEST_HAN = 8
_TOO_WIDE = frozenset(
    (
        "artifact", "object", "whole", "instrumentality", "unit", "matter", "substance", "device",
        "commodity", "article", "structure", "equipment", "container", "covering", "implement",
        "instrument", "food", "nutrient", "material", "product", "creation", "way", "solid",
        "consumer goods", "foodstuff", "artefact", "piece", "instrumentation", "apparatus",
        "durables", "furnishing", "ware", "system", "area", "thing", "part", "substance",
    )
)  # fmt: skip


def _key(name: str) -> str:
    return " ".join(singular(word) for word in re.split(r"[\s_-]+", name.casefold()) if word)


@lru_cache(maxsize=1)
def _nouns() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    table = {}
    for line in gzip.decompress(_NOUNS.read_bytes()).decode("utf-8").splitlines():
        name, same, wider = line.split("\t")
        table[name] = (tuple(filter(None, same.split("|"))), tuple(filter(None, wider.split("|"))))
    return table


@lru_cache(maxsize=1)
def _by_first_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in _nouns():
        first, _, rest = name.partition(" ")
        if rest:
            found[first].append(rest)
    return {word: tuple(rests) for word, rests in found.items()}


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    lines = gzip.decompress(_CHINESE.read_bytes()).decode("utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def same_as(name: str) -> tuple[str, ...]:
    """Return other names of the same thing, stems joined by blanks.

    >>> "pushchair" in same_as("stroller")
    True
    """
    return _nouns().get(_key(name), ((), ()))[0]


def wider_than(name: str) -> tuple[str, ...]:
    """Return names of what a thing is a kind of, the nearest first.

    >>> wider_than("hoover")[0]
    'vacuum'
    """
    return _nouns().get(_key(name), ((), ()))[1]


def is_noun(word: str) -> bool:
    """Whether a stem is the name of a thing, so that it is no slip of the pen."""
    return word in _nouns()


def heads_after(word: str) -> tuple[str, ...]:
    """Return what completes a word to the name of a thing: a jigsaw is a jigsaw puzzle.

    >>> "puzzle" in heads_after("jigsaw")
    True
    """
    return _by_first_word().get(_key(word), ())


def chinese_thing(text: str, start: int, *, least: int = 3) -> tuple[int, str] | None:
    """Return length and English of the longest Chinese word for a thing that begins at a place.

    >>> chinese_thing("要烤面包机", 1)
    (4, 'toaster')
    """
    table = _chinese()
    for length in range(min(_LONGEST_HAN, len(text) - start), least - 1, -1):
        english = table.get(text[start : start + length])
        if english is not None:
            return length, english
    return None


# -- how the tables were made


def _synsets(folder: Path) -> dict[str, tuple[int, list[str], list[str]]]:
    out = {}
    for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith(" "):
            continue
        fields = line.split("|")[0].split()
        count = int(fields[3], 16)
        names = [fields[4 + 2 * i].lower() for i in range(count)]
        at = 4 + 2 * count
        pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
        out[fields[0]] = (int(fields[1]), names, [p[1] for p in pointers if p[0] == "@"])
    return out


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"[a-z][a-z'_-]*", name) is not None and len(re.split("[_-]", name)) <= 3


def nouns_of(folder: Path) -> Iterable[tuple[str, list[str], list[str]]]:
    """Yield (name, same, wider) of WordNet's artefacts and food."""
    synsets = _synsets(folder)
    shop = {_ARTEFACT, _FOOD}
    table: dict[str, tuple[list[str], list[str]]] = {}
    for line in (folder / "index.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith(" "):
            continue
        fields = line.split()
        if not _is_plain(fields[0]):
            continue
        name = _key(fields[0])
        same, wider = table.setdefault(name, ([], []))
        senses = [o for o in fields[-int(fields[2]) :][:6] if synsets[o][0] in shop]
        for offset in senses[:_SENSES]:
            _, names, level = synsets[offset]
            same.extend(_key(n) for n in names if _is_plain(n))
            for _ in range(2):
                for above in level:
                    if synsets[above][0] in shop:
                        wider.extend(_key(n) for n in synsets[above][1] if _is_plain(n))
                level = [p for above in level for p in synsets[above][2]]
    for name, (same, wider) in sorted(table.items()):
        kept = [n for n in dict.fromkeys(same) if n != name and n not in _TOO_WIDE][:10]
        above = [n for n in dict.fromkeys(wider) if n not in {name, *kept, *_TOO_WIDE}][:5]
        if kept or above:
            yield name, kept, above


def chinese_of(path: Path, things: set[str]) -> Iterable[tuple[str, str]]:
    """Yield (simplified Chinese, English) of the dictionary's words for things."""
    opened = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for line in opened.decode("utf-8").splitlines():
        match = re.match(r"\S+ (\S+) \[[^\]]*\] /(.*)/", line)
        if match is None or not re.fullmatch(r"[\u3400-\u9fff]{2,8}", match.group(1)):
            continue
        for meaning in re.split(r"[/;]", match.group(2))[:4]:
            english = re.sub(r"\([^)]*\)|\bCL:.*|^(?:an?|the) ", "", meaning).strip().casefold()
            words = english.split()
            if not 1 <= len(words) <= 3 or not re.fullmatch(r"[a-z' -]+", english):
                continue
            if _key(english) in things or (len(words) > 1 and _key(words[-1]) in things):
                yield match.group(1), english
                break


def _write(path: Path, lines: Iterable[str]) -> int:
    listed = list(lines)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("\n".join(listed).encode("utf-8"))
    return len(listed)


def main(wordnet: str, cedict: str) -> None:
    """Make both tables."""
    nouns = list(nouns_of(Path(wordnet)))
    made = _write(_NOUNS, (f"{n}\t{'|'.join(s)}\t{'|'.join(w)}" for n, s, w in nouns))
    pairs: dict[str, str] = {}
    for han, english in chinese_of(Path(cedict), {n for n, _, _ in nouns}):
        pairs.setdefault(han, english)
    words = _write(_CHINESE, (f"{han}\t{english}" for han, english in sorted(pairs.items())))
    sys.stdout.write(f"{made} nouns, {words} Chinese words\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])

"""The bilingual retail lexicon: Chinese words and English synonyms for words of a catalogue.

The terms lie in `lexicon.tsv` beside this module, to be read and extended by a person. They widen
what is looked for; they never become a hard constraint by themselves.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from components.data.words import stems

_PATH = Path(__file__).with_name("lexicon.tsv")


@dataclass(frozen=True)
class Lexicon:
    """Chinese word to English phrase, and English stem phrase to its synonyms."""

    chinese: dict[str, str]
    same: dict[str, tuple[str, ...]]
    longest_chinese: int
    longest_same: int

    def with_synonyms(self, approved: dict[str, tuple[str, ...]]) -> "Lexicon":
        """Return the lexicon with a shop's own approved synonyms added."""
        same = dict(self.same)
        for term, targets in approved.items():
            stemmed = " ".join(stems(term))
            same[stemmed] = tuple(dict.fromkeys((*same.get(stemmed, ()), *targets)))
        longest = max((len(t.split()) for t in same), default=1)
        return Lexicon(self.chinese, same, self.longest_chinese, longest)


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the packaged lexicon.

    >>> load_lexicon().chinese["牛奶"]
    'milk'
    """
    chinese: dict[str, str] = {}
    same: dict[str, tuple[str, ...]] = {}
    for line in _PATH.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        term, kind, targets = line.split("\t")
        if kind == "zh":
            chinese[term] = targets
        else:
            same[" ".join(stems(term))] = tuple(targets.split("|"))
    return Lexicon(
        chinese=chinese,
        same=same,
        longest_chinese=max(map(len, chinese)),
        longest_same=max(len(term.split()) for term in same),
    )

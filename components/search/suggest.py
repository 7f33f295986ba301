"""As-you-type suggestions: what to complete a prefix to, and what others searched along with it.

Completions come from the catalogue (types, categories, brands, frequent title phrases) and from
past queries that at least `k` visitors typed; nothing rarer is ever suggested to another person. A
visitor's own queries may be suggested to that visitor. A prefix without completions is corrected.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

from components.contracts.messages import Suggestion
from components.data.words import fold, has_chinese, ngrams, stems
from components.search.lexicon import Lexicon, load_lexicon
from components.search.patterns import QUERY_WORDS, STOP_WORDS
from components.search.vocabulary import Vocabulary

MIN_VISITORS = 5
_KIND_ORDER = {"query": 0, "category": 1, "brand": 2, "product": 3, "related": 4}
_SCAN = 4000  # completions looked at for one prefix


@dataclass(frozen=True)
class QueryLog:
    """Queries that enough visitors typed, and pairs that enough visitors typed in one session."""

    visitors: Mapping[str, int] = field(default_factory=dict)  # folded query -> distinct visitors
    together: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_sessions(
        cls, sessions: Iterable[tuple[str, Sequence[str]]], *, k: int = MIN_VISITORS
    ) -> "QueryLog":
        """Count queries.

        Args:
            sessions: (visitor_id, queries in order), any number per visitor.
            k: how many distinct visitors must have typed a query, or a pair, for it to be kept.
        """
        who: dict[str, set[str]] = defaultdict(set)
        pairs: dict[tuple[str, str], set[str]] = defaultdict(set)
        for visitor, queries in sessions:
            folded = list(dict.fromkeys(" ".join(fold(q).split()) for q in queries))
            for query in folded:
                if query:
                    who[query].add(visitor)
            for first in folded:
                for second in folded:
                    if first and second and first != second:
                        pairs[first, second].add(visitor)
        kept = {q: len(v) for q, v in who.items() if len(v) >= k}
        together: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for (first, second), visitors in pairs.items():
            if len(visitors) >= k and first in kept and second in kept:
                together[first].append((-len(visitors), second))
        return cls(
            dict(sorted(kept.items())),
            {q: tuple(s for _, s in sorted(t)[:8]) for q, t in sorted(together.items())},
        )


@dataclass(frozen=True)
class _Entry:
    text: str
    kind: str
    weight: float


class Suggester:
    """Completes prefixes from one catalogue's vocabulary and one query log; immutable."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        log: QueryLog | None = None,
        *,
        popularity: Mapping[str, float] | None = None,
        titles: Sequence[str] = (),
        lexicon: Lexicon | None = None,
    ) -> None:
        """Collect what may be suggested.

        Args:
            vocabulary: of the catalogue.
            log: past queries, already k-anonymous.
            popularity: lower-case type, category or brand to its purchases.
            titles: product titles, for frequent phrases.
            lexicon: for prefixes in Chinese.
        """
        self.vocabulary = vocabulary
        self.log = log or QueryLog()
        self._lexicon = lexicon or load_lexicon()
        sold = popularity or {}
        entries: dict[str, _Entry] = {}

        def put(text: str, kind: str, weight: float) -> None:
            folded = " ".join(fold(text).split())
            held = entries.get(folded)
            if folded and (held is None or held.weight < weight):
                entries[folded] = _Entry(text if kind in ("brand",) else folded, kind, weight)

        for phrase, count in _frequent_phrases(titles).items():
            put(phrase, "query", count)
        for table, kind in (
            (vocabulary.types, "query"),
            (vocabulary.categories, "category"),
            (vocabulary.brands, "brand"),
        ):
            for known in table.values():
                for value in known.values:
                    put(value, kind, known.products + 3.0 * sold.get(fold(value), 0.0))
        most = max((e.weight for e in entries.values()), default=1.0)
        for query, visitors in self.log.visitors.items():
            put(query, "query", most * (1.0 + visitors))
        self._texts = sorted(entries)
        self._entries = [entries[text] for text in self._texts]
        by_word: list[tuple[str, int]] = []
        for place, text in enumerate(self._texts):
            at = text.find(" ")
            while at >= 0:
                by_word.append((text[at + 1 :], place))
                at = text.find(" ", at + 1)
        by_word.sort()
        self._inner = [text for text, _ in by_word]
        self._inner_place = [place for _, place in by_word]

    def suggest(
        self,
        prefix: str,
        *,
        limit: int = 8,
        own: Sequence[str] = (),
        liked: Mapping[str, float] | None = None,
    ) -> tuple[Suggestion, ...]:
        """Complete a prefix.

        Args:
            prefix: what has been typed so far; empty gives the visitor's own and popular queries.
            limit: how many at most.
            own: the visitor's own past queries, newest first, without slips; shown to nobody else.
            liked: comparison word (stem) to how much the visitor likes it, in [0, 1].

        Returns:
            Own queries first, then by popularity and liking; at most `limit`.
        """
        folded = " ".join(fold(prefix).split()) + (
            " " if prefix[-1:].isspace() and prefix.strip() else ""
        )
        found: dict[str, Suggestion] = {}
        for query in own:
            if len(found) >= max(1, limit // 3):
                break
            typed = " ".join(fold(query).split())
            if typed and (text := self._mended(typed)).startswith(folded):
                found.setdefault(text, Suggestion(text=text, kind="query"))
        self._add(found, self._places(folded), limit, liked)
        if len(found) < limit and has_chinese(folded):
            for term, target in self._lexicon.chinese.items():
                if term.startswith(folded.strip()) or folded.strip().startswith(term):
                    self._add(found, self._places(target), limit, liked)
        if len(found) < min(3, limit) and folded.strip():
            for better in self._corrected(folded):
                self._add(found, self._places(better), limit, liked)
        if len(found) < limit:
            complete = folded.strip()
            for text in self.log.together.get(complete, ()):
                if len(found) < limit:
                    found.setdefault(text, Suggestion(text=text, kind="related"))
        return tuple(list(found.values())[:limit])

    def related(self, query: str, *, limit: int = 8) -> tuple[str, ...]:
        """Return what people who searched this also searched; empty below the k of the log."""
        return self.log.together.get(" ".join(fold(query).split()), ())[:limit]

    def _places(self, prefix: str) -> list[tuple[int, bool]]:
        """Return (entry, whether at its start) for entries with a word that starts so."""
        start = bisect_left(self._texts, prefix)
        end = bisect_left(self._texts, prefix + "\U0010ffff")
        found = [(place, True) for place in range(start, min(end, start + _SCAN))]
        if prefix.strip():
            start = bisect_left(self._inner, prefix)
            end = bisect_left(self._inner, prefix + "\U0010ffff")
            found += [(self._inner_place[i], False) for i in range(start, min(end, start + _SCAN))]
        return found

    def _add(
        self,
        found: dict[str, Suggestion],
        places: list[tuple[int, bool]],
        limit: int,
        liked: Mapping[str, float] | None,
    ) -> None:
        def cost(item: tuple[int, bool]) -> tuple[float, int, str]:
            entry = self._entries[item[0]]
            weight = entry.weight * (1.0 if item[1] else 0.5)
            if liked:
                weight *= 1.0 + 4.0 * max(
                    (liked.get(w, 0.0) for w in stems(entry.text)), default=0.0
                )
            return (-weight, _KIND_ORDER[entry.kind], self._texts[item[0]])

        for place, _ in nsmallest(limit * 2, places, key=cost):
            if len(found) >= limit:
                break
            entry = self._entries[place]
            found.setdefault(
                self._texts[place],
                Suggestion(text=entry.text, kind=entry.kind),  # type: ignore[arg-type]
            )

    def _mended(self, query: str) -> str:
        """Return an own query without its slips, which nobody wants to be reminded of."""
        return " ".join(
            self.vocabulary.correct(w) or w
            if w.isascii() and w.isalpha() and w not in STOP_WORDS and w not in QUERY_WORDS
            else w
            for w in query.split()
        )

    def _corrected(self, prefix: str) -> list[str]:
        """Return the prefix with its words corrected, the last one as the start of a word."""
        words = prefix.split()
        if not words or not all(w.isascii() for w in words):
            return []
        head = [
            w if self.vocabulary.knows(w) else self.vocabulary.correct(w) or w for w in words[:-1]
        ]
        last = words[-1]
        nearby: list[str] = []
        if not self.vocabulary.knows(last):
            others = stems(" ".join(head))
            guesses = self.vocabulary.guesses(
                last, before=others[-1] if others else None, others=others
            )
            nearby = [g.word for g in guesses[:3]]
            nearby += self._near_prefixes(last)
        return [" ".join([*head, w]) for w in dict.fromkeys([*nearby, last])]

    def _near_prefixes(self, last: str) -> list[str]:
        """Return known words of which a start as long as `last` is one slip away from it."""
        found: Counter[str] = Counter()
        tries = {last[:i] + last[i + 1 :] for i in range(1, len(last))}
        tries |= {last[:i] + last[i + 1] + last[i] + last[i + 2 :] for i in range(1, len(last) - 1)}
        for attempt in tries:
            if len(attempt) < 3:
                continue
            for place, at_start in self._places(attempt)[:40]:
                if at_start:
                    found[attempt] += int(self._entries[place].weight) + 1
        return [attempt for attempt, _ in found.most_common(3)]


def _frequent_phrases(
    titles: Sequence[str], *, least: int = 3, most: int = 20_000
) -> dict[str, int]:
    """Count two- and three-word runs of letters in titles; keeps the frequent ones."""
    counts: Counter[str] = Counter()
    for title in titles[:200_000]:
        words = fold(title).replace(",", " , ").replace("(", " ( ").split()
        for _, _, phrase in ngrams(words, 3):
            if " " in phrase and all(w.isalpha() and len(w) > 2 for w in phrase.split()):
                if phrase.split()[-1] in STOP_WORDS or phrase.split()[0] in STOP_WORDS:
                    continue
                counts[phrase] += 1
    return {p: n for p, n in counts.most_common(most) if n >= least}

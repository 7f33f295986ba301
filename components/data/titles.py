"""Human titles, category paths and attributes from the terse words of a retail article file.

In: department, brand kind, category, type and size as a till prints them, and the reviewed table
`journey_words.txt`. Out: what a shopper reads, and what a shopper may filter by. A type that the
table does not know is spelled out word by word. No fact is invented: a flavour or a diet is stated
only where the source's own words say it.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from components.contracts.errors import SourceError
from components.data.sizes import Size, parse_size

WORDS_FILE = Path(__file__).with_name("journey_words.txt")
SECTIONS = ("departments", "categories", "types", "words")
STORE_BRAND = "Store brand"
NOUN_MARK = "~"

# Words of the source that state a diet, a flavour or a form, and the attribute they make.
STATED = {
    "diet": {
        "organic": r"\borganics?\b",
        "sugar free": r"\bsugar[- ]free\b|\bno sugar\b",
        "gluten free": r"\bgluten[- ]free\b",
        "low fat": r"\b(?:low|reduced)[- ]fat\b",
        "nonfat": r"\bnon ?-?fat\b|\bfat free\b",
        "light": r"\b(?:light|lite|lighter|better for you)\b",
        "vegetarian": r"\b(?:vegetarian|meatless|meat alternatives?|tofu)\b",
        "dairy free": r"\b(?:non[- ]dairy|soy beverage|rice beverage|soy/rice milk)\b",
        "kosher": r"\bkosher\b",
        "decaf": r"\bdecaf(?:finn?ated)?\b",
        "unsweetened": r"\bunsweetened\b|\bunswe\b|\bno swe|\bno sugar or\b|\bw/o sw\b",
        "alcohol free": r"\bnon[- ]alcoh\w*",
    },
    "flavour": {
        "chocolate": r"\bchoc\w*|\bcocoa\b|\bbrownie",
        "vanilla": r"\bvanilla\b",
        "fruit": r"\bfruit\b",
        "cheese": r"\bcheese\b",
        "peanut butter": r"\bpeanut butter\b|\bpnut btr\b",
        "caramel": r"\bcaramel\b",
        "lemon": r"\blemon\b",
        "herbal": r"\bherbal\b",
    },
    "form": {
        "frozen": r"\b(?:frzn|frozen|frz|iqf)\b",
        "canned": r"\b(?:cans?|canned|cnd)\b",
        "dry": r"\b(?:dry|dried|powder\w*|pwdrs?)\b",
        "liquid": r"\bliquid\b",
        "fresh": r"\bfresh\b|\bfre\b",
        "refrigerated": r"\b(?:refrig\w*|refrgratd|dairy case)\b",
    },
}
_STATED = {
    name: {value: re.compile(pattern, re.I) for value, pattern in values.items()}
    for name, values in STATED.items()
}
CATEGORY_SPEAKS_FOR = ("organic", "frozen", "fresh", "refrigerated")
_FLAVOURLESS = re.compile(
    r"\bnon herbal|\bnon[- ]choc\w*|\bex smi-swt|\bcheesecake|\bfruit (?:cocktail|salad)", re.I
)
CRATED_SHELF = "Produce"
CRATE = {"ct": 12.0, "lb": 10.0}


@dataclass(frozen=True)
class Texts:
    """What a shopper reads about one family."""

    title: str
    description: str
    brand: str | None
    category: tuple[str, ...]
    type: str
    attributes: dict[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """The reviewed table: departments, categories (path and noun), types and single words."""

    departments: dict[str, str]
    categories: dict[str, tuple[str, str]]
    types: dict[str, str]
    words: dict[str, str]


@lru_cache(maxsize=1)
def read_words() -> Words:
    """Read the reviewed table.

    Raises:
        SourceError: a line is not `RAW = human`, or a section is unknown; names file and line.
    """
    sections: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    current: dict[str, str] | None = None
    for number, raw in enumerate(WORDS_FILE.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name = line.strip("[]")
            if name not in sections:
                raise SourceError(f"{WORDS_FILE.name}, line {number}: unknown section {name!r}.")
            current = sections[name]
            continue
        key, mark, human = line.rpartition(" = ")
        if not mark or current is None or not key:
            raise SourceError(f"{WORDS_FILE.name}, line {number}: expected `RAW = human`.")
        current[_squeeze(key)] = human.strip()
    categories = {}
    for key, human in sections["categories"].items():
        path, _, noun = human.partition(" | ")
        categories[key] = (path.strip(), noun.strip())
    return Words(sections["departments"], categories, sections["types"], sections["words"])


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().upper()


def spell_out(raw: str, words: dict[str, str]) -> str:
    """Spell out a type that no reviewed line covers.

    >>> spell_out("FRZN DINNER ROLLS(EX:BAGELS", {"FRZN": "frozen"})
    'Frozen dinner rolls'
    """
    text = re.sub(r"\([^)]*\)?", " ", _squeeze(raw))
    text = re.sub(r"\b(\w+) S\b", r"\1'S", text)
    magazine = text.endswith("-MAGAZINE")
    text = re.sub(r"-MAGAZINE$", "", text)
    text = re.sub(r"\s*[&/]\s*", " AND ", text)
    text = re.sub(r"\s*[:]\s*", ", ", text)
    text = re.sub(r"\s+-\s*|\s*-\s+", ", ", text)
    out = []
    for token in text.split():
        bare = token.strip(".,")
        tail = "," if token.endswith(",") else ""
        out.append(words.get(bare, bare.lower()) + tail)
    spelled = re.sub(r"\s+", " ", " ".join(out)).strip(" ,")
    spelled = re.sub(r"\band( and)+\b", "and", spelled)
    return _capital(spelled + (" magazine" if magazine else ""))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def type_phrase(category: str, type_: str | None) -> str:
    """Return what kind of thing it is, in words; `~` in the table becomes the category's noun."""
    words = read_words()
    key = _squeeze(category)
    noun = words.categories.get(key, ("", ""))[1] or spell_out(category, words.words).lower()
    if not type_:
        return _capital(noun)
    raw = _squeeze(type_)
    phrase = words.types.get(f"{key}|{raw}") or words.types.get(raw)
    if phrase is None:
        return spell_out(type_, words.words)
    return _capital(_without_echo(phrase.replace(NOUN_MARK, noun)))


def _without_echo(phrase: str) -> str:
    """Drop a word that the noun repeats at once: "Frozen frozen meal", "Natural natural food"."""
    return re.sub(r"\b(\w+)( \1\b)+", r"\1", phrase, flags=re.I)


def category_path(department: str, category: str) -> tuple[str, ...]:
    """Return the path a shopper browses, wide to narrow."""
    words = read_words()
    wide = words.departments.get(_squeeze(department)) or spell_out(department, words.words)
    path = words.categories.get(_squeeze(category), ("", ""))[0]
    if not path:
        return (wide, spell_out(category, words.words))
    if path.startswith(">"):
        return tuple(part.strip() for part in path[1:].split(" > "))
    return (wide, *(part.strip() for part in path.split(" > ")))


def stated(type_: str | None, category: str) -> dict[str, str]:
    """Return diet, flavour and form as far as the source's own words state them.

    A category speaks for all of its products only where it names a diet or says how they are kept.

    >>> stated("CHOCOLATE PIE", "FRZN DESSERTS")
    {'flavour': 'chocolate', 'form': 'frozen'}
    """
    text = _FLAVOURLESS.sub(" ", (type_ or "").lower())
    found: dict[str, str] = {}
    for name, values in _STATED.items():
        for value, pattern in values.items():
            said = pattern.search(text) or (
                value in CATEGORY_SPEAKS_FOR and pattern.search(category.lower())
            )
            if said and not (value == "cheese" and "cheese" in category.lower()):
                found[name] = value
                break
    return found


def compose(
    department: str, brand: str | None, category: str, type_: str | None, size: str | None
) -> Texts:
    """Compose the texts of one family.

    Args:
        department: the source's department.
        brand: `Private` for the store's own brand; anything else is somebody else's and not shown.
        category: the source's category.
        type_: the source's type; may be missing.
        size: the source's package size; may be missing.
    """
    phrase = type_phrase(category, type_)
    path = category_path(department, category)
    measure = _shown(parse_size(size), path)
    own = brand == "Private"
    title = phrase
    if measure.text and not _says(phrase, measure):
        title += f", {measure.text}"
    if own:
        title += " (store brand)"
    attributes: dict[str, str | float | bool] = {
        "brand_kind": "store brand" if own else "national brand"
    }
    if measure.value is not None and measure.unit is not None:
        attributes |= {"size": measure.text, "size_value": measure.value, "size_unit": measure.unit}
    if measure.pack is not None:
        attributes["pack"] = float(measure.pack)
    attributes |= stated(type_, category)
    return Texts(
        title=title,
        description=_describe(phrase, path, measure, own),
        brand=STORE_BRAND if own else None,
        category=path,
        type=phrase,
        attributes=attributes,
    )


def _shown(size: Size, path: tuple[str, ...]) -> Size:
    """Hide what a till prints for produce: the content of the crate, not of what one buys."""
    if path[0] != CRATED_SHELF or size.text in ("small", "medium", "large"):
        return size
    crate = size.value is None or size.value > CRATE.get(size.unit or "", float("inf"))
    return Size() if crate else size


def _says(phrase: str, size: Size) -> bool:
    """Say whether the phrase already names this size ("Soft drink, 2-liter bottle")."""
    return size.text.lower() in phrase.lower().replace("-liter", " l")


def _describe(phrase: str, path: tuple[str, ...], size: Size, own: bool) -> str:
    what = f"{phrase}, {size.text}," if size.text and not _says(phrase, size) else phrase
    whose = "our own store brand" if own else "a national brand"
    where = " under ".join(dict.fromkeys((path[0], path[-1])))
    return f"{what} from {whose}. Find it in {where}."

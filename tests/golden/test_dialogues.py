"""Scripted conversations in other words and shops than the ones the assistant was developed on."""

from pathlib import Path

import pytest

from tests.golden.dialogue_checks import Shop, conversations, run_conversation

FOLDER = Path(__file__).parent / "dialogues"
KNOWN_TO_FAIL: dict[str, str] = {
    "bz-refinement-5": "a brand said after a narrow kind gives way, not the kind",
    "bz-refinement-2": "that noise is fine does not let go of quiet",
    "bz-negation-2": "nothing is left without the brand; what breaks it is shown and said",
    "bz-cold_start-1": "a night light comes before the bedding for a cosy bedroom",
    "bz-bundle-1": "adding a whole bundle leaves out what needs a size, without asking for it",
    "bz-typos_synonyms-5": "a throw is not known to be a blanket",
    "bz-safety-2": 'what was named in a refused message is not what "it" means next',
    "gt-10": '"those" after one of several was described means all that were listed',
    "gt-13": "so many bunches of them into the trolley is not read as adding",
    "pd-3": "one of several kinds in the basket, with its name, will do: the number is not set",
    "pd-13": "a plant for a dark corner is not known to love shade",
    "pd-14": "three of a thing, then what to do with them; and to bin the lot",
    "pd-16": "a flower named in a title only comes after others",
    "pd-17": "a colour misspelt by two letters swapped is not read",
    "pd-20": "a pack size said after the product is not taken as wanting it",
    "mk-ca5": "another size after a sold-out one shows the product and does not add it",
    "mk-ps2": "what keeps a drink cold is not known to be a bottle",
    "gs-3": "a kind of cookies in Chinese, without chocolate, finds others first",
    "gs-4": "a pack size and a brand kind in one sentence with two products",
}
CASES = [
    (name, conversation)
    for name in sorted(f.name for f in FOLDER.iterdir() if f.is_dir())
    for conversation in conversations(FOLDER / name)
]


@pytest.fixture(scope="module")
def shops():
    return {name: Shop(FOLDER / name) for name, _ in CASES}


@pytest.mark.parametrize(("name", "conversation"), CASES, ids=[c["id"] for _, c in CASES])
def test_dialogue(name, conversation, shops):
    if conversation["id"] in KNOWN_TO_FAIL:
        pytest.xfail(KNOWN_TO_FAIL[conversation["id"]])
    assert run_conversation(shops[name], conversation) == []

"""Scripted conversations in other words and shops than the ones the assistant was developed on."""

from pathlib import Path

import pytest

from tests.golden.dialogue_checks import Shop, conversations, run_conversation

FOLDER = Path(__file__).parent / "dialogues"
KNOWN_TO_FAIL: dict[str, str] = {}
CASES = [
    (name, conversation)
    for name in ("home_develop", "grocery_develop", "home_apart", "grocery_apart")
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

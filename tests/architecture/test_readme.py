"""What the README tells a reader to type exists, and its tables are the generated ones."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer.main

from components.cli import app
from docs.tables import PAGES, render, sections

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(path: Path) -> list[str]:
    text = path.read_text()
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`((?:make|shelfwise|\.venv/bin/shelfwise) [^`\n]+)`", text)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("#")[0].strip().lstrip("$ ") for line in [*lines, *inline] if line.strip()]


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_and_commands_exist(path):
    root = typer.main.get_command(app)
    for line in commands(path):
        words = [w for w in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=.*", w)]
        if not words:
            continue
        if words[0] == "make":
            assert len(words) == 1 or words[1] in TARGETS, line
        elif words[0].endswith("shelfwise"):
            command: click.Command = root
            for word in words[1:]:
                if not isinstance(command, click.Group) or word.startswith("-") or word == "NAME":
                    break
                assert word in command.commands, f"{path.name}: {line}"
                command = command.commands[word]


@pytest.mark.parametrize("name", PAGES)
def test_tables_are_generated(name):
    page = (ROOT / name).read_text()
    assert sections(page), f"{name} holds no generated table"
    assert render(page, ROOT / "reports") == page, "run `python -m docs.tables`"

"""The project speaks of itself alone, and its changelog and init files keep their form."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if re.search(r"\.(py|md|toml|ya?ml|sh|txt)$|Makefile$", name) and (ROOT / name).is_file()
]
FORBIDDEN = re.compile(r"pypi\.org|pythonhosted|huggingface\.co/|\bissue #\d+", re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_host_or_tracker_is_named(path):
    if path == Path(__file__):
        return
    found = FORBIDDEN.search(path.read_text(encoding="utf-8"))
    assert found is None, f"{path}: {found.group(0)}"


# The one exception: a worker starts a flow with its own environment, which has to be set right
# before anything of the orchestrator is imported.
INITS = [p for p in FILES if p.name == "__init__.py" and p.parent != ROOT / "flows"]


@pytest.mark.parametrize("path", INITS, ids=lambda p: str(p.relative_to(ROOT)))
def test_init_files_hold_a_docstring_only(path):
    body = ast.parse(path.read_text()).body
    assert all(isinstance(node, ast.Expr) for node in body)


def test_changelog_has_an_unreleased_section():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in text
    assert re.search(r"### (Added|Changed|Fixed|Removed)\n- ", text)

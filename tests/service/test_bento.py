# ruff: noqa: E501
"""A bento holds the code, the pins and the release, and nothing else; carried elsewhere, it serves."""

import os
import re
import subprocess
import sys
import tomllib

import httpx
import pytest

from components.contracts.artefacts import Layout
from tests.service.conftest import ROOT, Served

MOST_MIB = 5.0  # of code and metadata, the release aside


def test_requirements_are_the_pins_of_the_serve_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=~]", n)[0] for n in
              (*project["dependencies"], *project["optional-dependencies"]["serve"])}  # fmt: skip
    pins = dict(re.findall(r"^([\w.-]+)==([^\s+]+)", (ROOT / "constraints.txt").read_text(), re.M))
    listed = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "bentos" / "requirements.txt").read_text(), re.M)
    )
    assert wanted <= set(listed)
    assert {n: v for n, v in listed.items() if n in pins} == {
        n: pins[n] for n in listed if n in pins
    }


@pytest.fixture(scope="module")
def bento(releases, tmp_path_factory):
    """Build the bento of the champion with the release flow's own function."""
    from components.registry.store import Registry
    from components.stages.package import build

    home = tmp_path_factory.mktemp("bentoml")
    layout, first, _ = releases
    staged = Layout(tmp_path_factory.mktemp("staged"))
    for name in ("components", "bentos", "pyproject.toml", "constraints.txt"):
        (staged.root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home))
        build(staged, Registry(layout.registry).release(first), "test")
    return next(home.glob("bentos/shelfwise/test"))


def test_a_bento_is_small_and_holds_no_state(bento):
    files = [p for p in bento.rglob("*") if p.is_file()]
    names = {
        p.relative_to(bento / "src").as_posix() for p in files if p.is_relative_to(bento / "src")
    }
    assert {"bentos/service.py", "components/state/store.py", "release/manifest.json",
            "components/state/migrations/versions/r0001_first.py"} <= names  # fmt: skip
    assert not [
        n for n in names if n.split("/")[0] in ("var", "data", ".venv", "tests", "ui", "flows")
    ]
    code = sum(p.stat().st_size for p in files if "release" not in p.parts)
    assert code < MOST_MIB * 2**20, f"{code / 2**20:.1f} MiB"


def test_a_bento_carried_elsewhere_serves_its_release(bento, releases, tmp_path):
    running = Served(
        Layout(bento / "src"), tmp_path, PYTHONPATH=str(bento / "src"), BENTOML_HOME=str(tmp_path)
    )
    try:
        running.wait()
        answer = httpx.post(
            f"{running.url}/v1/search", json={"query": "tea"}, trust_env=False
        ).json()
        assert answer["model_version"] == releases[1]
        assert answer["products"]
    finally:
        running.stop()


def test_keys_are_made_on_the_command_line(tmp_path):
    environment = {**os.environ, "SHELFWISE_STATE_URL": f"sqlite:///{tmp_path}/state.db"}

    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "bentos.keys", *arguments], cwd=ROOT,
                              env=environment, capture_output=True, text=True, check=False)  # fmt: skip

    assert run("add", "shop", "--scopes", "read,events").stdout.startswith("sw_")
    assert run("add", "shop", "--scopes", "everything").returncode == 2
    assert run("revoke", "shop").stdout == "revoked 1\n"

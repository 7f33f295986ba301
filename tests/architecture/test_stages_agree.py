"""The stages of both dvc.yaml files, the sections of params.yaml and the command tell one story."""

import importlib
import inspect
from pathlib import Path

import grimp
import pytest
import yaml

from components.cli import STAGES
from components.contracts.params import Params, load_params

ROOT = Path(__file__).parents[2]
FILES = ("dvc.yaml", "benchmarks/dvc.yaml")
BY_FILE = {name: yaml.safe_load((ROOT / name).read_text())["stages"] for name in FILES}
DVC = {name: stage for stages in BY_FILE.values() for name, stage in stages.items()}
SECTIONS = {field.alias or name for name, field in Params.model_fields.items()}
NOT_STAGES = {"serve", "promote"}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("components", cache_dir=None)


def test_stages_are_params_sections_are_commands():
    assert list(DVC) == list(STAGES)
    assert set(STAGES) <= SECTIONS
    assert SECTIONS - set(STAGES) == NOT_STAGES


def test_params_file_has_every_section_and_key():
    written = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(written) == SECTIONS
    dumped = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    for section, values in dumped.items():
        assert set(written[section]) == set(values), section


def test_nothing_of_the_pipeline_reads_what_a_benchmark_made():
    made = {
        path
        for stage in BY_FILE["benchmarks/dvc.yaml"].values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
        for path in (out if isinstance(out, dict) else [out])
    }
    assert made
    read = {dep for stage in BY_FILE["dvc.yaml"].values() for dep in stage["deps"]}
    assert not made & read


@pytest.mark.parametrize("name", STAGES)
def test_stage_command_and_params(name):
    stage = DVC[name]
    assert stage["cmd"] == f"python -m components.cli stage {name}"
    assert name in stage.get("params", [])


@pytest.mark.parametrize("name", STAGES)
def test_stage_module_has_run_with_the_agreed_arguments(name):
    module, _, attribute = STAGES[name].partition(":")
    function = getattr(importlib.import_module(module), attribute)
    assert list(inspect.signature(function).parameters)[:2] == ["params", "layout"]


@pytest.mark.parametrize("name", STAGES)
def test_stage_deps_cover_every_file_it_imports(name, graph):
    module = STAGES[name].partition(":")[0]
    needed = {module, *graph.find_upstream_modules(module)}
    deps = [d for d in DVC[name]["deps"] if d.startswith("components")]
    for imported in sorted(needed):
        path = imported.replace(".", "/")
        if (ROOT / path).is_dir():
            continue  # a package's __init__ holds a docstring only
        if imported.startswith("components.contracts"):
            continue  # shapes, not behaviour: docs/decisions/0002
        assert any(
            path == d.removesuffix(".py") or path.startswith(d.rstrip("/") + "/") for d in deps
        ), f"stage {name} imports {imported}, which its deps {deps} do not cover"

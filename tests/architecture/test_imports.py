"""The import layers of pyproject.toml hold."""

from importlinter.cli import lint_imports


def test_layers_hold():
    assert lint_imports(config_filename="pyproject.toml") == 0

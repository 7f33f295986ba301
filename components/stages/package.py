"""Bake a release and the service into a bento, and record its tag.

In: a release of the registry. Out: a bento in the store at BENTOML_HOME, tagged
`shelfwise:<release_id>-<code>`, where `code` is a hash of the service's own files: an identical one
is never built twice. The build runs as a process of its own, on a staging folder that holds nothing
but the code, the pinned requirements and the release.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from components.contracts.artefacts import Layout, sha256_of, sha256_of_json
from components.contracts.errors import ServiceError
from components.registry.store import Registry, Release

NAME = "shelfwise"
CODE = ("components", "bentos")
BUILD_SECONDS = 600


def package(layout: Layout, release_id: str, *, by: str = "pipeline") -> str:
    """Build the bento of a release unless it is there; return its tag.

    Raises:
        RegistryError: no such release, or one that does not verify.
        ServiceError: the build failed; carries the last lines it wrote.
    """
    registry = Registry(layout.registry)
    release = registry.release(release_id)
    version = f"{release.release_id}-{code_hash(layout.root)}"
    tag = f"{NAME}:{version}"
    if not is_built(version):
        registry.verify(release.release_id)
        build(layout, release, version)
        drop_old(release.release_id, version, {r.release_id for r in registry.releases()})
    if registry.state().bentos.get(release.release_id) != tag:
        registry.record(
            "package",
            release.release_id,
            reason="built from the release",
            by=by,
            details={"bento": tag},
        )
    return tag


def code_hash(root: Path) -> str:
    """Return 8 hex digits over the code and the pins that go into a bento."""
    return sha256_of_json({name: sha256_of(root / name) for name in code_files(root)})[:8]


def code_files(root: Path) -> list[str]:
    """Return the relative paths of all code files that a bento holds, sorted."""
    found = [
        path.relative_to(root).as_posix()
        for folder in CODE
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]
    return sorted(
        [*found, *(n for n in ("pyproject.toml", "constraints.txt") if (root / n).is_file())]
    )


def is_built(version: str) -> bool:
    """Return whether the store holds this bento, whole."""
    home = os.environ.get("BENTOML_HOME")
    return bool(home) and (Path(str(home)) / "bentos" / NAME / version / "bento.yaml").is_file()


def build(layout: Layout, release: Release, version: str) -> None:
    """Stage code and release, and run `bentoml build` on them."""
    layout.var.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bento-", dir=layout.var) as name:
        staging = Path(name)
        for file in code_files(layout.root):
            (staging / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(layout.root / file, staging / file)
        shutil.copytree(
            release.folder, staging / "release", copy_function=_link_or_copy, dirs_exist_ok=False
        )
        command = [sys.executable, "-m", "bentoml", "build", "--version", version, "."]
        environment = os.environ | {"PYTHONPATH": str(staging), "BENTOML_DO_NOT_TRACK": "True"}
        done = subprocess.run(
            command,
            cwd=staging,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    if done.returncode:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).strip().splitlines()
        raise ServiceError("bentoml build failed: " + " | ".join(lines[-6:]))


def drop_old(release_id: str, version: str, known: set[str]) -> list[str]:
    """Remove bentos of releases that are gone, and all but one older build of this release.

    Args:
        release_id: the release just built.
        version: its newest build.
        known: releases that the registry still holds.
    """
    store = Path(str(os.environ.get("BENTOML_HOME"))) / "bentos" / NAME
    built = [path for path in store.iterdir() if (path / "bento.yaml").is_file()]
    older = [path for path in built if path.name.startswith(release_id) and path.name != version]
    older.sort(key=lambda path: path.stat().st_mtime)
    gone = [path for path in built if path.name.partition("-")[0] not in known]
    dropped = [*older[:-1], *gone]
    for path in dropped:
        shutil.rmtree(path)
    return [path.name for path in dropped]


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target

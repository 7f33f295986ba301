"""Where everything lies, and the manifest that makes an artefact trustworthy.

An artefact is a folder whose `manifest.json` lists the sha256 of every other file in it. It is
written to a temporary sibling first and renamed into place, so a half-written one is never loaded.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.contracts.errors import ArtefactError

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"


class Layout:
    """The folders of one checkout. All state lies under `root`; nothing in the user's home."""

    def __init__(self, root: Path | str = ".") -> None:
        """Remember the root; creates nothing."""
        self.root = Path(root).resolve()

    @property
    def ingested(self) -> Path:
        """Canonical tables as the source gave them, before validation."""
        return self.root / "data" / "ingested"

    @property
    def tables(self) -> Path:
        """Canonical tables that passed validation; everything downstream reads only these."""
        return self.root / "data" / "tables"

    @property
    def quarantine(self) -> Path:
        """Rows that failed a row-level expectation, with the reason."""
        return self.root / "data" / "quarantine"

    @property
    def splits(self) -> Path:
        """Train, valid and test cut by time."""
        return self.root / "data" / "splits"

    @property
    def sessions(self) -> Path:
        """Visitors' streams cut into sessions."""
        return self.root / "data" / "sessions"

    @property
    def clickthroughs(self) -> Path:
        """Slates joined with the interactions that followed."""
        return self.root / "data" / "clickthroughs"

    @property
    def artefacts(self) -> Path:
        """One folder per stage that produces something the service or a report reads."""
        return self.root / "artefacts"

    @property
    def reports(self) -> Path:
        """Committed results."""
        return self.root / "reports"

    @property
    def var(self) -> Path:
        """Databases, registry, logs, timings, and the homes of Prefect and BentoML."""
        return self.root / "var"

    @property
    def registry(self) -> Path:
        """Releases and the record of who was champion when."""
        return self.var / "registry"

    @property
    def params_file(self) -> Path:
        """The typed parameter file."""
        return self.root / "params.yaml"

    def artefact(self, name: str) -> Path:
        """Return the folder of the artefact called `name`."""
        return self.artefacts / name


class Manifest(BaseModel):
    """What an artefact is made of and from; carries no time stamp, so equal work is equal bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    schema_version: int = SCHEMA_VERSION
    stage: str
    seed: int
    params_sha256: str
    inputs: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str]
    packages: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)


def sha256_of(path: Path) -> str:
    """Return the hex sha256 of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the hex sha256 of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, atomically: readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=2, sort_keys=True, ensure_ascii=False, default=str)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of `names`, and Python's; absent packages are left out."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@contextmanager
def writing_artefact(
    folder: Path,
    *,
    kind: str,
    stage: str,
    seed: int,
    params: Any,
    inputs: Mapping[str, str] | None = None,
    packages: tuple[str, ...] = (),
    metrics: dict[str, float] | None = None,
    notes: dict[str, str] | None = None,
) -> Generator[Path]:
    """Yield a temporary folder to fill; on success add its manifest and move it to `folder`.

    Args:
        folder: final place; an artefact already there is replaced.
        kind: what the artefact is, for instance `ranker`.
        stage: the stage that makes it.
        seed: the seed it was made with.
        params: the JSON-like parameters it depends on; only their hash is kept.
        inputs: name to hash of what it was made from.
        packages: distributions whose versions matter to a reader.
        metrics: mutable dictionary; what the body puts in is written to the manifest.
        notes: likewise, short free text.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        names = sorted(
            p.relative_to(temporary).as_posix() for p in temporary.rglob("*") if p.is_file()
        )
        manifest = Manifest(
            kind=kind,
            stage=stage,
            seed=seed,
            params_sha256=sha256_of_json(params),
            inputs=dict(inputs or {}),
            files={name: sha256_of(temporary / name) for name in names},
            packages=package_versions(packages),
            metrics=metrics or {},
            notes=notes or {},
        )
        write_json(temporary / MANIFEST_NAME, manifest.model_dump(mode="json"))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_manifest(folder: Path, *, verify: bool = True) -> Manifest:
    """Read an artefact's manifest and, unless told not to, check the hash of every file.

    Raises:
        ArtefactError: absent, unreadable, of another schema version, or altered since it was made.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise ArtefactError(
            f"{folder}: no {MANIFEST_NAME}; absent or half-written. Run `make pipeline`."
        )
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ArtefactError(
            f"{path}: no readable manifest ({error.error_count()} problems). Run `make pipeline`."
        ) from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise ArtefactError(
            f"{path}: schema version {manifest.schema_version}, this code reads {SCHEMA_VERSION}. "
            f"Rebuild it with `shelfwise stage {manifest.stage}`."
        )
    if verify:
        for name, expected in manifest.files.items():
            file = folder / name
            if not file.is_file():
                raise ArtefactError(
                    f"{file}: listed in the manifest but absent. "
                    f"Rebuild: `shelfwise stage {manifest.stage}`."
                )
            if sha256_of(file) != expected:
                raise ArtefactError(
                    f"{file}: content differs from its manifest. "
                    f"Rebuild: `shelfwise stage {manifest.stage}`."
                )
    return manifest

"""Releases on disk, who is champion, and the record of how that came to be.

In: the artefacts, reports and parameters of one pipeline run. Out: `releases/<release_id>/`, a
folder with the same layout as `artefacts/` plus `reports/` and `params.json`, addressed by its
content and never changed again; `champion.json`, the pointer that the service watches; and
`history.jsonl`, append-only.

Crash safety: a release is filled in a staging folder, flushed, and renamed into place. A decision
is first appended to the history (write-ahead) and then carried to the pointer; whoever opens the
registry next finishes what a killed process had begun. A file lock, which the kernel drops when its
holder dies, serialises all changes, so two promotions at once become one after the other.

This module does not decide whether a release deserves promotion: `gate.py` does.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.contracts.artefacts import (
    MANIFEST_NAME,
    Manifest,
    package_versions,
    read_manifest,
    sha256_of,
    sha256_of_json,
    write_json,
)
from components.contracts.errors import ArtefactError, RegistryError

ID_LENGTH = 12
# What the pipeline itself reports about a release. Benchmarks and monitoring are left out: they
# are re-run on their own schedule and must not change what the release is.
RELEASE_REPORTS = (
    "p1_next_basket.json",
    "p4_cold_products.json",
    "p5_promotions.json",
    "text_ablation.json",
    "validation.json",
)
# Intermediate results that no service reads; leaving them out halves a release.
NOT_RELEASED = frozenset({"pretrain"})
PACKAGES = (
    "numpy",
    "polars",
    "lightgbm",
    "torch",
    "transformers",
    "onnxruntime",
    "tantivy",
    "faiss-cpu",
)

Action = Literal[
    "register", "promote", "rollback", "refuse", "forget", "package", "canary_start", "canary_stop"
]


class HistoryEntry(BaseModel):
    """One line of the history: what was done, to which release, by whom and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int
    at: str
    action: Action
    release_id: str | None
    previous: str | None = None
    reason: str
    by: str
    details: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """A registered release: its id, its folder (laid out like `artefacts/`) and its manifest."""

    release_id: str
    folder: Path
    manifest: Manifest
    registered_at: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """The shipped ranking's figures in the release's own reports, for lists and pages."""
        return self.manifest.metrics

    @property
    def reports(self) -> Path:
        """The folder of the reports that were true for this release."""
        return self.folder / "reports"

    @property
    def git_commit(self) -> str:
        """The commit of the code that made it; empty when it was made outside git."""
        return self.manifest.notes.get("git_commit", "")

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of its files in bytes."""
        return sum((self.folder / name).stat().st_size for name in self.manifest.files)


@dataclass(slots=True)
class RegistryState:
    """What the history adds up to. `line` holds the champions in order, the present one last."""

    line: list[str] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)
    withdrawn: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    before_forget: set[str] = field(default_factory=set)
    bentos: dict[str, str] = field(default_factory=dict)
    canary: tuple[str, float] | None = None
    since: str = ""
    seq: int = 0


def release_id_of(files: Mapping[str, str]) -> str:
    """Return the id of a release whose files have these sha256 hashes; independent of order.

    >>> release_id_of({"a": "1", "b": "2"}) == release_id_of({"b": "2", "a": "1"})
    True
    """
    return sha256_of_json(dict(files))[:ID_LENGTH]


def headline(reports: Path) -> dict[str, float]:
    """Return the shipped row's figures over all visitors in the next-basket report, if there."""
    document = _read_json(reports / "p1_next_basket.json") or {}
    for row in document.get("rows", []):
        if row.get("shipped") is True and row.get("slice", "all") == "all":
            return {k: float(v) for k, v in row.items() if isinstance(v, float)}
    return {}


def fold(history: list[HistoryEntry]) -> RegistryState:
    """Add up a history from its first entry to its last.

    A rollback takes the champion off the line, so a second rollback goes one further back. A
    release that was registered before a forget request is retired as soon as one registered after
    it is promoted: it still knows the visitor.
    """
    state = RegistryState()
    for entry in history:
        release_id = entry.release_id or ""
        state.seq = entry.seq
        if entry.action == "register":
            if release_id in state.registered:
                state.registered.remove(release_id)
            state.registered.append(release_id)
            state.before_forget.discard(release_id)
            state.retired.discard(release_id)
        elif entry.action == "promote":
            state.line.append(release_id)
            state.since = entry.at
            state.withdrawn.pop(release_id, None)
            state.refused.pop(release_id, None)
            if release_id not in state.before_forget:
                state.retired |= state.before_forget
                state.before_forget = set()
            if state.canary and state.canary[0] == release_id:
                state.canary = None
        elif entry.action == "rollback":
            while state.line and state.line[-1] != release_id:
                state.withdrawn[state.line.pop()] = entry.reason
            state.since = entry.at
        elif entry.action == "refuse":
            state.refused[release_id] = entry.reason
        elif entry.action == "forget":
            state.before_forget |= set(state.registered)
        elif entry.action == "package":
            state.bentos[release_id] = str(entry.details.get("bento", ""))
        elif entry.action == "canary_start":
            state.canary = (release_id, float(entry.details.get("share", 0.0)))
        elif entry.action == "canary_stop":
            state.canary = None
    return state


class Registry:
    """The registry in one folder. Every method may be called by several processes at once."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; it is made with the first write."""
        self.folder = folder
        self.releases_folder = folder / "releases"
        self.pointer = folder / "champion.json"
        self.canary_pointer = folder / "canary.json"
        self.history_file = folder / "history.jsonl"
        self.verdicts = folder / "verdicts"

    # --- releases -----------------------------------------------------------------------------

    def register(
        self,
        artefacts: Path,
        *,
        reports: Path,
        params: Any,
        git_commit: str = "",
        by: str = "pipeline",
    ) -> Release:
        """Store one pipeline run as a release and name it the challenger.

        Files of artefacts with a manifest are hard-linked where the file system allows it (stages
        rename a new folder over them and never write into them); all others are copied.
        Registering equal content again returns the release that is there.

        Args:
            artefacts: the pipeline's artefact folders, each with its own manifest, all verified.
            reports: folder of the committed reports; those of `RELEASE_REPORTS` are taken along.
            params: the parameters, a pydantic model or JSON-like; stored as `params.json`.
            git_commit: commit of the code, for the record; not part of the id.
            by: who asked.
        Raises:
            ArtefactError: an artefact is half-written or altered.
            RegistryError: there is nothing to register.
        """
        sources = _release_files(artefacts, reports)
        if not sources:
            raise RegistryError(
                f"{artefacts}: holds no artefact to register. Run `make pipeline` first."
            )
        for folder in sorted(p for p in artefacts.iterdir() if (p / MANIFEST_NAME).is_file()):
            if folder.name not in NOT_RELEASED:
                read_manifest(folder, verify=False)
        with self._lock():
            staging = self.folder / f".staging-{os.getpid()}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            try:
                for name, source in sources.items():
                    _place(source, staging / name, may_link=_is_sealed(source, artefacts))
                write_json(staging / "params.json", _released_params(params))
                names = [*sources, "params.json"]
                files = {name: sha256_of(staging / name) for name in sorted(names)}
                _check_own_manifests(staging, files)
                release_id = release_id_of(files)
                target = self.releases_folder / release_id
                if target.exists() and not self._is_whole(target):
                    target.rename(self.folder / f".damaged-{release_id}-{os.getpid()}")
                if not target.exists():
                    manifest = Manifest(
                        kind="release",
                        stage="package",
                        seed=0,
                        params_sha256=sha256_of(staging / "params.json"),
                        files=files,
                        packages=package_versions(PACKAGES),
                        metrics=headline(staging / "reports"),
                        notes={"git_commit": git_commit, "release_id": release_id},
                    )
                    write_json(staging / MANIFEST_NAME, manifest.model_dump(mode="json"))
                    _flush_tree(staging)
                    self.releases_folder.mkdir(parents=True, exist_ok=True)
                    staging.rename(target)
                    _flush_folder(self.releases_folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            state = fold(self._read_history())
            if release_id not in state.registered or release_id in state.before_forget:
                self._append("register", release_id, reason="made by the pipeline", by=by)
        return self.release(release_id)

    def release(self, release_id: str, *, verify: bool = False) -> Release:
        """Return one release; a unique prefix of its id is enough.

        Raises:
            RegistryError: unknown or ambiguous id, or (with `verify`) content that was altered.
        """
        folder = self.releases_folder / release_id
        if not release_id or not (folder / MANIFEST_NAME).is_file():
            known = self._release_ids()
            matches = [name for name in known if release_id and name.startswith(release_id)]
            if len(matches) != 1:
                what = "several releases begin so" if matches else "no such release"
                raise RegistryError(
                    f"{release_id or '(empty id)'}: {what}; known: {', '.join(known) or 'none'}. "
                    "See `shelfwise releases`."
                )
            folder = self.releases_folder / matches[0]
        if verify:
            self.verify(folder.name)
        try:
            manifest = read_manifest(folder, verify=False)
        except ArtefactError as error:
            raise RegistryError(str(error)) from error
        times = [
            entry.at
            for entry in self._read_history()
            if entry.action == "register" and entry.release_id == folder.name
        ]
        return Release(folder.name, folder, manifest, times[-1] if times else "")

    def releases(self) -> list[Release]:
        """Return all releases, the newest registration first."""
        order = {name: place for place, name in enumerate(fold(self._read_history()).registered)}
        known = sorted(self._release_ids(), key=lambda name: (-order.get(name, -1), name))
        return [self.release(name) for name in known]

    def verify(self, release_id: str) -> None:
        """Check every byte of a release against its manifest, and its id against its content.

        Raises:
            RegistryError: names the first file that is absent, altered or not listed.
        """
        folder = self.releases_folder / release_id
        try:
            manifest = read_manifest(folder, verify=True)
        except ArtefactError as error:
            raise RegistryError(f"release {release_id} does not verify: {error}") from error
        listed = {*manifest.files, MANIFEST_NAME}
        extra = sorted(
            name
            for p in folder.rglob("*")
            if p.is_file() and (name := p.relative_to(folder).as_posix()) not in listed
        )
        if extra:
            raise RegistryError(
                f"release {release_id} does not verify: {extra[0]} is not in its manifest."
            )
        if release_id_of(manifest.files) != release_id:
            raise RegistryError(
                f"release {release_id} does not verify: its content belongs to another id."
            )

    def prune(self, keep: int) -> list[str]:
        """Remove old releases; return the ids removed.

        The champion, the canary, the newest challenger and the `keep` latest champions (what a
        rollback may need) always stay, and so do the `keep` newest registrations.
        """
        with self._lock():
            state = fold(self._read_history())
            kept = {*state.line[-keep:], *state.registered[-keep:]} - state.retired
            if state.line:
                kept.add(state.line[-1])
            if state.canary:
                kept.add(state.canary[0])
            removed = [name for name in self._release_ids() if name not in kept]
            for name in removed:
                trash = self.folder / f".trash-{name}-{os.getpid()}"
                (self.releases_folder / name).rename(trash)
                shutil.rmtree(trash)
        return removed

    # --- the champion -------------------------------------------------------------------------

    def state(self) -> RegistryState:
        """Return what the history adds up to, after finishing what a killed process had begun."""
        self._recover()
        return fold(self._read_history())

    def champion(self) -> Release | None:
        """Return the release that is to be served, or none before the first promotion."""
        line = self.state().line
        return self.release(line[-1]) if line else None

    def challenger(self) -> Release | None:
        """Return the newest release that is neither champion nor refused, withdrawn or retired."""
        state = self.state()
        settled = {*state.line[-1:], *state.refused, *state.withdrawn, *state.retired}
        for release_id in reversed(state.registered):
            if (
                release_id not in settled
                and (self.releases_folder / release_id / MANIFEST_NAME).is_file()
            ):
                return self.release(release_id)
        return None

    def promote(
        self,
        release_id: str,
        *,
        reason: str,
        by: str,
        expected_champion: str | Literal["any"] | None = "any",
        details: Mapping[str, Any] | None = None,
    ) -> HistoryEntry | None:
        """Make a verified release the champion. Promoting the champion again does nothing.

        Args:
            release_id: id or unique prefix.
            reason: one sentence for the record.
            by: person or flow.
            expected_champion: the champion the decision was made against; another one by now means
                that somebody else promoted in between, and this promotion is refused.
            details: further record, for instance the verdict's file.
        Returns:
            The new history entry; None if the release already was champion.
        Raises:
            RegistryError: unknown or altered release, retired by a forget request, or the champion
                changed since the decision.
        """
        release = self.release(release_id)
        self.verify(release.release_id)
        with self._lock():
            self._finish()
            state = fold(self._read_history())
            present = state.line[-1] if state.line else None
            if present == release.release_id:
                return None
            if expected_champion != "any" and expected_champion != present:
                raise RegistryError(
                    f"champion is {present} by now, the decision was made against "
                    f"{expected_champion}: decide again."
                )
            if release.release_id in state.retired:
                raise RegistryError(
                    f"release {release.release_id} was trained before a visitor asked to be "
                    "forgotten and is retired."
                )
            entry = self._append(
                "promote",
                release.release_id,
                previous=present,
                reason=reason,
                by=by,
                details=details,
            )
            self._finish()
        return entry

    def rollback(
        self,
        *,
        reason: str,
        by: str,
        expected_champion: str | Literal["any"] = "any",
        details: Mapping[str, Any] | None = None,
    ) -> HistoryEntry:
        """Return to the champion before the present one; the present one is withdrawn.

        Retired releases and such as no longer verify are passed over.

        Args:
            reason: one sentence for the record.
            by: person or flow.
            expected_champion: the champion to be withdrawn; if another one serves by now, somebody
                else was faster and nothing is done.
            details: further record.

        Raises:
            RegistryError: there is no earlier champion that can still be served, or the champion
                changed since the decision.
        """
        with self._lock():
            self._finish()
            state = fold(self._read_history())
            present = state.line[-1] if state.line else None
            if expected_champion not in ("any", present):
                raise RegistryError(
                    f"champion is {present} by now, not {expected_champion}: nothing rolled back."
                )
            for candidate in reversed(state.line[:-1]):
                if (
                    candidate == present
                    or candidate in state.retired
                    or candidate in state.withdrawn
                ):
                    continue
                try:
                    self.verify(candidate)
                except RegistryError:
                    continue
                entry = self._append(
                    "rollback",
                    candidate,
                    previous=present,
                    reason=reason,
                    by=by,
                    details=details,
                )
                self._finish()
                return entry
        raise RegistryError(
            f"nothing to roll back to: {present or 'no release'} has no earlier champion that "
            "verifies. "
            "Promote another release by hand: `shelfwise promote RELEASE`."
        )

    def record(
        self,
        action: Action,
        release_id: str | None,
        *,
        reason: str,
        by: str,
        details: Mapping[str, Any] | None = None,
    ) -> HistoryEntry:
        """Append a decision that moves no champion: a refusal, a package, a forget, a canary.

        Raises:
            ValueError: `promote`, `rollback` and `register` have methods of their own.
        """
        if action in ("promote", "rollback", "register"):
            raise ValueError(f"{action} has its own method")
        with self._lock():
            entry = self._append(action, release_id, reason=reason, by=by, details=details)
            self._finish()
        return entry

    def canary_start(self, release_id: str, *, share: float, reason: str, by: str) -> HistoryEntry:
        """Let a verified release answer `share` of the requests, in (0, 1), beside the champion."""
        if not 0 < share < 1:
            raise ValueError("share must lie in (0, 1)")
        release = self.release(release_id, verify=True)
        return self.record(
            "canary_start", release.release_id, reason=reason, by=by, details={"share": share}
        )

    def canary_stop(
        self,
        *,
        reason: str,
        by: str,
        expected: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> HistoryEntry | None:
        """Send all requests to the champion again; None if `expected` is no canary any more."""
        with self._lock():
            self._finish()
            canary = fold(self._read_history()).canary
            if expected is not None and (canary is None or canary[0] != expected):
                return None
            entry = self._append(
                "canary_stop", canary[0] if canary else None, reason=reason, by=by, details=details
            )
            self._finish()
        return entry

    def history(self) -> list[HistoryEntry]:
        """Return who was champion when and why, oldest first, with all other decisions."""
        return self._read_history()

    # --- inside -------------------------------------------------------------------------------

    def _release_ids(self) -> list[str]:
        if not self.releases_folder.is_dir():
            return []
        return sorted(
            p.name for p in self.releases_folder.iterdir() if (p / MANIFEST_NAME).is_file()
        )

    def _is_whole(self, folder: Path) -> bool:
        try:
            self.verify(folder.name)
        except RegistryError:
            return False
        return True

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what killed processes left behind; called under the lock."""
        for pattern in (".staging-*", ".trash-*"):
            for left in self.folder.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)

    def _read_history(self) -> list[HistoryEntry]:
        try:
            text = self.history_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        lines = text.split("\n")
        entries: list[HistoryEntry] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entries.append(HistoryEntry.model_validate_json(line))
            except ValidationError as error:
                if number == len(lines):
                    break  # the last line of a killed writer: it was never acknowledged
                raise RegistryError(
                    f"{self.history_file}:{number}: no history entry; restore or remove the line."
                ) from error
        return entries

    def _append(
        self,
        action: Action,
        release_id: str | None,
        *,
        reason: str,
        by: str,
        previous: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> HistoryEntry:
        history = self._read_history()
        entry = HistoryEntry(
            seq=history[-1].seq + 1 if history else 1,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            action=action,
            release_id=release_id,
            previous=previous,
            reason=reason,
            by=by,
            details=dict(details or {}),
        )
        with self.history_file.open("ab+") as handle:
            handle.seek(0)
            kept = handle.read()
            whole = kept.rfind(b"\n") + 1
            if whole < len(kept):
                handle.truncate(whole)
            handle.seek(0, os.SEEK_END)
            handle.write(
                (
                    json.dumps(entry.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
                    + "\n"
                ).encode()
            )
            handle.flush()
            os.fsync(handle.fileno())
        return entry

    def _recover(self) -> None:
        if self.history_file.is_file() and self._pointers() != self._wanted_pointers():
            with self._lock():
                self._finish()

    def _pointers(self) -> tuple[Any, Any]:
        return _read_json(self.pointer), _read_json(self.canary_pointer)

    def _wanted_pointers(self) -> tuple[Any, Any]:
        state = fold(self._read_history())
        champion = {"release_id": state.line[-1], "since": state.since} if state.line else None
        canary = {"release_id": state.canary[0], "share": state.canary[1]} if state.canary else None
        return champion, canary

    def _finish(self) -> None:
        """Carry the history to the pointer files; called under the lock."""
        for path, wanted in zip(
            (self.pointer, self.canary_pointer), self._wanted_pointers(), strict=True
        ):
            if wanted is None:
                path.unlink(missing_ok=True)
            elif _read_json(path) != wanted:
                write_json(path, wanted)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _release_files(artefacts: Path, reports: Path) -> dict[str, Path]:
    """Return name in the release -> source file, hidden files and intermediates left out."""
    if not artefacts.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(artefacts.rglob("*")):
        parts = path.relative_to(artefacts).parts
        if (
            path.is_file()
            and parts[0] not in NOT_RELEASED
            and not any(part.startswith(".") for part in parts)
        ):
            found["/".join(parts)] = path
    if found:
        found |= {
            f"reports/{name}": reports / name
            for name in RELEASE_REPORTS
            if (reports / name).is_file()
        }
    return found


def _released_params(params: Any) -> Any:
    """Return parameters without the sections that say how a release is judged, not what it is."""
    values = (
        params.model_dump(mode="json", by_alias=True)
        if isinstance(params, BaseModel)
        else dict(params)
    )
    return {key: value for key, value in values.items() if key not in ("monitor", "promote")}


def _is_sealed(source: Path, artefacts: Path) -> bool:
    """Return whether the file lies in an artefact with a manifest: replaced, never written into."""
    if not source.is_relative_to(artefacts):
        return False
    return (artefacts / source.relative_to(artefacts).parts[0] / MANIFEST_NAME).is_file()


def _place(source: Path, target: Path, *, may_link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if may_link:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)


def _check_own_manifests(staging: Path, files: Mapping[str, str]) -> None:
    """Check what each artefact's own manifest says against the hashes just taken."""
    for name in [n for n in files if n.endswith("/" + MANIFEST_NAME)]:
        folder = Path(name).parent
        manifest = read_manifest(staging / folder, verify=False)
        for inner, expected in manifest.files.items():
            if files.get((folder / inner).as_posix()) != expected:
                raise ArtefactError(
                    f"artefact {folder}: {inner} is absent or differs from its manifest. "
                    f"Rebuild it: `shelfwise stage {manifest.stage}`."
                )


def _flush_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

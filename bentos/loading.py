"""A release on disk to engines in memory, once; and the watch that follows the champion.

The champion of `var/registry` is served; without a registry, the release baked into the bento
(`release/` beside the code); in a checkout that has neither, what the pipeline last made. Manifests
are verified before anything is loaded. `Current` holds the engines: a request takes them once and
keeps them, so a swap never disturbs it.
"""

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from bentos.offers import Offers
from components.contracts.artefacts import MANIFEST_NAME, Layout, read_manifest
from components.contracts.errors import (
    ArtefactError,
    ParamsError,
    RegistryError,
    ServiceError,
    StateError,
)
from components.contracts.params import PromoteParams, ServeParams, load_params, parse_params

logger = logging.getLogger(__name__)
BAKED = "release"
POLL_SECONDS = 0.5
# What a release's files can make loading raise: the last four by content that hashes do not judge.
LOAD_ERRORS = (
    ArtefactError,
    StateError,
    ParamsError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
)


@dataclass(frozen=True)
class Source:
    """Which release to load: its id and folder, laid out like `artefacts/`."""

    release_id: str
    folder: Path


@dataclass(frozen=True)
class Engines:
    """Everything that answers requests, from one release. Never changed, only replaced."""

    release_id: str
    folder: Path
    catalogue: Any
    search: Any
    recommend: Any
    ratings: Any
    classify: Any
    offers: Any
    shown_offers: Offers
    data_end: datetime
    currency: str
    degraded: tuple[str, ...] = ()
    community: Any = None
    extras: dict[str, Any] = field(default_factory=dict)


def root() -> Path:
    """Return the folder that holds `var/`, `artefacts/` or the baked release."""
    return Path(os.environ.get("SHELFWISE_ROOT", ".")).resolve()


def pointed(path: Path) -> dict[str, Any] | None:
    """Return a pointer file's content; none if it is absent."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"{path}: no readable pointer ({error}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("release_id"), str):
        raise RegistryError(f"{path}: names no release_id.")
    return content


def find_source(layout: Layout) -> Source:
    """Return the release that is to be served.

    Raises:
        ServiceError: there is none.
    """
    named = os.environ.get("SHELFWISE_RELEASE")
    if named:
        return Source(_id_of(Path(named)), Path(named).resolve())
    champion = pointed(layout.registry / "champion.json")
    if champion is not None:
        release_id = champion["release_id"]
        return Source(release_id, layout.registry / "releases" / release_id)
    for folder in (layout.root / BAKED, layout.artefacts):
        if (folder / "catalogue" / MANIFEST_NAME).is_file():
            return Source(_id_of(folder), folder)
    raise ServiceError(f"no release under {layout.root}: run `make pipeline` first.")


def find_canary(layout: Layout) -> tuple[Source, float] | None:
    """Return the release on trial and its share of the visitors, or None."""
    if os.environ.get("SHELFWISE_RELEASE"):
        return None
    canary = pointed(layout.registry / "canary.json")
    if canary is None:
        return None
    release_id = canary["release_id"]
    folder = layout.registry / "releases" / release_id
    return Source(release_id, folder), float(canary.get("share", 0.0))


def _id_of(folder: Path) -> str:
    path = folder / MANIFEST_NAME
    if path.is_file():
        notes = read_manifest(folder, verify=False).notes
        if "release_id" in notes:
            return notes["release_id"]
    return "unreleased"


def verify(source: Source) -> None:
    """Check every file of a release against its manifests.

    Raises:
        ArtefactError: absent, half-written or altered.
    """
    if (source.folder / MANIFEST_NAME).is_file():
        read_manifest(source.folder)
        return
    found = sorted(source.folder.glob(f"*/{MANIFEST_NAME}"))
    if not found:
        raise ArtefactError(f"{source.folder}: holds no release. Run `make pipeline`.")
    for path in found:
        read_manifest(path.parent)


def load(source: Source) -> Engines:
    """Verify a release and build its engines. Parts that are absent are replaced and named.

    Raises:
        ArtefactError: the release is altered, or has no catalogue.
    """
    from components.assistant.assemble import load_parts

    verify(source)
    parts = load_parts(source.folder)
    return Engines(
        release_id=source.release_id,
        folder=source.folder,
        catalogue=parts.catalogue,
        search=parts.search,
        recommend=parts.recommend,
        ratings=parts.ratings,
        classify=parts.classify,
        offers=parts.offers,
        shown_offers=Offers(parts.offers),
        data_end=parts.data_end,
        currency=parts.currency,
        degraded=parts.degraded,
        community=parts.community,
    )


def serve_params(layout: Layout) -> ServeParams:
    """Return the `serve` section of the checkout, else of the baked release, else the defaults."""
    if layout.params_file.is_file():
        return load_params(layout.params_file).serve
    baked = layout.root / BAKED / "params.json"
    if baked.is_file():
        kept = json.loads(baked.read_text(encoding="utf-8"))
        return parse_params(kept, origin=str(baked)).serve
    return ServeParams()


def promote_params(layout: Layout) -> PromoteParams:
    """Return the `promote` section of the checkout, else the defaults."""
    if layout.params_file.is_file():
        return load_params(layout.params_file).promote
    return PromoteParams()


def drawn(release_id: str, visitor_id: str) -> float:
    """Return a visitor's fixed place in [0, 1) in the trial of a release.

    >>> drawn("a", "v") == drawn("a", "v") != drawn("b", "v")
    True
    """
    digest = sha256(f"canary:{release_id}:{visitor_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def state_url(layout: Layout, params: ServeParams) -> str:
    """Return the state's URL: SHELFWISE_STATE_URL, `serve.state_url`, or `var/state.db`."""
    given = os.environ.get("SHELFWISE_STATE_URL") or params.state_url
    return given or f"sqlite:///{layout.var / 'state.db'}"


class Current:
    """The engines in service, and a thread that follows the registry.

    Args:
        layout: where the registry lies.
        prepare: what to do with new engines before they serve (posted products, warm-up); it runs
            under `lock`, so that no upsert falls between two engines.
        tick: what else to do each time the pointers are read.
        poll_seconds: how often the pointers are read.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        prepare: Callable[[Engines], Engines] = lambda engines: engines,
        tick: Callable[[], None] = lambda: None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Load the release that is to be served.

        Raises:
            ServiceError: there is none.
            ArtefactError: it is altered or half-written.
        """
        self._layout = layout
        self._prepare = prepare
        self._tick = tick
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._refused: dict[Source, str] = {}
        self._trying: Source | None = None
        self.lock = threading.RLock()
        self.failed_swaps = 0
        self.source = find_source(layout)
        self.champion = self._made(self.source)
        self.canary: tuple[Engines, float] | None = None
        self._thread = threading.Thread(target=self._watch, name="champion-watch", daemon=True)

    def _made(self, source: Source) -> Engines:
        loaded = load(source)
        with self.lock:
            return self._prepare(loaded)

    def start(self) -> None:
        """Begin to follow the registry."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following it."""
        self._stopping.set()

    def all(self) -> list[Engines]:
        """Return every engine set in service."""
        canary = self.canary
        return [self.champion] if canary is None else [self.champion, canary[0]]

    def for_visitor(self, visitor_id: str | None) -> Engines:
        """Return the engines for a visitor: the same on every call while a canary runs."""
        canary = self.canary
        if canary is None or visitor_id is None:
            return self.champion
        return canary[0] if drawn(canary[0].release_id, visitor_id) < canary[1] else self.champion

    def unloadable(self) -> dict[str, str]:
        """Return the releases that cannot be loaded by their own fault, with the reason."""
        return {s.release_id: why for s, why in list(self._refused.items()) if why}

    def follow(self) -> bool:
        """Look at the pointers once; swap if they moved. True if something was swapped.

        A release that cannot be loaded is refused once, with its reason in the log; what served
        before goes on serving.
        """
        swapped = False
        try:
            wanted = find_source(self._layout)
        except (ServiceError, RegistryError) as error:
            logger.error("champion not readable, keeping %s: %s", self.source.release_id, error)
            return False
        if wanted != self.source and wanted not in self._refused:
            canary = self.canary
            is_loaded = canary is not None and canary[0].folder == wanted.folder
            made = canary[0] if canary is not None and is_loaded else self._try(wanted)
            if made is not None:
                with self.lock:
                    self.champion, self.source = made, wanted
                logger.info("now serving release %s", wanted.release_id)
                swapped = True
        swapped = self._follow_canary() or swapped
        # What is no longer pointed at may be tried again one day.
        self._refused = {s: why for s, why in self._refused.items() if s in (wanted, self._trying)}
        return swapped

    def _follow_canary(self) -> bool:
        try:
            wanted = find_canary(self._layout)
        except RegistryError as error:
            logger.error("canary not readable, none is served: %s", error)
            wanted = None
        self._trying = None if wanted is None else wanted[0]
        present = self.canary
        if wanted is None or wanted[0].release_id == self.champion.release_id:
            self.canary = None
            return present is not None
        source, share = wanted
        if present is not None and present[0].release_id == source.release_id:
            if present[1] != share:
                self.canary = (present[0], share)
            return present[1] != share
        if source in self._refused:
            return False
        made = self._try(source)
        self.canary = None if made is None else (made, share)
        return made is not None

    def _try(self, source: Source) -> Engines | None:
        try:
            return self._made(source)
        except LOAD_ERRORS as error:
            self.failed_swaps += 1
            is_its_own = not isinstance(error, StateError | OSError)
            self._refused[source] = f"{type(error).__name__}: {error}" if is_its_own else ""
            logger.error("release %s is not served: %s", source.release_id, error)
            return None

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.follow()
            try:
                self._tick()
            except StateError as error:
                logger.error("the state does not answer: %s", error)

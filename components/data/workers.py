"""Worker processes for parts of a stage that share nothing.

They are spawned, not forked: polars and torch hold threads that a fork would not carry over.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _enter(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    # A worker whose parent was killed would wait for work for ever, with all it has read.
    Thread(target=_wait_for_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


@contextmanager
def worker_processes(
    n: int, initializer: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Open `n` processes that end with this one, however it ends.

    Args:
        n: processes; each is started when there is work for it.
        initializer: called once in each; importable by name.
        arguments: of the initializer; picklable.
    """
    with ProcessPoolExecutor(
        n, mp_context=get_context("spawn"), initializer=_enter, initargs=(initializer, arguments)
    ) as pool:
        yield pool

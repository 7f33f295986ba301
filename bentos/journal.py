"""What was served, written behind the answer: a bounded queue and one writer thread.

Answers are not acknowledged data: a crash may lose the last tenth of a second of them, never an
event. When the database stalls the queue fills, and further answers are counted as dropped instead
of holding up the shop.
"""

import logging
import queue
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from components.contracts.errors import StateError
from components.contracts.records import Event
from components.state.store import Store

logger = logging.getLogger(__name__)
CAPACITY = 20_000
BATCH = 500


class Journal:
    """Writes served answers and the slates in them to the state."""

    def __init__(self, store: Store) -> None:
        """Start the writer."""
        self._store = store
        self._queue: queue.Queue[tuple[Mapping[str, Any], Sequence[Event]] | None] = queue.Queue(
            CAPACITY
        )
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def add(self, answer: Mapping[str, Any], events: Sequence[Event] = ()) -> None:
        """Hand over one answer (keys of `Store.log_response`) and the events it stands for."""
        try:
            self._queue.put_nowait((answer, events))
        except queue.Full:
            self.dropped += 1

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until everything handed over so far is written; false if that took too long."""
        done = threading.Event()
        waiter = threading.Thread(target=lambda: (self._queue.join(), done.set()), daemon=True)
        waiter.start()
        return done.wait(timeout_seconds)

    def close(self) -> None:
        """Write what is left and stop."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while len(batch) < BATCH:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            is_open = None not in batch
            items = [item for item in batch if item is not None]
            try:
                with self._store.together():
                    self._store.log_responses([answer for answer, _ in items])
                    self._store.append_events([event for _, events in items for event in events])
            except StateError as error:
                self.dropped += len(items)
                logger.error("%d served answers are not in the log: %s", len(items), error)
            finally:
                for _ in batch:
                    self._queue.task_done()


def new_id(prefix: str) -> str:
    """Return a fresh random id.

    >>> new_id("r") != new_id("r")
    True
    """
    return f"{prefix}-{uuid.uuid4().hex}"

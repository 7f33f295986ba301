"""The BentoML service: the FastAPI app of `bentos.api` at `/`, and BentoML's probes and metrics.

`bentoml serve bentos.service:Shelfwise`, or `shelfwise serve`, which checks first that it can.
"""

import os
import signal
import threading
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker: the cores are shared
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from bentos import metrics
from bentos.api import create_app
from bentos.loading import root
from bentos.shop import Shop
from components.contracts.artefacts import Layout
from components.contracts.errors import StateError

WORKERS = int(os.environ.get("SHELFWISE_WORKERS", "1"))


def _observe(endpoint: str, status: int, seconds: float) -> None:
    metrics.SECONDS.labels(endpoint).observe(seconds)
    metrics.ANSWERS.labels(endpoint, str(status)).inc()


def _leave_with(supervisor: int) -> None:
    """Stop this worker when its supervisor was killed: an orphan would hold the port for ever."""
    while os.getppid() == supervisor:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


app = create_app(observe=_observe)


@bentoml.service(name="shelfwise", workers=WORKERS, traffic={"timeout": 60})
@bentoml.asgi_app(app, path="/")
class Shelfwise:
    """Loads the champion release once per worker and follows the registry from then on."""

    def __init__(self) -> None:
        """Open the state and load the release.

        Raises:
            ShelfwiseError: there is nothing to serve, or it cannot be used.
        """
        self.shop = Shop(Layout(root()))
        app.state.shop = self.shop
        supervisor = os.environ.get("SHELFWISE_SUPERVISOR", "")
        if supervisor.isdigit() and os.getppid() == int(supervisor):
            threading.Thread(target=_leave_with, args=(int(supervisor),), daemon=True).start()

    def __is_ready__(self) -> bool:
        """Ready while the state answers; loading is over once this object exists."""
        try:
            health = self.shop.health()
        except StateError:
            return False
        metrics.release(health.model_version)
        metrics.FAILED_SWAPS.set(self.shop.current.failed_swaps)
        metrics.DROPPED.set(self.shop.journal.dropped)
        return True

    @bentoml.on_shutdown
    def close(self) -> None:
        """Write what is left of the journal."""
        app.state.shop = None
        self.shop.close()

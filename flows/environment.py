"""Every switch and home that the orchestrator and the other tools read from the environment.

Set before they are imported. Telemetry is off, nothing reaches out, and all state lies under `var/`
of the checkout. What the caller has set already is left alone.
"""

import os
from pathlib import Path

ROOT = Path(os.environ.get("SHELFWISE_ROOT", Path(__file__).parents[1])).resolve()


def switches(root: Path) -> dict[str, str]:
    """Return the variables for a checkout at `root`."""
    var = root / "var"
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(var / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_CLI_PROMPT": "false",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(var / "dvc"),
        "GX_ANALYTICS_ENABLED": "false",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(var / "bentoml"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    }


def apply(root: Path = ROOT) -> None:
    """Set what is not set yet, and make the homes."""
    for name, value in switches(root).items():
        os.environ.setdefault(name, value)
    for name in ("PREFECT_HOME", "DVC_SITE_CACHE_DIR", "BENTOML_HOME"):
        Path(os.environ[name]).mkdir(parents=True, exist_ok=True)

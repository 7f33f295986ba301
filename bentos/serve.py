"""Start the service: check what can be checked first, then become `bentoml serve`.

`python -m bentos.serve` listens on 127.0.0.1:3000, or SHELFWISE_API_PORT. Another host needs keys:
with SHELFWISE_AUTH=off only loopback is allowed.
"""

import os
import socket
import sys
from pathlib import Path

from bentos.auth import is_loopback, is_off
from bentos.loading import find_source, root, serve_params, verify
from components.contracts.artefacts import Layout
from components.contracts.errors import ServiceError, ShelfwiseError

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def address() -> tuple[str, int]:
    """Return host and port to listen on.

    Raises:
        ServiceError: no port, port in use, or keys are off and the host is not this machine.
    """
    host = os.environ.get("SHELFWISE_API_HOST", "127.0.0.1")
    text = os.environ.get("SHELFWISE_API_PORT", "3000")
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ServiceError(
            f"SHELFWISE_API_PORT={text!r} is no port; give a number from 1 to 65535."
        )
    if is_off() and not is_loopback(host):
        raise ServiceError(
            f"SHELFWISE_AUTH=off is for loopback only, SHELFWISE_API_HOST is {host}: "
            "make a key with `python -m bentos.keys` and switch keys on."
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(text)))
        except OSError as error:
            raise ServiceError(
                f"port {text} for the API is in use; stop what listens there or set "
                "SHELFWISE_API_PORT to a free port."
            ) from error
    return host, int(text)


def prepare() -> list[str]:
    """Check address and release, set the environment, and return the command.

    Raises:
        ShelfwiseError: the service could not start; one line says why.
    """
    layout = Layout(root())
    host, port = address()
    verify(find_source(layout))
    params = serve_params(layout)
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("BENTOML_HOME", str(layout.var / "bentoml"))
    os.environ.setdefault("SHELFWISE_ROOT", str(layout.root))
    os.environ.setdefault("SHELFWISE_WORKERS", str(params.workers))
    os.environ["SHELFWISE_SUPERVISOR"] = str(os.getpid())  # kept by the server this becomes
    (layout.var / "bentoml").mkdir(parents=True, exist_ok=True)
    here = str(Path(__file__).resolve().parents[1])
    return [
        sys.executable, "-m", "bentoml", "serve", "bentos.service:Shelfwise",
        "--working-dir", here, "--host", host, "--port", str(port),
    ]  # fmt: skip


def main() -> None:
    """Become the server, or say in one line why not."""
    try:
        command = prepare()
    except ShelfwiseError as error:
        sys.stderr.write(f"shelfwise: {error}\n")
        raise SystemExit(1) from None
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

"""The assistant under test over HTTP, with the evaluation suite's reset hook.

`python -m tests.harness.serve --port N`: POST /v1/assistant/reset and /v1/assistant/turn on
127.0.0.1. The real service has no reset.
"""

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from components.assistant.assemble import packaged_encode
from components.assistant.classifier import default_classifier
from tests.harness.assistant import AssistantUnderTest

LARGEST_BODY = 4_000_000


class Sessions:
    """One target per session, each bound to the user that opened it."""

    def __init__(self) -> None:
        """Start without sessions."""
        self._targets: dict[str, AssistantUnderTest] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def reset(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Open a session afresh."""
        target = AssistantUnderTest()
        target.reset(body)
        with self._guard:
            self._targets[body["session_id"]] = target
            self._locks.setdefault(body["session_id"], threading.Lock())
            while len(self._targets) > 64:
                oldest = next(iter(self._targets))
                del self._targets[oldest]
        return 200, {"ok": True}

    def turn(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a message of the user that the session belongs to."""
        message, request_id, confirm_id = (
            body.get("message", ""),
            body.get("request_id"),
            body.get("confirm_id"),
        )
        if not isinstance(message, str) or not all(
            x is None or isinstance(x, str) for x in (request_id, confirm_id)
        ):
            return 422, {"error": "message, request_id and confirm_id are texts"}
        if request_id is not None and not 1 <= len(request_id) <= 128:
            return 422, {"error": "request_id is too long"}
        with self._guard:
            target = self._targets.get(body.get("session_id", ""))
        if target is None:
            return 404, {"error": "no such session"}
        if body.get("user_id") != target.user_id:
            return 403, {"error": "the session belongs to another user"}
        with self._locks[body["session_id"]]:
            return 200, target.turn(message, confirm_id=confirm_id, request_id=request_id)


class Handler(BaseHTTPRequestHandler):
    """JSON in, JSON out."""

    sessions = Sessions()

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""

    def do_POST(self) -> None:
        """Route the two calls."""
        size = int(self.headers.get("Content-Length") or 0)
        if size > LARGEST_BODY:
            self.rfile.read(size)
            return self._answer(413, {"error": "body too large"})
        try:
            body = json.loads(self.rfile.read(size))
        except ValueError:
            return self._answer(400, {"error": "not JSON"})
        if not isinstance(body, dict):
            return self._answer(400, {"error": "not an object"})
        if self.path == "/v1/assistant/reset":
            return self._answer(*self.sessions.reset(body))
        if self.path == "/v1/assistant/turn":
            return self._answer(*self.sessions.turn(body))
        return self._answer(404, {"error": "no such path"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def serve(port: int) -> ThreadingHTTPServer:
    """Return a server bound to 127.0.0.1; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8008)
    port = parser.parse_args().port
    default_classifier(packaged_encode())  # made before the first request, not within it
    server = serve(port)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()

"""Run one flow in the foreground: `python -m flows.run NAME [--key value ...]`.

Uses the server at PREFECT_API_URL, else a temporary one for this run. The exit code follows the
flow's state, not its log: 0 completed, 1 failed, 2 blocked by validation, 130 interrupted.
"""

import importlib
import inspect
import json
import logging
import sys
from typing import Any

from flows import environment

FLOWS = {
    "data": "flows.data_flow:data",
    "training": "flows.training_flow:training",
    "release": "flows.release_flow:release",
    "monitoring": "flows.monitoring_flow:monitoring",
    "feedback": "flows.feedback_flow:feedback",
    "scoring": "flows.scoring_flow:scoring",
    "forget": "flows.forget_flow:forget",
}


class UsageError(ValueError):
    """A command line that names no flow or no parameter of it."""


class WithoutShutdownNoise(logging.Filter):
    """Drop what the temporary server and its clients say while they are being torn down."""

    NOISE = ("task_run_recorder", "CancelledError", "Error occurred while emitting event")

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record unless it is about the end of the temporary server."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += repr(record.exc_info[1])
        return not any(noise in text or noise in record.name for noise in self.NOISE)


def parameters_of(words: list[str], names: list[str]) -> dict[str, Any]:
    """Turn `--key value` pairs into parameters; a value is JSON if it can be, else text.

    Raises:
        UsageError: a pair is incomplete, or the flow has no such parameter.

    >>> parameters_of(["--force", "true", "--reason", "new data"], ["force", "reason"])
    {'force': True, 'reason': 'new data'}
    """
    found: dict[str, Any] = {}
    position = 0
    while position < len(words):
        word = words[position]
        name, _, inline = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--") or name not in names:
            raise UsageError(f"{word}: no such parameter; choose of {', '.join(names) or 'none'}.")
        if inline:
            value, step = inline, 1
        elif position + 1 < len(words) and not words[position + 1].startswith("--"):
            value, step = words[position + 1], 2
        else:
            value, step = "true", 1
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
        position += step
    return found


def quieten() -> None:
    """Keep the orchestrator's own teardown out of the user's sight."""
    noise = WithoutShutdownNoise()
    for name in ("prefect", "prefect.events", "prefect.server", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(noise)
    for handler in logging.getLogger().handlers:
        handler.addFilter(noise)


def main(words: list[str]) -> int:
    """Run the flow that `words` name; return the exit code."""
    if not words or words[0] not in FLOWS:
        raise UsageError(f"name a flow: {', '.join(FLOWS)}.")
    environment.apply()
    module, _, attribute = FLOWS[words[0]].partition(":")
    flow = getattr(importlib.import_module(module), attribute)
    parameters = parameters_of(words[1:], list(inspect.signature(flow.fn).parameters))
    quieten()
    from prefect.exceptions import ParameterTypeError

    state = flow(**parameters, return_state=True)
    error = None if state.is_completed() else state.result(raise_on_failure=False)
    if state.is_completed():
        sys.stdout.write(f"{words[0]}: {state.name.lower()}. {state.message or ''}".rstrip() + "\n")
        return 0
    if isinstance(error, ParameterTypeError):
        raise UsageError(" ".join(str(error).split()))
    sys.stderr.write(f"error: {words[0]} {state.name.lower()}: {error or state.message}\n")
    return 2 if "ValidationBlockedError" in f"{type(error).__name__} {error}" else 1


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except UsageError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.stdout.flush()
    sys.exit(code)

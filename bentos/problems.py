"""Errors as RFC 9457 problem details: one shape for every status, nothing internal in them."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from components.contracts.errors import (
    ArtefactError,
    RegistryError,
    ServiceError,
    ShelfwiseError,
    StateError,
    UnknownProductError,
    UnknownVisitorError,
)
from components.contracts.messages import Problem

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[ShelfwiseError], int] = {
    UnknownProductError: 404,
    UnknownVisitorError: 404,
    StateError: 503,
    ServiceError: 503,
    ArtefactError: 503,
    RegistryError: 503,
}


class RefusalError(ShelfwiseError):
    """A request that is understood and not granted: its status and why."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Remember the HTTP status and headers that go with it."""
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: tuple[dict[str, Any], ...] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a problem as a response."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path.encode("ascii", "replace").decode(),
        request_id=getattr(request.state, "request_id", None),
        errors=errors,
    )
    return Response(
        body.model_dump_json(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ShelfwiseError)
    if isinstance(error, RefusalError):
        return problem(request, error.status, str(error), headers=error.headers)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    if status >= 500:
        logger.error("%s %s: %s", request.method, request.url.path, error)
    return problem(request, status, _clean(str(error)))


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem(request, error.status_code, _clean(str(error.detail)), headers=headers)


def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    broken = any(item["type"] in ("json_invalid", "json_type") for item in problems)
    named = tuple(
        {
            "field": _clean(".".join(str(part) for part in item["loc"] if part != "body")),
            "reason": _clean(str(item["msg"])),
        }
        for item in problems[:20]
    )
    first = named[0] if named else {"field": "", "reason": "not valid"}
    detail = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
    return problem(request, 400 if broken else 422, detail, errors=named)


def _of_anything(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(request, 500, "an error on our side; it is in the log under the request_id.")


def _clean(text: str) -> str:
    """Return text that can always be sent: a lone surrogate cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")[:500]


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem."""
    app.add_exception_handler(ShelfwiseError, _of_ours)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_anything)

"""Refusals before a connection is accepted: problem documents (RFC 9457), as the gateway gives them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from notifier.protocol.messages import Fault

_STATUS = {"forbidden": HTTPStatus.FORBIDDEN, "validation_failed": HTTPStatus.UNPROCESSABLE_ENTITY}


def problem(code: str, detail: str, instance: str, faults: Sequence[Fault] = ()) -> JSONResponse:
    """Return a problem document about the resource `instance`; `faults` become its `issues`."""
    return _document(_STATUS[code], code, detail, instance, faults)


def _document(status: HTTPStatus, code: str, detail: str, instance: str, faults: Sequence[Fault] = ()) -> JSONResponse:
    document: dict[str, Any] = {
        "type": f"urn:sayso:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "instance": instance,
    }
    if faults:
        document["issues"] = [fault.model_dump() for fault in faults]
    return JSONResponse(document, status, media_type="application/problem+json")


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer as a problem document: no such path, no such method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return _document(status, status.phrase.lower().replace(" ", "_"), error.detail, request.url.path)

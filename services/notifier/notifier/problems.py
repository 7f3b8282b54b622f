"""Refusals before anything is pushed: problem documents (RFC 9457), as the gateway gives them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from notifier.messages import Fault


def problem(status: HTTPStatus, code: str, detail: str, instance: str, faults: Sequence[Fault] = ()) -> JSONResponse:
    """Return a problem document about the resource `instance`; `faults` become its `issues`."""
    document: dict[str, Any] = {
        "type": f"urn:countersign:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "instance": instance,
    }
    if faults:
        document["issues"] = [fault.model_dump() for fault in faults]
    headers = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(document, status, headers, media_type="application/problem+json")

"""A server that refuses a call, and the failure that its answer is."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from contracts.providers.call import Failure
from provider_worker.providers.http.errors.failures import of_refusal

KEY = "k-of-the-worker"


def refused(body: Any, status: int = 422, **headers: str) -> Failure:
    """Return the failure of a call that was answered with this body, these headers and this status."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = httpx2.Request("POST", "http://127.0.0.1/v1/x", headers={"authorization": f"Bearer {KEY}"})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return of_refusal(httpx2.Response(status, request=request, content=content, headers=named))

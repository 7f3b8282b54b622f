"""What the OpenAPI document says of credentials: which are taken, where one is needed, and how it is refused. Made from the route table."""

from __future__ import annotations

from typing import Any

from gateway.http.problem_schemas import with_problems
from gateway.identity.browser import READS
from gateway.identity.route_rights import is_public, needs_role
from identity.sessions.cookies import cookie_name

SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a JSON Web Token of your identity provider.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie_name(secure=False),
        "description": f"A browser's session, from `/signin`. Under https the cookie is `{cookie_name(secure=True)}`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "What a write by a session carries beside its cookie: the `csrf_token` of `GET /me`.",
    },
}

_READ: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
_WRITE: list[dict[str, list[str]]] = [{"bearer": []}, {"session": [], "csrf": []}]


def secured(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in which each operation that is not public names its credentials, and the 401 and 403 that it may answer."""
    paths = {
        path: {method: _secured(method.upper(), path, operation) for method, operation in item.items()}
        for path, item in document["paths"].items()
    }
    return {**document, "paths": paths, "components": {**document["components"], "securitySchemes": SCHEMES}}


def _secured(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    if is_public(path):
        return operation
    is_write = method not in READS
    codes = [
        "unauthorized",
        *(["forbidden"] if needs_role(method, path) else []),
        *(["csrf_failed"] if is_write else []),
    ]
    responses = with_problems(operation["responses"], *codes)
    return {**operation, "security": _WRITE if is_write else _READ, "responses": responses}

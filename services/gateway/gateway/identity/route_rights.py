"""The right that each route needs, in one table. A route without a row is refused to all."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from chassis.tenant_labels import tenant_label
from contracts.identity import Right
from gateway.http.caller import caller_of
from gateway.http.problems import Problem
from gateway.metrics import FORBIDDEN

RUN = "/hitl/runs/{run_id}"

ROUTE_RIGHTS: Mapping[tuple[str, str], Right] = {
    ("POST", "/hitl/runs"): Right.START,
    ("POST", "/hitl/run"): Right.START,
    ("GET", "/hitl/runs"): Right.READ,
    ("GET", RUN): Right.READ,
    ("GET", f"{RUN}/history"): Right.READ,
    ("GET", f"{RUN}/events"): Right.READ,
    ("POST", f"{RUN}/approve"): Right.DECIDE,
    ("POST", f"{RUN}/edit"): Right.DECIDE,
    ("POST", f"{RUN}/reject"): Right.DECIDE,
    ("POST", f"{RUN}/retry"): Right.DECIDE,
    ("POST", f"{RUN}/pause"): Right.STEER,
    ("POST", f"{RUN}/resume"): Right.STEER,
    ("POST", f"{RUN}/cancel"): Right.CANCEL,
    ("POST", f"{RUN}/claim"): Right.DECIDE,
    ("POST", f"{RUN}/release"): Right.DECIDE,
    ("POST", f"{RUN}/assign"): Right.DECIDE,
    ("POST", f"{RUN}/delegate"): Right.DECIDE,
    ("POST", f"{RUN}/return"): Right.DECIDE,
    ("POST", f"{RUN}/escalate"): Right.DECIDE,
    ("POST", f"{RUN}/reschedule"): Right.DECIDE,
    ("GET", f"{RUN}/comments"): Right.READ,
    ("POST", f"{RUN}/comments"): Right.COMMENT,
    ("PUT", f"{RUN}/comments/{{comment_id}}"): Right.COMMENT,
    ("DELETE", f"{RUN}/comments/{{comment_id}}"): Right.COMMENT,
    ("GET", f"{RUN}/draft"): Right.DECIDE,
    ("PUT", f"{RUN}/draft"): Right.DECIDE,
    ("DELETE", f"{RUN}/draft"): Right.DECIDE,
    ("GET", "/hitl/approvals"): Right.READ,
    ("POST", "/hitl/approvals/bulk"): Right.DECIDE,
    ("GET", "/hitl/absences"): Right.READ_SELF,
    ("POST", "/hitl/absences"): Right.DECIDE,
    ("DELETE", "/hitl/absences/{absence_id}"): Right.DECIDE,
    ("POST", "/hitl/artifacts"): Right.KEEP_FILES,
    ("GET", "/hitl/artifacts/{sha256}"): Right.READ,
    ("GET", "/providers"): Right.READ_CATALOG,
    ("GET", "/providers/{name}"): Right.READ_CATALOG,
    ("GET", "/"): Right.READ,
    ("GET", "/me"): Right.READ_SELF,
    ("POST", "/signout"): Right.READ_SELF,
    ("GET", "/version"): Right.READ_SELF,
    ("GET", "/admin/api-keys"): Right.MANAGE_KEYS,
    ("POST", "/admin/api-keys"): Right.MANAGE_KEYS,
    ("DELETE", "/admin/api-keys/{key_id}"): Right.MANAGE_KEYS,
    ("POST", "/admin/api-keys/{key_id}/rotate"): Right.MANAGE_KEYS,
}
"""By method and the path's template."""

PUBLIC = frozenset({"/health/live", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json", "/docs"})
"""What needs no credential: probes, metrics and documents."""

WITHOUT_ROLE = frozenset({("GET", "/me"), ("POST", "/signout")})
"""What needs a credential and no role: to read who one is, and to sign out."""

_PUBLIC_FOLDERS = ("/docs/",)
_SIGN_IN = frozenset({"/signin", "/signin/openid", "/signin/callback"})


def is_public(path: str) -> bool:
    """Return whether a path is served to every caller."""
    return path in PUBLIC or path in _SIGN_IN or path.startswith(_PUBLIC_FOLDERS)


def needs_role(method: str, path: str) -> bool:
    """Return whether a role is needed for a route, by its template."""
    return (method, path) not in WITHOUT_ROLE


def check_right(request: Request, method: str, path: str) -> None:
    """Return if the caller has the right that a route needs. Raises Problem.

    Of a write the run's own rules are asked again, with what they know of the run: this spares them what can never be allowed.
    """
    principal = caller_of(request).principal
    if principal is None:
        return
    right = ROUTE_RIGHTS.get((method, path))
    if right is None:
        raise Problem("forbidden", f"no right is declared for {method} {path}")
    if needs_role(method, path) and not principal.may(right):
        FORBIDDEN.labels(tenant_label(principal.tenant)).inc()
        raise Problem("forbidden", principal.refusal(right))


def require_right(request: Request) -> None:
    """Check the right of the matched route: what FastAPI asks before each of its own routes."""
    check_right(request, request.method, request.scope["route"].path)

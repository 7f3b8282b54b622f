"""Credentials for tests of the gateway's doors: keys and tokens, good and bad, and requests that bring them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt

from contracts.identity import Role
from gateway.identity.route_rights import RUN
from identity.keys.record import KeyRecord
from identity.testing.keys import made_key
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import given

from .memory_site import NOW, Site, memory_site

SECRET = "a-secret-of-the-issuer-32-bytes-or-more"  # noqa: S105 - it is one in name only
TOKENS = {"jwt_secret": SECRET, "jwt_issuer": "https://issuer.example", "jwt_audience": "sayso"}


@asynccontextmanager
async def guarded_site(
    data_dir: Path, now: Callable[[], datetime] = lambda: NOW, **settings: Any
) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials, with a run of rita's that waits for a person."""
    async with memory_site(auth="on", now=now, data_dir=data_dir, **TOKENS, **settings) as running:
        await running.announce()
        await waiting_run(running)
        yield running


async def waiting_run(site: Site) -> UUID:
    """Let a new run of rita's wait for a person; return its id."""
    run_id = uuid4()
    begun = start(allowed_steps=("payload_review",)).but(run_id=run_id, principal=RITA)
    return await site.orchestrator.tell(given(begun, prepared().but(run_id=run_id)))


@contextmanager
def unchanged(site: Site) -> Iterator[None]:
    """Expect that no event is written and no key made or ended meanwhile."""
    before = _state(site)
    yield
    assert _state(site) == before


def _state(site: Site) -> tuple[dict[UUID, int], dict[UUID, KeyRecord]]:
    return {run_id: len(events) for run_id, events in site.tables.ledger.items()}, dict(site.keys._records)


def bearer(credential: str | None) -> dict[str, str]:
    """Return the headers that bring a credential."""
    return {} if credential is None else {"Authorization": f"Bearer {credential}"}


async def key(site: Site, subject: str, *roles: Role, **members: Any) -> str:
    """Make a key and return its text."""
    made, record = made_key(subject, *roles, at=NOW, **members)
    await site.keys.add(record, made.sha256)
    return made.text


def token(**claims: Any) -> str:
    """Return a token of the issuer."""
    known = {
        "iss": TOKENS["jwt_issuer"],
        "aud": TOKENS["jwt_audience"],
        "sub": "ann",
        "tenant": "default",
        "roles": ["reviewer"],
        "exp": int((NOW + timedelta(hours=1)).timestamp()),
    }
    return jwt.encode({**known, **claims}, SECRET, "HS256")


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/hitl/runs"): {"prompt": "x"},
    ("POST", "/hitl/run"): {"prompt": "x"},
    ("POST", f"{RUN}/edit"): {"edits": {"temperature": 1}},
    ("POST", f"{RUN}/assign"): {"to": {"user": "bo"}},
    ("POST", f"{RUN}/delegate"): {"to": {"user": "bo"}},
    ("POST", f"{RUN}/comments"): {"text": "why?"},
    ("PUT", f"{RUN}/comments/{{comment_id}}"): {"text": "why?"},
    ("PUT", f"{RUN}/draft"): {"action": "approve"},
    ("POST", "/hitl/approvals/bulk"): {
        "action": "approve",
        "items": [{"run_id": str(UUID(int=1)), "checkpoint_id": str(UUID(int=1)), "subject_sha256": "0" * 64}],
    },
    ("POST", "/admin/api-keys"): {"name": "n", "subject": "s", "roles": ["reviewer"], "scopes": ["keys:manage"]},
}


async def ask(site: Site, route: tuple[str, str], credential: str | None, run_id: UUID) -> httpx.Response:
    """Ask a route for something that is there, such as this run, under a credential."""
    method, template = route
    path = template.format(
        run_id=run_id,
        sha256="0" * 64,
        name="sandbox",
        key_id=UUID(int=1),
        comment_id=UUID(int=1),
        absence_id=UUID(int=1),
    )
    headers = bearer(credential)
    if template.endswith("/events"):  # a stream that is not refused does not end, but with its head
        head = await site.http.head(path, headers=headers)
        if head.is_success:
            return head
    body = BODIES.get(route, {}) if method in ("POST", "PUT") else None
    return await site.http.request(method, path, headers=headers, json=body)

"""What people do with what waits: tasks, comments, drafts, absences, many decisions at once."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter

from gateway.api.command_requests import CommandRequests
from gateway.api.people.absences import AbsenceEndpoints, absences_router
from gateway.api.people.bulk import Bulk, bulk_router
from gateway.api.people.comments import Comments, comments_router
from gateway.api.people.drafts import DraftEndpoints, drafts_router
from gateway.api.people.tasks import tasks_router
from gateway.api.runs import RunReads
from gateway.ports import Adapters
from identity.resolver import Resolver


def people_routers(
    requests: CommandRequests, reads: RunReads, adapters: Adapters, resolver: Resolver | None
) -> Iterator[APIRouter]:
    """Return the routes of this folder."""
    yield tasks_router(requests)
    yield comments_router(Comments(requests, reads))
    yield drafts_router(DraftEndpoints(requests, reads, adapters.drafts))
    yield absences_router(AbsenceEndpoints(adapters.absences, adapters.now, requests.max_body_bytes, resolver))
    yield bulk_router(Bulk(requests))

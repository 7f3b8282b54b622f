"""What people do with what waits: tasks, comments, drafts, many decisions at once."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter

from gateway.api.command_requests import CommandRequests
from gateway.api.people.bulk import Bulk, bulk_router
from gateway.api.people.comments import Comments, comments_router
from gateway.api.people.drafts import DraftEndpoints, drafts_router
from gateway.api.people.tasks import tasks_router
from gateway.api.runs import RunReads
from gateway.ports import Drafts


def people_routers(requests: CommandRequests, reads: RunReads, drafts: Drafts) -> Iterator[APIRouter]:
    """Return the routes of this folder."""
    yield tasks_router(requests)
    yield comments_router(Comments(requests, reads))
    yield drafts_router(DraftEndpoints(requests, reads, drafts))
    yield bulk_router(Bulk(requests))

"""The HTTP API: runs, decisions, tasks, files, providers, keys."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter

from chassis.settings import Settings
from gateway.api.api_keys.routes import api_keys_router
from gateway.api.artifacts import artifacts_router
from gateway.api.command_requests import CommandRequests
from gateway.api.people import people_routers
from gateway.api.providers import providers_router
from gateway.api.run_events import run_events_router
from gateway.api.runs import RunReads, runs_router
from gateway.api.version import version_router
from gateway.catalog import Catalog
from gateway.ports import Adapters
from gateway.read_model.follower import Follower
from identity.watch import CredentialWatch


def api_routers(
    settings: Settings,
    adapters: Adapters,
    catalog: Catalog,
    follower: Follower,
    credentials: CredentialWatch,
    reads: RunReads,
    requests: CommandRequests,
) -> Iterator[APIRouter]:
    """Return the routes of this folder, but for the hot ones."""
    yield runs_router(reads)
    yield run_events_router(adapters.views, follower, credentials, adapters.now)
    yield artifacts_router(adapters.artifacts, settings.max_artifact_bytes)
    yield providers_router(catalog)
    yield api_keys_router(adapters.keys, adapters.now, settings.max_body_bytes)
    yield from people_routers(requests, reads, adapters, credentials.resolver)
    yield version_router()

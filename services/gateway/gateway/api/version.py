"""`/version`, which the OpenAPI document describes. The other services have it beside their health."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from chassis.http.version import Version, version_of
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems


def version_router() -> APIRouter:
    """Return the route that says what runs here."""
    router = APIRouter(tags=["service"])
    found = version_of("gateway")

    @router.get("/version", summary="Read the version", responses=problems("validation_failed"))
    async def read_version(_: Annotated[NoParameters, Query()]) -> Version:
        """Return the versions of the gateway, of its contracts and of Python."""
        return found

    return router

"""The front page, which leads to the documentation, and the AsyncAPI document. OpenAPI's page is FastAPI's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, RedirectResponse, Response

from chassis.http.version import Version, version_of
from contracts.asyncapi import document
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems


def docs_router() -> APIRouter:
    """Return the routes that only describe."""
    router = APIRouter(include_in_schema=False)
    asyncapi = JSONResponse(document())

    @router.get("/")
    async def home() -> Response:
        """Lead to the readable description."""
        return RedirectResponse("/docs")

    @router.get("/asyncapi.json")
    async def read_asyncapi() -> Response:
        """Return the AsyncAPI document."""
        return asyncapi

    return router


def version_router() -> APIRouter:
    """Return the route that says what runs here."""
    router = APIRouter(tags=["service"])
    found = version_of("gateway")

    @router.get("/version", summary="Read the version", responses=problems("validation_failed"))
    async def read_version(_: Annotated[NoParameters, Query()]) -> Version:
        """Return the versions of the gateway, of its contracts and of Python."""
        return found

    return router

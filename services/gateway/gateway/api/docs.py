"""The front page, which leads to the documentation, and the AsyncAPI document. OpenAPI's page is FastAPI's own."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, RedirectResponse, Response

from contracts.asyncapi import document


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

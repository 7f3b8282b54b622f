"""The providers that workers have announced, and their capabilities."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from contracts.providers.capabilities import Capabilities
from gateway.catalog import Catalog
from gateway.http.parameters import NoParameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem


class Providers(BaseModel):
    """All providers, by name."""

    items: list[Capabilities]


def providers_router(catalog: Catalog) -> APIRouter:
    """Return the routes that read the catalog."""
    router = APIRouter(tags=["providers"])

    @router.get(
        "/providers", summary="List the providers", response_model=Providers, responses=problems("validation_failed")
    )
    async def list_providers(_: Annotated[NoParameters, Query()]) -> Response:
        """Return every provider that a worker has announced."""
        return _json(Providers(items=catalog.all()))

    @router.get(
        "/providers/{name}",
        summary="Read a provider's capabilities",
        response_model=Capabilities,
        responses=problems("provider_not_found", "validation_failed", "unavailable"),
    )
    async def read_provider(name: str, _: Annotated[NoParameters, Query()]) -> Response:
        """Return one provider, by its name or by the name of a tool that stands for it."""
        offer = catalog.find(name)
        if offer is None:
            catalog.check_complete()
            raise Problem("provider_not_found", f"there is no provider {name}")
        return _json(offer)

    return router


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")

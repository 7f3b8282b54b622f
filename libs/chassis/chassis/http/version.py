"""`/version`: what runs here, for support and for the watch over an upgrade. It names nothing that a caller may not know."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Version(BaseModel):
    """What runs here."""

    service: str = Field(description="The service's name.", examples=["gateway"])
    version: str = Field(description="Its version, as the changelog has it.", examples=["0.2.0"])
    contracts: str = Field(
        description="The version of the messages that it reads and writes; services that run together have the same.",
        examples=["0.2.0"],
    )
    python: str = Field(description="The version of Python that it runs on.", examples=["3.13.0"])


def version_of(service: str) -> Version:
    """Return what is installed for `service`."""
    return Version(
        service=service,
        version=_installed(service),
        contracts=_installed("contracts"),
        python=platform.python_version(),
    )


def version_route(service: str) -> Route:
    """Return the route of a service without an OpenAPI document."""
    body = version_of(service).model_dump_json()

    async def read_version(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return Route("/version", read_version, include_in_schema=False)


def _installed(package: str) -> str:
    try:
        return version(f"sayso-{package}")
    except PackageNotFoundError:  # run from its sources, without set-up
        return "unknown"

"""The page of the OpenAPI document, and the AsyncAPI document.

Swagger UI's script and style come from the package `fastapi-offline`, which ships them; its own application is not used.
"""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse, Response

from contracts.asyncapi import document
from gateway.http.html import page, shipped_file

_OURS, _SWAGGER = "gateway.pages", "fastapi_offline"
_SCRIPT, _STYLE = "text/javascript", "text/css"
_FILES = {
    "swagger-ui-bundle.js": (_SWAGGER, _SCRIPT),
    "swagger-ui.css": (_SWAGGER, _STYLE),
    "documents.js": (_OURS, _SCRIPT),
    "page.css": (_OURS, _STYLE),
}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sayso: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="documents"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/documents.js"></script>
</html>
"""


def documents_router() -> APIRouter:
    """Return the routes that only describe."""
    router = APIRouter(include_in_schema=False)
    asyncapi = _asyncapi()

    @router.get("/docs")
    async def read_documents() -> Response:
        """Show the OpenAPI document."""
        return page(_PAGE, scripts=True)

    @router.get("/docs/{name}")
    async def read_file(name: str) -> Response:
        """Return a script or a style of the pages."""
        if name not in _FILES:
            raise HTTPException(404)
        package, media_type = _FILES[name]
        return shipped_file(package, name, media_type)

    @router.get("/asyncapi.json")
    async def read_asyncapi() -> Response:
        """Return the AsyncAPI document."""
        return asyncapi

    return router


@cache
def _asyncapi() -> JSONResponse:
    # The document of a version is constant, and its schemas take most of the time in which a gateway is wired.
    return JSONResponse(document())

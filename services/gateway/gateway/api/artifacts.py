"""Files in and out, by the hash of their content. They are served so that no browser runs what was uploaded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from artifacts.media_type import may_be_shown, media_type_of
from artifacts.store import Artifact, UploadKeyReused
from chassis.http.problems import issue
from contracts.message import Identifier
from gateway.api.openapi import KEY
from gateway.http import headers
from gateway.http.body import check_head, too_large
from gateway.http.caller import caller_of
from gateway.http.parameters import NoParameters, Parameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, invalid, unavailable
from gateway.ports import Artifacts

UPLOAD_SECONDS = 300.0
"""How long a client may take to send a file."""

BEGIN_SECONDS = 5.0
SLOWEST = 8 * 1024
"""Bytes that must come in a second on the average, after the first BEGIN_SECONDS: a place for an upload is not held by a trickle."""

AT_ONCE = 4
"""Files held in memory at a time; others wait on disk."""

UPLOADS_AT_ONCE = 64
"""Files that are received at a time: each takes a file on disk beside its connection, and up to 1 MiB of memory before that."""

TURN_SECONDS = 2.0
"""How long an upload waits for its turn, with its body outside."""

PIECE_BYTES = 256 * 1024
"""Bytes of a file that are held for one reader. The next are read once these are written."""

OVERHEAD_BYTES = 16 * 1024
"""The most that the form around a file adds to its size."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Authorization, Cookie",  # a browser's cache is of all who sign in there
}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}},
}


class Upload(Parameters):
    """The session that brings a file."""

    session_id: Identifier | None = None


class Stored(BaseModel):
    """A file that is kept, under the name by which requests speak of it."""

    artifact: str
    size: int
    media_type: str


class ArtifactEndpoints:
    """The endpoints for files of at most `limit` bytes."""

    def __init__(self, artifacts: Artifacts, limit: int) -> None:
        self._artifacts = artifacts
        self._limit = limit
        self._in_memory = asyncio.Semaphore(AT_ONCE)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def keep(self, request: Request, upload: Annotated[Upload, Query()]) -> Response:
        """Keep the form's field `file`. The same bytes again are the same artifact."""
        caller = caller_of(request)
        key = headers.own_key(caller, headers.idempotency_key(request))
        check_head(request, self._limit + OVERHEAD_BYTES)
        async with self._turn():
            artifact = await self._keep(request, caller.tenant, upload.session_id, key)
        stored = {"artifact": artifact.ref, "size": artifact.size, "media_type": artifact.media_type}
        return JSONResponse(stored, 201, {"Location": f"/hitl/artifacts/{artifact.sha256}"})

    async def fetch(self, request: Request, sha256: str, _: Annotated[NoParameters, Query()]) -> Response:
        """Return the bytes, with the media type they were stored with. They never change: keep them as long as you like."""
        tenant = caller_of(request).tenant
        artifact = await self._artifacts.find(tenant, sha256) if _SHA256.fullmatch(sha256) else None
        if artifact is None:
            raise Problem("artifact_not_found", f"there is no artifact {sha256}")
        served = _headers(artifact)
        if served["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=served)
        served |= {"Content-Type": artifact.media_type, "Content-Length": str(artifact.size)}
        return StreamingResponse(self._pieces(tenant, artifact), headers=served)

    async def _pieces(self, tenant: str, artifact: Artifact) -> AsyncIterator[bytes]:
        for at in range(0, artifact.size, PIECE_BYTES):
            yield await self._artifacts.piece(tenant, artifact.sha256, at, PIECE_BYTES)

    async def _keep(self, request: Request, tenant: str, session_id: str | None, key: str | None) -> Artifact:
        form = await _form(request, self._limit + OVERHEAD_BYTES)
        try:
            file = _file(form, self._limit)
            async with self._in_memory:
                body = await file.read()
                media_type = media_type_of(body, file.content_type)
                return await self._artifacts.put(tenant, body, media_type, session_id, key)
        except UploadKeyReused as error:
            raise Problem(error.code, str(error)) from None
        finally:
            await form.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._uploads.acquire()
        except TimeoutError:
            raise unavailable(f"{UPLOADS_AT_ONCE} files are being received: try again") from None
        try:
            yield
        finally:
            self._uploads.release()


def artifacts_router(artifacts: Artifacts, limit: int) -> APIRouter:
    """Return the routes for files of at most `limit` bytes."""
    router, endpoints = APIRouter(tags=["artifacts"]), ArtifactEndpoints(artifacts, limit)
    refusals = (
        "payload_too_large",
        "unsupported_media_type",
        "validation_failed",
        "idempotency_key_reused",
        "unavailable",
    )
    router.add_api_route(
        "/hitl/artifacts",
        endpoints.keep,
        methods=["POST"],
        summary="Keep a file",
        status_code=201,
        response_model=Stored,
        responses=problems(*refusals),
        openapi_extra={
            "parameters": [KEY],
            "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
        },
    )
    router.add_api_route(
        "/hitl/artifacts/{sha256}",
        endpoints.fetch,
        summary="Fetch a file",
        response_class=Response,
        responses={200: {"content": {"*/*": {}}}, **problems("artifact_not_found", "validation_failed", "unavailable")},
    )
    return router


def _headers(artifact: Artifact) -> dict[str, str]:
    shown = {**_SAFE, "ETag": f'"{artifact.sha256}"'}
    if not may_be_shown(artifact.media_type):
        shown["Content-Disposition"] = f'attachment; filename="{artifact.sha256[:16]}"'
    return shown


async def _form(request: Request, limit: int) -> FormData:
    """Return the form, its file on disk. Raises Problem when it is too large, too slow or not a form."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem("unsupported_media_type", "send the file as multipart/form-data, in the field `file`")
    counted = Request(request.scope, _counting(request.receive, limit))
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await counted.form(max_files=1, max_fields=1)
    except TimeoutError:
        raise Problem("request_timeout", f"the file comes too slowly: it has {UPLOAD_SECONDS:g} s at most") from None
    except HTTPException as error:
        raise invalid([issue("", "multipart_invalid", error.detail)]) from None


def _counting(receive: Receive, limit: int) -> Receive:
    size, began = 0, asyncio.get_running_loop().time()

    async def counted() -> Message:
        nonlocal size
        async with asyncio.timeout_at(began + BEGIN_SECONDS + size / SLOWEST):
            message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise too_large(limit)
        return message

    return counted


def _file(form: FormData, limit: int) -> UploadFile:
    """Return the form's one file. Raises Problem with an issue for each wrong field."""
    issues: list[dict[str, Any]] = [
        issue(f"/{name}", "extra_forbidden", "there is no such field") for name in form if name != "file"
    ]
    file = form.get("file")
    if not isinstance(file, UploadFile):
        issues.append(issue("/file", "missing", "a file is required, with its name"))
        raise invalid(issues)
    if issues:
        raise invalid(issues)
    if (file.size or 0) > limit:
        raise too_large(limit)
    return file

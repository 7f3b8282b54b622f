"""API keys as an administrator manages them, and `/me`. A key's text is in the one answer that makes it, and nowhere else."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import not_
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, BaseModel, Field

from chassis.http.problems import issue
from contracts.identity import Kind, Role
from contracts.message import Identifier, Message
from contracts.runs.decisions import ANONYMOUS
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.cursors import write_cursor
from gateway.http.models import read_model
from gateway.http.parameters import NoParameters, Paged
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, invalid
from gateway.ports import Now, Place
from identity.api_keys import KeyRecord, NewKey, new_key
from identity.ports import KeyRepository

MOST_OVERLAP_SECONDS = 30 * 24 * 3600
DEFAULT_OVERLAP_SECONDS = 3600.0

Groups = Annotated[tuple[Identifier, ...], Field(max_length=100)]


class KeyBody(Message):
    """A key to make. `subject` is whom it stands for: votes are counted by it, so one person has one subject."""

    name: Identifier
    subject: Identifier
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=len(Role))]
    groups: Groups = ()
    kind: Kind = "person"
    expires_at: AwareDatetime | None = None


class RotationBody(Message):
    """A key to put in another's place."""

    overlap_seconds: float = Field(
        DEFAULT_OVERLAP_SECONDS, ge=0, le=MOST_OVERLAP_SECONDS, description="For how long the old key works beside it."
    )


class ApiKey(BaseModel):
    """A key without its text."""

    id: UUID
    name: str
    subject: str
    kind: Kind
    roles: list[Role]
    groups: list[str]
    owner: str | None = Field(description="The person who answers for a service: who made its key.")
    prefix: str = Field(description="How its text begins.")
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKey(ApiKey):
    """A key with its text, which is shown this once."""

    key: str


class KeyPage(BaseModel):
    """Keys, oldest first, and the cursor of the next page if there is one."""

    items: list[ApiKey]
    next_cursor: str | None


class Me(BaseModel):
    """Who asks."""

    tenant: str
    subject: str
    name: str | None
    kind: Kind
    roles: list[Role]
    groups: list[str]
    csrf_token: str | None = Field(
        None, exclude_if=not_, description="To a session alone: what its writes carry in `X-CSRF-Token`."
    )


class ApiKeys:
    """The endpoints."""

    def __init__(self, keys: KeyRepository, now: Now, max_body_bytes: int) -> None:
        self._keys = keys
        self._now = now
        self._max_body_bytes = max_body_bytes

    async def me(self, request: Request, _: Annotated[NoParameters, Query()]) -> Me:
        """Return who the credential says that one is. While authentication is off, each caller may do everything."""
        caller = caller_of(request)
        principal = caller.principal
        if principal is None:
            return Me(tenant=caller.tenant, subject=ANONYMOUS, name=None, kind="person", roles=list(Role), groups=[])
        me = Me.model_validate(principal, from_attributes=True)
        return me.model_copy(update={"csrf_token": caller.csrf_token})

    async def make(self, request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        """Make a key. It is shown this once, and kept as a hash."""
        caller, now = caller_of(request), self._now()
        body, raw = await read_json(request, self._max_body_bytes)
        said = read_model(KeyBody, body, raw)
        if said.expires_at is not None and said.expires_at <= now:
            raise invalid([issue("/expires_at", "value_error", "a time to come")])
        made = new_key()
        record = KeyRecord(
            id=uuid4(),
            tenant=caller.tenant,
            name=said.name,
            subject=said.subject,
            kind=said.kind,
            roles=tuple(dict.fromkeys(said.roles)),
            groups=tuple(dict.fromkeys(said.groups)),
            owner=_person(caller) if said.kind == "service" else None,
            prefix=made.prefix,
            created_at=now,
            created_by=_person(caller),
            expires_at=said.expires_at,
        )
        await self._keys.add(record, made.sha256)
        return self._made(record, made)

    async def list_keys(self, request: Request, which: Annotated[Paged, Query()]) -> KeyPage:
        """Return the tenant's keys, oldest first, those that were revoked or expired too."""
        found = await self._keys.page(caller_of(request).tenant, which.limit + 1, which.place())
        shown = found[: which.limit]
        end = Place(shown[-1].created_at, shown[-1].id) if len(found) > len(shown) else None
        return KeyPage(items=[ApiKey(**self._told(record)) for record in shown], next_cursor=write_cursor(end))

    async def revoke(self, request: Request, key_id: str, _: Annotated[NoParameters, Query()]) -> Response:
        """Revoke a key, for ever and within seconds everywhere. A key that was revoked stays so."""
        if not await self._keys.revoke(caller_of(request).tenant, _id(key_id), self._now()):
            raise _not_found(key_id)
        return Response(status_code=204)

    async def rotate(self, request: Request, key_id: str, _: Annotated[NoParameters, Query()]) -> Response:
        """Put a new key in a key's place, with the same rights. The old one works until the overlap ends."""
        caller, now = caller_of(request), self._now()
        body, raw = await read_json(request, self._max_body_bytes)
        said = read_model(RotationBody, body, raw)
        former = await self._keys.get(caller.tenant, _id(key_id))
        if former is None:
            raise _not_found(key_id)
        made = new_key()
        record = KeyRecord(
            id=uuid4(),
            tenant=former.tenant,
            name=former.name,
            subject=former.subject,
            kind=former.kind,
            roles=former.roles,
            groups=former.groups,
            owner=former.owner,
            prefix=made.prefix,
            created_at=now,
            created_by=_person(caller),
            expires_at=former.expires_at,
        )
        ends = now + timedelta(seconds=said.overlap_seconds)
        if await self._keys.rotate(caller.tenant, former.id, record, made.sha256, ends) is None:
            state = former.state_at(now)
            detail = f"the key is {state}" if state != "active" else "the key was rotated before"
            raise Problem("not_allowed", f"{detail}: it has no place to take")
        return self._made(record, made)

    def _made(self, record: KeyRecord, made: NewKey) -> Response:
        shown = MadeKey(**self._told(record), key=made.text)
        kept_nowhere = {"Cache-Control": "no-store"}
        return JSONResponse(shown.model_dump(mode="json"), 201, kept_nowhere)

    def _told(self, record: KeyRecord) -> dict[str, Any]:
        return {
            "id": record.id,
            "name": record.name,
            "subject": record.subject,
            "kind": record.kind,
            "roles": list(record.roles),
            "groups": list(record.groups),
            "owner": record.owner,
            "prefix": record.prefix,
            "state": record.state_at(self._now()),
            "created_at": record.created_at,
            "created_by": record.created_by,
            "expires_at": record.expires_at,
            "revoked_at": record.revoked_at,
        }


def api_keys_router(endpoints: ApiKeys) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["identity"])
    refused = ("unauthorized", "forbidden", "validation_failed", "unavailable")
    router.add_api_route(
        "/me", endpoints.me, summary="Read who one is", responses=problems("unauthorized", "validation_failed")
    )
    router.add_api_route(
        "/admin/api-keys",
        endpoints.make,
        methods=["POST"],
        summary="Make an API key",
        status_code=201,
        response_model=MadeKey,
        responses=problems(*refused, "payload_too_large", "unsupported_media_type"),
        openapi_extra=_body(KeyBody),
    )
    router.add_api_route(
        "/admin/api-keys",
        endpoints.list_keys,
        summary="List the API keys",
        response_model=KeyPage,
        responses=problems(*refused),
    )
    router.add_api_route(
        "/admin/api-keys/{key_id}",
        endpoints.revoke,
        methods=["DELETE"],
        summary="Revoke an API key",
        status_code=204,
        response_class=Response,
        responses=problems(*refused, "api_key_not_found"),
    )
    router.add_api_route(
        "/admin/api-keys/{key_id}/rotate",
        endpoints.rotate,
        methods=["POST"],
        summary="Rotate an API key",
        status_code=201,
        response_model=MadeKey,
        responses=problems(*refused, "api_key_not_found", "not_allowed", "payload_too_large", "unsupported_media_type"),
        openapi_extra=_body(RotationBody),
    )
    return router


def _person(caller: Caller) -> str:
    return ANONYMOUS if caller.principal is None else caller.principal.person


def _id(named: str) -> UUID:
    try:
        return UUID(named)
    except ValueError:
        raise _not_found(named) from None


def _not_found(named: str) -> Problem:
    return Problem("api_key_not_found", f"there is no API key {named}")


def _body(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema() | {"additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

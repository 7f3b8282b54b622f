"""API keys as an administrator manages them, and `/me`. A key's text is in the one answer that makes it, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from chassis.http.problems import issue
from contracts.identity import Role
from contracts.runs.decisions import ANONYMOUS
from gateway.api.api_keys.models import ApiKey, KeyBody, KeyPage, MadeKey, Me, RotationBody
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.cursors import write_cursor
from gateway.http.models import read_model
from gateway.http.parameters import NoParameters, Paged
from gateway.http.problems import Problem, invalid
from gateway.ports import Now, Place
from identity.keys.record import KeyRecord, NewKey, new_key
from identity.ports import KeyRepository


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
            return Me(
                tenant=caller.tenant,
                subject=ANONYMOUS,
                name=None,
                kind="person",
                roles=list(Role),
                groups=[],
                scopes=[],
            )
        me = Me.model_validate(principal, from_attributes=True)
        return me.model_copy(update={"csrf_token": caller.csrf_token})

    async def make(self, request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        """Make a key. It is shown this once, and kept as a hash. It has no right that its maker lacks."""
        caller, now = caller_of(request), self._now()
        body, raw = await read_json(request, self._max_body_bytes)
        said = read_model(KeyBody, body, raw)
        if said.expires_at is not None and said.expires_at <= now:
            raise invalid([issue("/expires_at", "value_error", "a time to come")])
        roles, scopes = tuple(dict.fromkeys(said.roles)), tuple(dict.fromkeys(said.scopes or ()))
        _check_grant(caller, roles, scopes)
        made = new_key()
        record = KeyRecord(
            id=uuid4(),
            tenant=caller.tenant,
            name=said.name,
            subject=said.subject,
            kind=said.kind,
            roles=roles,
            groups=tuple(dict.fromkeys(said.groups)),
            scopes=scopes,
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
        tenant = caller_of(request).tenant
        found = await self._keys.page(tenant, which.limit + 1, which.place(tenant))
        shown = found[: which.limit]
        end = Place(shown[-1].created_at, shown[-1].id) if len(found) > len(shown) else None
        return KeyPage(items=[ApiKey(**self._told(record)) for record in shown], next_cursor=write_cursor(end, tenant))

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
        _check_grant(caller, former.roles, former.scopes)
        made = new_key()
        record = KeyRecord(
            id=uuid4(),
            tenant=former.tenant,
            name=former.name,
            subject=former.subject,
            kind=former.kind,
            roles=former.roles,
            groups=former.groups,
            scopes=former.scopes,
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
            "scopes": list(record.scopes),
            "owner": record.owner,
            "prefix": record.prefix,
            "state": record.state_at(self._now()),
            "created_at": record.created_at,
            "created_by": record.created_by,
            "expires_at": record.expires_at,
            "revoked_at": record.revoked_at,
        }


def _person(caller: Caller) -> str:
    return ANONYMOUS if caller.principal is None else caller.principal.person


def _check_grant(caller: Caller, roles: tuple[Role, ...], scopes: tuple[str, ...]) -> None:
    """Return if the caller may hand out a key of these roles and scopes. Raises Problem."""
    principal = caller.principal
    if principal is not None and not principal.may_grant(roles, scopes):
        own = ", ".join(principal.scopes or principal.roles)
        raise Problem("forbidden", f"{principal.subject} may not hand out a key of more rights than its own: {own}")


def _id(named: str) -> UUID:
    try:
        return UUID(named)
    except ValueError:
        raise _not_found(named) from None


def _not_found(named: str) -> Problem:
    return Problem("api_key_not_found", f"there is no API key {named}")

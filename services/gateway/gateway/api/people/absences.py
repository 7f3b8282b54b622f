"""Absences: who stands in for whom. A person says its own; an administrator says every person's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from chassis.http.problems import issue
from contracts.identity import Principal, Role
from contracts.runs.decisions import ANONYMOUS
from contracts.runs.tasks.bodies import AbsenceBody
from gateway.api import openapi
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.caller import Caller, caller_of
from gateway.http.cursors import write_cursor
from gateway.http.models import read_model
from gateway.http.parameters import NoParameters, Paged
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, invalid
from gateway.ports import Now, Place
from identity.absences.record import LONGEST, Absence
from identity.errors import AbsenceOverlaps, SubstitutionCircle, TooManyAbsences
from identity.ports import Absences
from identity.resolver import Resolver


class AbsenceView(BaseModel):
    """An absence: from a time on and until before another."""

    absence_id: UUID
    person: str
    substitute: str
    from_: datetime = Field(alias="from")
    until: datetime
    reason: str | None = Field(description="For the person, its substitute and administrators; null for others.")
    created_by: str
    created_at: datetime


class AbsencePage(BaseModel):
    """Absences that have not ended, those that begin first before others, and the cursor of the next page if there is one."""

    items: list[AbsenceView]
    next_cursor: str | None


class AbsenceEndpoints:
    """The endpoints."""

    def __init__(self, absences: Absences, now: Now, max_body_bytes: int, resolver: Resolver | None) -> None:
        self._resolver = resolver
        self._absences = absences
        self._now = now
        self._max_body_bytes = max_body_bytes

    async def add(self, request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        """Say who stands in for a person, from when until when. A person has one substitute at a time, and 50 absences to come."""
        caller, key = caller_of(request), headers.idempotency_key(request)
        body, raw = await read_json(request, self._max_body_bytes)
        said = read_model(AbsenceBody, body, raw)
        _check_may_say(caller, said.person)
        absence_id = headers.new_command_id(caller, "absence", key)
        kept = None if key is None else await self._absences.get(caller.tenant, absence_id)
        if kept is None:
            new = await self._add(absence_id, said, caller)
            # Of two requests under one key at once, one is kept.
            kept = new if key is None else await self._absences.get(caller.tenant, absence_id) or new
        if not _is_said_by(kept, said):
            raise Problem("idempotency_key_reused", "this Idempotency-Key came before with another body")
        return JSONResponse(_told(kept, caller).model_dump(mode="json", by_alias=True), 201)

    async def _add(self, absence_id: UUID, said: AbsenceBody, caller: Caller) -> Absence:
        now = self._now()
        begins_at = said.from_ or now
        _check_times(begins_at, said.until, now)
        new = Absence(
            id=absence_id,
            tenant=caller.tenant,
            person=said.person,
            substitute=said.substitute,
            begins_at=begins_at.astimezone(UTC),
            ends_at=said.until.astimezone(UTC),
            reason=said.reason,
            created_at=now,
            created_by=ANONYMOUS if caller.principal is None else caller.principal.person,
        )
        try:
            await self._absences.add(new)
        except (AbsenceOverlaps, SubstitutionCircle, TooManyAbsences) as error:
            raise Problem(error.code, str(error)) from None
        self._forget(caller)
        return new

    async def list_all(self, request: Request, which: Annotated[Paged, Query()]) -> AbsencePage:
        """Return the absences of the tenant that have not ended. `reason` is shown to those whom it is for."""
        caller = caller_of(request)
        found = await self._absences.page(caller.tenant, self._now(), which.limit + 1, which.place(caller.tenant))
        shown = found[: which.limit]
        end = Place(shown[-1].begins_at, shown[-1].id) if len(found) > len(shown) else None
        return AbsencePage(
            items=[_told(absence, caller) for absence in shown], next_cursor=write_cursor(end, caller.tenant)
        )

    async def delete(self, request: Request, absence_id: str, _: Annotated[NoParameters, Query()]) -> Response:
        """End an absence, or take back one to come. It is in force everywhere within 5 s."""
        caller = caller_of(request)
        found = await self._absences.get(caller.tenant, _id(absence_id))
        if found is None:
            raise _not_found(absence_id)
        _check_may_say(caller, found.person)
        if not await self._absences.delete(caller.tenant, found.id):
            raise _not_found(absence_id)
        self._forget(caller)
        return Response(status_code=204)

    def _forget(self, caller: Caller) -> None:
        if self._resolver is not None:
            self._resolver.forget_absences(caller.tenant)


def absences_router(endpoints: AbsenceEndpoints) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["tasks"])
    common = ("validation_failed", "unavailable")
    router.add_api_route(
        "/hitl/absences",
        endpoints.add,
        methods=["POST"],
        status_code=201,
        summary="Say who stands in for an absent person",
        operation_id="add_absence",
        response_model=AbsenceView,
        responses=problems(
            *common,
            "absence_overlaps",
            "too_many_absences",
            "substitution_circle",
            "payload_too_large",
            "unsupported_media_type",
            "idempotency_key_reused",
        ),
        openapi_extra={**openapi.body(AbsenceBody), "parameters": [openapi.KEY]},
    )
    router.add_api_route(
        "/hitl/absences",
        endpoints.list_all,
        summary="List who is absent, or will be",
        operation_id="list_absences",
        response_model=AbsencePage,
        responses=problems(*common),
    )
    router.add_api_route(
        "/hitl/absences/{absence_id}",
        endpoints.delete,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        summary="End an absence",
        operation_id="delete_absence",
        responses=problems(*common, "absence_not_found"),
    )
    return router


def _check_may_say(caller: Caller, person: str) -> None:
    principal: Principal | None = caller.principal
    if principal is not None and person != principal.person and not principal.has(Role.ADMIN):
        raise Problem("forbidden", f"{principal.subject} says its own absences; an administrator says {person}'s")


def _check_times(begins_at: datetime, ends_at: datetime, now: datetime) -> None:
    if ends_at <= now:
        raise invalid([issue("/until", "value_error", "this time has passed")])
    if ends_at <= begins_at:
        raise invalid([issue("/until", "value_error", "a time after `from`")])
    if ends_at - begins_at > LONGEST:
        raise invalid([issue("/until", "value_error", f"an absence of {LONGEST.days} days at most")])


def _is_said_by(kept: Absence, said: AbsenceBody) -> bool:
    """Return whether a body says an absence. One that names no begin begins when it is said."""
    named = (said.person, said.substitute, said.from_ or kept.created_at, said.until, said.reason)
    return named == (kept.person, kept.substitute, kept.begins_at, kept.ends_at, kept.reason)


def _told(absence: Absence, caller: Caller) -> AbsenceView:
    return AbsenceView(
        absence_id=absence.id,
        person=absence.person,
        substitute=absence.substitute,
        until=absence.ends_at,
        reason=absence.reason if _may_see_reason(caller.principal, absence) else None,
        created_by=absence.created_by,
        created_at=absence.created_at,
        **{"from": absence.begins_at},
    )


def _may_see_reason(principal: Principal | None, absence: Absence) -> bool:
    if principal is None or principal.has(Role.ADMIN):
        return True
    return principal.person in (absence.person, absence.substitute)


def _id(named: str) -> UUID:
    try:
        return UUID(named)
    except ValueError:
        raise _not_found(named) from None


def _not_found(named: str) -> Problem:
    return Problem("absence_not_found", f"there is no absence {named}")

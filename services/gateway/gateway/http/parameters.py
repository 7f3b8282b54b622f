"""Query parameters as models: a name that a route does not know is refused, not ignored."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError, to_json
from starlette.requests import Request

from chassis.http.problems import issue
from chassis.http.queries import REPEATED, repeated
from contracts.identity import Principal
from contracts.json_pointer import pointer
from contracts.message import Identifier
from contracts.runs.config import Step
from contracts.runs.views import State
from gateway.http.cursors import MalformedCursor, read_bound_cursor, read_cursor, write_bound_cursor
from gateway.http.problems import invalid, invalid_parameters
from gateway.ports import Place, WaitingPlace
from gateway.projection.search_words import words_of
from gateway.projection.waiting_list import OLDEST_FIRST, Sort, WaitingFilters, WaitingOrder

MAX_VERSION = 2**63 - 1

_MALFORMED = "cursor_malformed"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def _cursor(value: str) -> str:
    try:
        read_cursor(value)
    except MalformedCursor as error:
        raise PydanticCustomError(_MALFORMED, "{said}", {"said": str(error)}) from None
    return value


def _rfc3339(value: Any) -> Any:
    # Pydantic reads seconds since 1970 and times without a zone as well.
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise PydanticCustomError("time_malformed", "a time with its zone, such as 2026-03-02T12:00:00Z")
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_malformed", "a time in the years 1 to 9999") from None


def _with_words(value: str) -> str:
    if not words_of(value):
        raise PydanticCustomError("words_missing", "there is no word in it")
    return value


class Parameters(BaseModel):
    """Query parameters of one route."""

    model_config = ConfigDict(extra="forbid")


class NoParameters(Parameters):
    """This route has none."""


class AtVersion(Parameters):
    """How new a view must be."""

    min_version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = Field(
        None, description="Wait until the read model has reached this version."
    )


class Paged(Parameters):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, AfterValidator(_cursor)] | None = Field(
        None, description="`next_cursor` of the page before."
    )

    def place(self, tenant: str) -> Place | None:
        """Return where the page before ended. Raises Problem: a cursor is of no use to another tenant."""
        if self.cursor is None:
            return None
        found = read_cursor(self.cursor)
        if found.tenant != tenant:
            raise invalid([issue("/cursor", _MALFORMED, str(MalformedCursor.__doc__), **{"in": "query"})])
        return found.place


class RunFilters(Paged):
    """Which runs."""

    state: State | None = None
    session_id: Identifier | None = None
    user_id: Identifier | None = None
    open: bool = Field(default=False, description="Only runs that are not over.")


class WaitingPaged(Parameters):
    """Which page of the waiting list. Its cursor belongs to one list: to its tenant, its filters and its order."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=1000)] | None = Field(None, description="`next_cursor` of the page before.")

    def list_order(self) -> WaitingOrder:
        """Return the order of the list."""
        return OLDEST_FIRST

    def place(self, tenant: str) -> WaitingPlace | None:
        """Return where the page before ended. Raises Problem."""
        if self.cursor is None:
            return None
        try:
            return read_bound_cursor(self.cursor, self._scope(tenant), self.list_order().sort)
        except MalformedCursor as error:
            raise invalid([issue("/cursor", _MALFORMED, str(error), **{"in": "query"})]) from None

    def cursor_of(self, tenant: str, end: WaitingPlace | None) -> str | None:
        """Return the cursor of the page behind `end`, or None where nothing follows."""
        return write_bound_cursor(end, self._scope(tenant))

    def _scope(self, tenant: str) -> str:
        asked = self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_defaults=True)
        return to_json([tenant, asked]).decode()


class ApprovalFilters(WaitingPaged):
    """Which waiting checkpoints, and in which order."""

    step: Step | None = None
    assignee: Identifier | None = Field(None, description="Who should do it.")
    claimant: Identifier | None = Field(None, description="Who does it.")
    group: Identifier | None = Field(None, description="A group that is named among the candidates.")
    session_id: Identifier | None = None
    mine: bool = Field(
        default=False,
        description="Only what you have claimed, what is assigned to you, and what names you among the candidates; the same of"
        " each person whom you stand in for.",
    )
    priority_min: Annotated[int, Field(ge=0, le=100)] | None = None
    due_before: Annotated[datetime, BeforeValidator(_rfc3339), AfterValidator(_utc)] | None = None
    q: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_with_words)] | None = Field(
        None, description="Words that the subject has; the beginnings of words are enough."
    )
    follow_up: Literal["due", "all"] = Field(
        "due", description="`all`: also what is to be followed up on a later date, which the list leaves out otherwise."
    )
    sort: Sort = "opened"
    order: Literal["asc", "desc"] | None = Field(None, description="Defaults to `desc` for `priority`, else to `asc`.")

    def list_order(self) -> WaitingOrder:
        """Return the order of the list."""
        natural = "desc" if self.sort == "priority" else "asc"
        return WaitingOrder(self.sort, self.order not in (None, natural))

    def filters(self, principal: Principal | None, now: datetime) -> WaitingFilters:
        """Return the filters as `principal` asks for them. Raises Problem for `mine` while it is not known who asks."""
        if self.mine and principal is None:
            unknown = "without authentication it is not known who you are: name a claimant or an assignee"
            raise invalid([issue("/mine", "caller_unknown", unknown, **{"in": "query"})])
        return WaitingFilters(
            step=self.step,
            session_id=self.session_id,
            assignee=self.assignee,
            claimant=self.claimant,
            group=self.group,
            persons=(principal.person, *principal.on_behalf_of) if self.mine and principal else None,
            priority_min=self.priority_min,
            due_before=self.due_before,
            words=() if self.q is None else words_of(self.q),
            follow_up_by=now if self.follow_up == "due" else None,
        )


class HistoryRange(Parameters):
    """Which part of a long history."""

    after: Annotated[int, Field(ge=0, le=MAX_VERSION)] = Field(0, description="The last version that was read.")
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


_Parameters = TypeVar("_Parameters", bound=Parameters)


def refuse_repeated(request: Request) -> None:
    """Raise Problem if a query parameter is given twice: readers differ on which one counts."""
    if request.scope["query_string"] and (names := repeated(request.query_params.multi_items())):
        raise invalid([issue(pointer([name]), "repeated", REPEATED, **{"in": "query"}) for name in names])


def read_parameters(model: type[_Parameters], request: Request) -> _Parameters:
    """Return the request's query as a model, where FastAPI does not do it. Raises Problem."""
    refuse_repeated(request)
    query = dict(request.query_params) if request.scope["query_string"] else {}
    try:
        return model.model_validate(query)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise invalid_parameters([{**each, "loc": ("query", *each["loc"])} for each in errors], model) from None

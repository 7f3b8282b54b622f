"""Query parameters as models: a name that a route does not know is refused, not ignored."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from chassis.http.problems import issue
from chassis.http.queries import REPEATED, repeated
from contracts.json_pointer import pointer
from contracts.message import Identifier
from contracts.runs.config import Step
from contracts.runs.views import State
from gateway.http.cursors import MalformedCursor, read_cursor
from gateway.http.problems import invalid, invalid_parameters
from gateway.ports import Place

MAX_VERSION = 2**63 - 1


def _cursor(value: str) -> str:
    try:
        read_cursor(value)
    except MalformedCursor as error:
        raise PydanticCustomError("cursor_malformed", "{said}", {"said": str(error)}) from None
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
            raise invalid([issue("/cursor", "cursor_malformed", str(MalformedCursor.__doc__), **{"in": "query"})])
        return found.place


class RunFilters(Paged):
    """Which runs."""

    state: State | None = None
    session_id: Identifier | None = None
    user_id: Identifier | None = None
    open: bool = Field(default=False, description="Only runs that are not over.")


class ApprovalFilters(Paged):
    """Which waiting checkpoints."""

    step: Step | None = None
    assignee: Identifier | None = None
    group: Identifier | None = None
    session_id: Identifier | None = None


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
        raise invalid_parameters([{**each, "loc": ("query", *each["loc"])} for each in errors]) from None

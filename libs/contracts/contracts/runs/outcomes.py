"""The outcome of a command: accepted with the run's view, or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from contracts.json_values import ComposedObject
from contracts.message import Message
from contracts.runs.views import RenderedView, RunView, render

_FACTS = "view"
"""The header of an accepted outcome that holds the facts of its view."""

_BEGIN, _MEMBER = b'{"kind":"accepted.v1",', b',"view":'


class Accepted(Message):
    """The command took effect, now or when it was first delivered."""

    kind: Literal["accepted.v1"] = "accepted.v1"
    command_id: UUID
    run_id: UUID
    view: RunView
    """Stands last, so that `read_answer` finds its bytes."""

    def to_record(self) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Return its bytes, and the header by which an asker hands the view on unread: version, state, time, whether it is final, size."""
        body, view = to_json(self), self.view
        end, size = "final" if view.is_final else "open", len(body) - body.index(_MEMBER) - len(_MEMBER) - 1
        facts = f"{view.version} {view.state.value} {view.updated_at.isoformat()} {end} {size}"
        return body, [(_FACTS, facts.encode())]


class Refused(Message):
    """The command took no effect and never will. `code` is one of the error codes of the API."""

    kind: Literal["refused.v1"] = "refused.v1"
    command_id: UUID
    run_id: UUID
    code: str
    message: str
    details: ComposedObject = Field(default_factory=dict)


Outcome = Accepted | Refused

Answer = RenderedView | Refused
"""An outcome as the asker hands it on."""

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="kind")])


def parse_outcome(body: bytes) -> Outcome:
    """Read one record of `run.outcomes`. Raises pydantic.ValidationError."""
    return _OUTCOME.validate_json(body)


def answer_of(outcome: Outcome) -> Answer:
    """Return an outcome as the asker hands it on."""
    return render(outcome.view) if isinstance(outcome, Accepted) else outcome


def read_answer(body: bytes, headers: Mapping[str, bytes]) -> Answer:
    """Read one record of `run.outcomes` with its headers: an accepted one's view are the bytes that came. Raises pydantic.ValidationError."""
    facts = headers.get(_FACTS)
    if facts is not None and body.startswith(_BEGIN):
        begin = body.find(_MEMBER) + len(_MEMBER)
        with suppress(ValueError):
            version, state, updated_at, end, size = facts.decode().split(" ")
            if begin + int(size) + 1 == len(body):
                at = datetime.fromisoformat(updated_at)
                return RenderedView(int(version), state, body[begin:-1], at, end == "final")
    return answer_of(parse_outcome(body))  # an orchestrator of an earlier version tells no facts

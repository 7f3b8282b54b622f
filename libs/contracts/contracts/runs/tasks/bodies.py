"""From what a person says of a task to the command: one builder for every channel. Knows no HTTP and no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import to_json

from contracts.json_values import JsonObject
from contracts.message import READABLE, Identifier, Message, Sha256, Text
from contracts.runs.commands import (
    AssignTask,
    ClaimTask,
    DelegateTask,
    EscalateTask,
    OnTask,
    ReleaseTask,
    RescheduleTask,
    ReturnTask,
)
from contracts.runs.commands.tasks import CommentText
from contracts.runs.decisions import CommandHead
from contracts.runs.tasks.rules import MOST_NAMES, MOST_RULES_BYTES, Candidates, Date, Priority

TaskAction = Literal["claim", "release", "assign", "delegate", "return", "escalate", "reschedule"]


class _TaskBody(Message):
    """The members of every request about a task."""

    checkpoint_id: UUID | None = None
    actor: Identifier | None = None
    override: bool = Field(default=False, description="An administrator's right, with a reason.")
    reason: Text | None = None


class ClaimBody(_TaskBody):
    """Do it: until the lease ends, which a further claim renews."""


class ReleaseBody(_TaskBody):
    """Give the claim up."""


class OnePerson(Message):
    """A person."""

    user: Identifier


class OnePersonOrGroup(Message):
    """A person or a group, and not both."""

    user: Identifier | None = None
    group: Identifier | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.user is None) is (self.group is None):
            raise ValueError("a user or a group, and not both")
        return self


class Several(Message):
    """Persons and groups."""

    users: tuple[Identifier, ...] = Field((), max_length=MOST_NAMES)
    groups: tuple[Identifier, ...] = Field((), max_length=MOST_NAMES)
    user: Identifier | None = None
    group: Identifier | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if max(len(self.users) + (self.user is not None), len(self.groups) + (self.group is not None)) > MOST_NAMES:
            raise ValueError(f"at most {MOST_NAMES} persons and as many groups")
        if (size := len(to_json(self))) > MOST_RULES_BYTES:
            raise ValueError(f"these names are {size} bytes of JSON, and at most {MOST_RULES_BYTES} are taken")
        return self

    def candidates(self) -> Candidates:
        """Return them as candidates."""
        users = (*self.users, *(() if self.user is None else (self.user,)))
        return Candidates(users=users, groups=(*self.groups, *(() if self.group is None else (self.group,))))


class AssignBody(_TaskBody):
    """Hand the task to a person or a group."""

    to: OnePersonOrGroup


class DelegateBody(_TaskBody):
    """Ask another person for help, who gives the task back; with `"return": false` it is handed over."""

    to: OnePerson
    is_given_back: bool = Field(default=True, alias="return")


class ReturnBody(_TaskBody):
    """Give a delegated task back to its owner."""

    comment: CommentText | None = None


class EscalateBody(_TaskBody):
    """Ask others in place of those before: those that the rules name, or those that an administrator names."""

    to: Several | None = None


class RescheduleBody(_TaskBody):
    """Change priority and dates. A date that is null is taken away; what is not named stays."""

    priority: Priority | None = None
    due_at: Date | None = None
    follow_up_at: Date | None = None


TaskBody = ClaimBody | ReleaseBody | AssignBody | DelegateBody | ReturnBody | EscalateBody | RescheduleBody

TASK_BODIES: Mapping[TaskAction, type[TaskBody]] = {
    "claim": ClaimBody,
    "release": ReleaseBody,
    "assign": AssignBody,
    "delegate": DelegateBody,
    "return": ReturnBody,
    "escalate": EscalateBody,
    "reschedule": RescheduleBody,
}
"""Everything that a person can ask of a task, with the body that says it."""


_Comment = Annotated[CommentText, StringConstraints(pattern=READABLE)]
"""Where a comment comes in it has something to read. Stored ones may have blanks alone."""


class CommentBody(Message):
    """A comment, and the one that it answers."""

    text: _Comment
    reply_to: UUID | None = None
    actor: Identifier | None = None


class CommentEdit(Message):
    """A comment as it should be."""

    text: _Comment
    actor: Identifier | None = None


class DraftBody(Message):
    """A decision that is not made yet."""

    checkpoint_id: UUID | None = None
    action: Literal["approve", "edit", "reject", "retry"] | None = None
    edits: JsonObject | None = None
    comment: Text | None = None
    reason: Text | None = None
    reason_code: Identifier | None = None
    actor: Identifier | None = None


class BulkItem(Message):
    """One checkpoint of several, bound to the bytes that were seen."""

    run_id: UUID
    checkpoint_id: UUID
    subject_sha256: Sha256


class BulkBody(Message):
    """The same decision on several checkpoints, one by one and in order."""

    action: Literal["approve", "reject"]
    items: tuple[BulkItem, ...] = Field(min_length=1, max_length=200)
    comment: Text | None = None
    reason: Text | None = None
    reason_code: Identifier | None = None
    actor: Identifier | None = None


class AbsenceBody(Message):
    """A person is absent from a time on (now, if none is named) and until before another; a substitute stands in."""

    person: Identifier
    substitute: Identifier
    from_: Date | None = Field(None, alias="from")
    until: Date
    reason: Text | None = None


PEOPLES_BODIES: tuple[type[Message], ...] = (
    *TASK_BODIES.values(),
    CommentBody,
    CommentEdit,
    DraftBody,
    BulkBody,
    AbsenceBody,
)
"""Every body about tasks."""


def task_command_of(body: TaskBody, head: CommandHead) -> OnTask:
    """Return the command that a body asks for."""
    about: dict[str, Any] = {
        **head._asdict(),
        "checkpoint_id": body.checkpoint_id,
        "override": body.override,
        "reason": body.reason,
    }
    match body:
        case ClaimBody():
            return ClaimTask(**about)
        case ReleaseBody():
            return ReleaseTask(**about)
        case AssignBody(to=to):
            return AssignTask(**about, user=to.user, group=to.group)
        case DelegateBody(to=to):
            return DelegateTask(**about, user=to.user) if body.is_given_back else AssignTask(**about, user=to.user)
        case ReturnBody(comment=comment):
            return ReturnTask(**about, comment=comment)
        case EscalateBody(to=several):
            return EscalateTask(**about, to=several and several.candidates())
        case RescheduleBody():
            return RescheduleTask(**about, **_schedule(body))


def _schedule(body: RescheduleBody) -> dict[str, Any]:
    named: dict[str, Any] = {
        name: getattr(body, name) for name in ("due_at", "follow_up_at") if name in body.model_fields_set
    }
    cleared = tuple(name for name, value in named.items() if value is None)
    return {"priority": body.priority, "cleared": cleared, **named}

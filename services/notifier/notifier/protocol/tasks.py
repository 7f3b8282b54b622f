"""Tasks and comments over the socket: the requests of the HTTP API as messages, by the same bodies and to the same commands."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from contracts.json_values import digest
from contracts.message import Message
from contracts.runs.commands import AddComment, Asked, DeleteComment, EditComment
from contracts.runs.tasks.bodies import TASK_BODIES, CommentBody, CommentEdit, TaskBody, task_command_of
from notifier.protocol.messages import CommentDeletion, CommentMessage, Fault, MessageInvalid, TaskMessage
from notifier.protocol.outcomes import Speaker, invalid_message

_Body = TypeVar("_Body", bound=Message)

_COMMENT_BODIES: dict[str, type[CommentBody | CommentEdit | CommentDeletion]] = {
    "add": CommentBody,
    "edit": CommentEdit,
    "delete": CommentDeletion,
}


class Said:
    """A message about a task or a comment: its envelope, and the body that it holds beside."""

    def __init__(self, envelope: TaskMessage | CommentMessage, body: Message, members: dict[str, Any]) -> None:
        self.envelope = envelope
        self._body = body
        self._members = members

    @property
    def actor(self) -> str | None:
        """Whom the message names as its actor."""
        return getattr(self._body, "actor", None)

    def command(self, speaker: Speaker) -> Asked:
        """Return the command that the message stands for."""
        envelope, body = self.envelope, self._body
        about = envelope.run_id, envelope.type, envelope.request_id
        head = speaker.head(envelope.run_id, about, digest(self._members))
        match body:
            case CommentBody():
                return AddComment(**head._asdict(), text=body.text, answers=body.reply_to)
            case CommentEdit():
                return EditComment(**head._asdict(), comment_id=_named(envelope), text=body.text)
            case CommentDeletion():
                return DeleteComment(**head._asdict(), comment_id=_named(envelope))
            case _:
                assert isinstance(body, TaskBody), "each action has its body"
                return task_command_of(body, head)

    def own(self, command: Asked) -> dict[str, Any]:
        """Return the members of the answer that are not the outcome's."""
        envelope = self.envelope
        about = {"request_id": envelope.request_id, "run_id": envelope.run_id}
        if isinstance(envelope, TaskMessage):
            return {"type": "HITL_TASK_RESULT", **about}
        comment_id = envelope.comment_id or command.command_id
        return {"type": "HITL_COMMENT_RESULT", **about, "comment_id": comment_id}


def read_task(members: dict[str, Any]) -> Said:
    """Read `HITL_TASK`, strictly. Raises MessageInvalid with every fault."""
    envelope = _read(TaskMessage, {name: members[name] for name in TaskMessage.model_fields if name in members})
    return Said(envelope, _read(TASK_BODIES[envelope.action], _beside(members, TaskMessage)), members)


def read_comment(members: dict[str, Any]) -> Said:
    """Read `HITL_COMMENT`, strictly. Raises MessageInvalid with every fault."""
    envelope = _read(CommentMessage, {name: members[name] for name in CommentMessage.model_fields if name in members})
    if (envelope.comment_id is None) is not (envelope.action == "add"):
        said = "names a comment that is there" if envelope.comment_id is None else "is not for add"
        raise MessageInvalid(Fault(path="/comment_id", code="not_for_action", message=said))
    return Said(envelope, _read(_COMMENT_BODIES[envelope.action], _beside(members, CommentMessage)), members)


def _beside(members: dict[str, Any], envelope: type[Message]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in envelope.model_fields}


def _read(model: type[_Body], members: dict[str, Any]) -> _Body:
    try:
        return model.model_validate_json(to_json(members), strict=True, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error, model) from None


def _named(envelope: TaskMessage | CommentMessage) -> UUID:
    assert isinstance(envelope, CommentMessage), "a comment's body comes in a comment's envelope"
    assert envelope.comment_id is not None, "checked when it was read"
    return envelope.comment_id

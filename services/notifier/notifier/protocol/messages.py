"""The messages of the WebSocket, which outsiders rely on to the name of the member. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args
from uuid import UUID

from pydantic import ConfigDict, Field

from contracts.identity import Right
from contracts.json_values import JsonObject
from contracts.message import Identifier, Message, Timestamp
from contracts.providers.call_stream import PushedPartialOutput
from contracts.runs.requests import ApprovalResponse
from contracts.runs.tasks.bodies import TaskAction
from contracts.runs.views import Checkpoint, State
from notifier.errors import NotifierError

Cursor = str


class ApprovalRequest(Message):
    """A run waits for a person. It follows the status update of the same version."""

    type: Literal["HITL_APPROVAL_REQUEST"] = "HITL_APPROVAL_REQUEST"
    cursor: Cursor
    run_id: UUID
    version: int
    session_id: str | None
    user_id: str | None
    checkpoint: Checkpoint


class PushedEvent(Message):
    """An event of a run, with the facts as they are recorded."""

    kind: str
    at: Timestamp
    actor: str
    data: JsonObject
    # With `truncated`, the data is too large for a message and stands at `url` of the gateway. Neither is there otherwise.


class StatusUpdate(Message):
    """An event of a run, and the run's state after it.

    `state` is null only when the run began before this instance did and the gateway did not tell its history.
    """

    type: Literal["HITL_STATUS_UPDATE"] = "HITL_STATUS_UPDATE"
    cursor: Cursor
    run_id: UUID
    version: int
    state: State | None
    event: PushedEvent


class SnapshotMessage(Message):
    """The open runs: those that wait for a decision in `approvals`, all others in `runs`. Later messages have greater versions.

    A large snapshot comes in several messages, each with other runs. All but the last have `more`, and a cursor that gets a snapshot anew.
    """

    type: Literal["SNAPSHOT"] = "SNAPSHOT"
    cursor: Cursor
    approvals: tuple[JsonObject, ...]
    runs: tuple[JsonObject, ...]
    truncated: bool = Field(default=False, description="There are more runs: the newest are shown.")
    more: bool = Field(default=False, description="The next message goes on with other runs of the same snapshot.")


class ApprovalResult(Message):
    """The outcome of a decision. A refusal's details are members beside its code, such as `decision`.

    The code `pending` says that the outcome is late: send the same `request_id` again to get it.
    """

    model_config = ConfigDict(extra="allow")

    type: Literal["HITL_APPROVAL_RESULT"] = "HITL_APPROVAL_RESULT"
    request_id: str
    run_id: UUID
    ok: bool
    code: str | None = None
    message: str | None = None
    version: int | None = None
    state: State | None = None


class TaskResult(ApprovalResult):
    """The outcome of a request about a task."""

    type: Literal["HITL_TASK_RESULT"] = "HITL_TASK_RESULT"  # type: ignore[assignment] # another message of the same form


class CommentResult(ApprovalResult):
    """The outcome of a request about a comment, and the comment's id."""

    type: Literal["HITL_COMMENT_RESULT"] = "HITL_COMMENT_RESULT"  # type: ignore[assignment] # as above
    comment_id: UUID


class Fault(Message):
    """One fault of a message; `path` is a JSON Pointer (RFC 6901) into it."""

    path: str
    code: str
    message: str


class MessageInvalid(NotifierError):
    """A client's message, or its handshake, is not valid; `faults` says where."""

    code = "validation_failed"

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.path or '/'}: {fault.message}" for fault in faults))
        self.faults = faults


class ErrorMessage(Message):
    """A message was not valid; it had no effect, and the connection stays."""

    type: Literal["ERROR"] = "ERROR"
    code: str
    message: str
    issues: tuple[Fault, ...] = ()
    request_id: str | None = None


class Pong(Message):
    """The answer to `PING`."""

    type: Literal["PONG"] = "PONG"


class AuthOk(Message):
    """The answer to `AUTH`."""

    type: Literal["AUTH_OK"] = "AUTH_OK"


class Ping(Message):
    """A request for a `PONG`."""

    type: Literal["PING"]
    request_id: Identifier | None = None


class Auth(Message):
    """The client's credential."""

    type: Literal["AUTH"]
    token: str


class TaskMessage(Message):
    """A request about a task. The members of the action's body, as the HTTP API has them, stand beside these."""

    type: Literal["HITL_TASK"]
    request_id: Identifier
    run_id: UUID
    action: TaskAction


class CommentMessage(Message):
    """A comment, a change of one, or its deletion. The members of the body, as the HTTP API has them, stand beside these."""

    type: Literal["HITL_COMMENT"]
    request_id: Identifier
    run_id: UUID
    action: Literal["add", "edit", "delete"] = "add"
    comment_id: UUID | None = None


class CommentDeletion(Message):
    """What a deletion says beside the comment."""

    actor: Identifier | None = None


FROM_SERVER = (
    ApprovalRequest,
    StatusUpdate,
    PushedPartialOutput,
    SnapshotMessage,
    ApprovalResult,
    TaskResult,
    CommentResult,
    ErrorMessage,
    Pong,
    AuthOk,
)
"""Every message that the server sends."""

FROM_CLIENT: Mapping[type[Message], Right] = {
    ApprovalResponse: Right.DECIDE,
    TaskMessage: Right.DECIDE,
    CommentMessage: Right.COMMENT,
    Auth: Right.READ,
    Ping: Right.READ,
}
"""Every message that a client may send, with the right that it needs. A socket is opened with the right to read."""

TYPES_FROM_CLIENT = frozenset(get_args(message.model_fields["type"].annotation)[0] for message in FROM_CLIENT)
"""The types of these messages."""

"""The bodies that outsiders send about runs. The edges validate them strictly and forbid unknown members."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from contracts.addresses.links import Link, OpenLink
from contracts.json_values import JsonObject
from contracts.message import Identifier, Message, Sha256, StoredIdentifier, Text
from contracts.providers.call import CallIntent
from contracts.runs.config import HitlConfig

Prompt = Annotated[str, StringConstraints(min_length=1)]
ArtifactRef = Annotated[str, StringConstraints(pattern=r"^artifact:sha256:[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(max_length=200)]


class RunRequest(Message):
    """Start a run: an AI call and how it is reviewed."""

    prompt: Prompt
    provider: StoredIdentifier = Field("sandbox", description="A provider's name, or a tool name that stands for one.")
    model: StoredIdentifier | None = None
    operation: StoredIdentifier | None = None
    parameters: JsonObject = Field(default_factory=dict)
    attachments: tuple[ArtifactRef | Link, ...] = Field((), max_length=32, fail_fast=True)
    user_id: StoredIdentifier | None = None
    session_id: StoredIdentifier | None = None
    callback_url: Link | None = None
    labels: dict[StoredIdentifier, Label] = Field(default_factory=dict, max_length=32)
    hitl_config: HitlConfig = HitlConfig()
    tool: JsonObject | None = Field(None, description="The agent tool that asked, as it described itself.")

    def intent(self) -> CallIntent:
        """Return the call alone, without its caller and its review."""
        return CallIntent.of(
            provider=self.provider,
            model=self.model,
            operation=self.operation,
            prompt=self.prompt,
            parameters=self.parameters,
            attachments=self.attachments,
        )


class StartBody(RunRequest):
    """Start a run: an AI call and how it is reviewed."""

    provider: Identifier = Field("sandbox", description="A provider's name, or a tool name that stands for one.")
    model: Identifier | None = None
    operation: Identifier | None = None
    attachments: tuple[ArtifactRef | OpenLink, ...] = Field((), max_length=32, fail_fast=True)
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    callback_url: OpenLink | None = None
    labels: dict[Identifier, Label] = Field(default_factory=dict, max_length=32)

    def to_request(self) -> RunRequest:
        """Return the same request as it is stored, whose rules stay as they are."""
        return RunRequest.of(**self.__dict__)


class ToolData(Message):
    """An agent tool's description of itself."""

    name: str | None = None
    description: str | None = None
    example_input: JsonObject = Field(default_factory=dict)
    latest_version: str | None = None


class ToolConfig(Message):
    """The configuration of one agent tool."""

    data: ToolData = ToolData()


class RunInput(Message):
    """Start a run as agent frameworks describe it: the provider is the tool's name, the model the tool's data."""

    prompt: Prompt
    user_email: Identifier | None = None
    user_id: Identifier | None = None
    agent_email: Identifier | None = None
    session_id: Identifier | None = None
    message_type: Identifier | None = None
    agent_tool_config: dict[Identifier, ToolConfig] = Field(default_factory=dict, max_length=1)
    hitl_config: HitlConfig = HitlConfig()

    def to_request(self, user_id: str | None = None, session_id: str | None = None) -> RunRequest:
        """Return the same request in the first shape; the outer `user_id` and `session_id` win where given."""
        agent: dict[str, str | None] = {
            "user_email": self.user_email,
            "agent_email": self.agent_email,
            "message_type": self.message_type,
        }
        tool: dict[str, Any] = {}
        if self.agent_tool_config:
            name, config = next(iter(self.agent_tool_config.items()))
            data = config.data
            tool = {
                "provider": name,
                "model": data.name,
                "parameters": data.example_input,
                "tool": data.model_dump(exclude_none=True),
            }
        start = StartBody(
            prompt=self.prompt,
            user_id=user_id or self.user_id or self.user_email,
            session_id=session_id or self.session_id,
            labels={name: value for name, value in agent.items() if value},
            hitl_config=self.hitl_config,
            **tool,
        )
        return start.to_request()


class WrappedRunInput(Message):
    """The second shape of a start, as it travels between agents."""

    run_input: RunInput
    user_id: Identifier | None = None
    session_id: Identifier | None = None

    def to_request(self) -> RunRequest:
        """Return the same request in the first shape."""
        return self.run_input.to_request(self.user_id, self.session_id)


class _Decision(Message):
    """The members of every decision on a checkpoint. `subject_sha256` binds it to the bytes that were seen."""

    checkpoint_id: UUID | None = None
    subject_sha256: Sha256 | None = None
    comment: Text | None = None
    actor: Identifier | None = None
    message: Text | None = None


class ApproveBody(_Decision):
    """Approve the subject of the open checkpoint."""


class EditBody(_Decision):
    """Change the subject by a merge patch (RFC 7396) and approve the result."""

    edits: JsonObject


class RejectBody(_Decision):
    """Reject the subject of the open checkpoint. `reason_code` is a name for the reason that programs count by."""

    reason: Text | None = None
    reason_code: Identifier | None = None


class ControlBody(Message):
    """Pause, resume, cancel or retry a run."""

    reason: Text | None = None
    actor: Identifier | None = None


class RetryBody(ControlBody):
    """Retry a run; at an error review it is a decision on what was seen."""

    checkpoint_id: UUID | None = None
    subject_sha256: Sha256 | None = None


class ApprovalResponse(EditBody):
    """`HITL_APPROVAL_RESPONSE`: a decision over the WebSocket."""

    type: Literal["HITL_APPROVAL_RESPONSE"]
    request_id: Identifier
    run_id: UUID
    action: Literal["approve", "edit", "reject"]
    edits: JsonObject = Field(default_factory=dict)
    reason: Text | None = None
    reason_code: Identifier | None = None

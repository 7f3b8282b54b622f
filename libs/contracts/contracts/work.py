"""Orders to the provider workers, and the facts they answer with."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from operator import not_
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from contracts.base import Json, JsonObject, Message, Sha256, Timestamp
from contracts.policy import Budget, Signals
from contracts.routing import Candidate, Routing


class Severity(StrEnum):
    """Whether an issue stops the call."""

    ERROR = "error"
    WARNING = "warning"


class Issue(Message):
    """One thing that is wrong with a payload or an edit, and how to mend it.

    `path` is a JSON Pointer (RFC 6901) into the subject; `suggested_fix` a merge patch (RFC 7396) on the whole subject.
    """

    code: str
    message: str
    path: str = ""
    severity: Severity = Severity.ERROR
    suggested_fix: JsonObject | None = None
    auto_fixable: bool = False

    @property
    def automatic_fix(self) -> JsonObject | None:
        """The fix that policy may apply without a person, if there is one."""
        return self.suggested_fix if self.auto_fixable else None


class Cost(Message):
    """Money as decimal strings. None means not known."""

    estimated: Decimal | None = None
    actual: Decimal | None = None
    currency: str = "USD"


class ModelInfo(Message):
    """One model that a provider offers."""

    name: str
    operations: tuple[str, ...] = ()
    description: str | None = None


class Capabilities(Message):
    """What a provider offers: announced on `provider.catalog`, shown at information review and on `GET /providers`."""

    provider: str
    description: str = ""
    tool_names: tuple[str, ...] = Field((), description="Names of agent tools that stand for this provider.")
    operations: tuple[str, ...]
    default_operation: str
    models: tuple[ModelInfo, ...] = ()
    default_model: str | None = None
    any_model: bool = Field(default=False, description="Whether models beyond those listed are accepted.")
    safe_to_repeat: bool = Field(
        default=False, description="Whether a call that may have happened can be made again without cost or effect."
    )
    configured: bool = Field(default=True, description="Whether the worker holds what it needs to call, such as a key.")
    rate_limit: JsonObject | None = None
    circuit: Literal["closed", "open", "half_open"] = Field(
        "closed",
        description="Open: it was down for the last calls and is not asked for a while; half open: one call finds out."
        " Each worker has its own: this is as the one that spoke last sees it.",
    )


class CallIntent(Message):
    """What an application wants called: the subject of the information review."""

    provider: str
    model: str | None = None
    operation: str | None = None
    prompt: str
    parameters: JsonObject = Field(default_factory=dict)
    attachments: tuple[str, ...] = ()


class Preparation(Message):
    """The facts that a `prepare` order is answered with.

    `capabilities` and `intent_schema` are present when the order asked for them. Unfixed: `issues` carry the fixes, policy applies them.
    """

    provider: str
    model: str | None
    operation: str
    payload: JsonObject
    payload_schema: JsonObject
    issues: tuple[Issue, ...] = ()
    estimate: Decimal | None = None
    currency: str = "USD"
    signals: Signals = Signals()
    safe_to_repeat: bool = False
    capabilities: Capabilities | None = None
    intent_schema: JsonObject | None = None
    routing: Routing | None = Field(None, exclude_if=not_)


class Execution(Message):
    """The facts that an `execute` order is answered with: what came back, cleaned and scored."""

    raw: Json = None
    response: JsonObject
    response_schema: JsonObject = Field(default_factory=dict)
    signals: Signals = Signals()
    usage: JsonObject = Field(default_factory=dict)
    cost: Decimal | None = None
    latency_ms: Annotated[int, Field(ge=0)] = 0
    provider_request_id: str | None = None


class Failure(Message):
    """Why an attempt did not succeed. `uncertain` means the call may have happened. `retry_after` is in seconds."""

    code: str
    message: str
    status: int | None = None
    retryable: bool = False
    retry_after: Annotated[float, Field(ge=0)] | None = None
    uncertain: bool = False
    issues: tuple[Issue, ...] = ()


class Spent(Message):
    """What a call that was stopped had used by then. None and empty mean not known; `estimated` that it was counted here, not there."""

    usage: JsonObject = Field(default_factory=dict)
    cost: Decimal | None = None
    currency: str = "USD"
    estimated: bool = False


class Ending(StrEnum):
    """How a call ended that nobody waits for any more."""

    STOPPED = "stopped"
    NOT_BEGUN = "not_begun"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class _Order(Message):
    run_id: UUID
    work_id: str
    attempt: Annotated[int, Field(ge=1)]
    tenant: str
    user_id: str | None = None
    session_id: str | None = None
    deadline: Timestamp = Field(description="Not to be begun after this; the run has asked otherwise by then.")
    lease_seconds: float
    checks: tuple[str, ...] = Field((), exclude_if=not_, description="Checks that the run asks for.")
    budget: Budget | None = Field(None, exclude_if=not_, description="What the run's calls may cost in all.")


class PrepareOrder(_Order):
    """Build the payload for an intent, check it, estimate it. Calls nothing that costs."""

    kind: Literal["prepare.v1"] = "prepare.v1"
    intent: CallIntent
    tool: JsonObject | None = None
    with_capabilities: bool = False
    tried: tuple[Candidate, ...] = Field(
        (),
        exclude_if=not_,
        description="What a route chose before and is not to choose again: it was not up to the call.",
    )


class ExecuteOrder(_Order):
    """Make one call with exactly these bytes."""

    kind: Literal["execute.v1"] = "execute.v1"
    provider: str
    model: str | None
    operation: str
    payload: JsonObject
    payload_sha256: Sha256
    resume: str | None = Field(
        None, description="The provider's id of this very call, which an earlier attempt made: ask about it."
    )
    doubted: bool = Field(
        default=False, description="It was ordered before: begin it only if nobody has, and else say that it is lost."
    )
    over_budget_approved: bool = Field(
        default=False, exclude_if=not_, description="A person was shown that this exceeds a budget, and approved."
    )


Order = PrepareOrder | ExecuteOrder

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])


def parse_order(body: bytes) -> Order:
    """Read one record of `provider.work`. Raises pydantic.ValidationError."""
    return _ORDER.validate_json(body)


def catalog_schema(names: list[str]) -> dict[str, Any]:
    """Return the JSON Schema of a call intent, with the providers that may be chosen."""
    schema = CallIntent.model_json_schema()
    schema["properties"]["provider"]["enum"] = sorted(names)
    schema["additionalProperties"] = False
    return schema

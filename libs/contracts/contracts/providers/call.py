"""One call of a provider: its intent, preparation, execution and failure."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from operator import not_
from typing import Annotated, Any

from pydantic import Field

from contracts.json_values import Json, JsonObject
from contracts.message import Message
from contracts.providers.capabilities import Capabilities
from contracts.providers.routing import Routing
from contracts.providers.signals import Signals


class Severity(StrEnum):
    """Whether an issue stops the call."""

    ERROR = "error"
    WARNING = "warning"


class Issue(Message):
    """A fault of a payload or an edit, and its fix.

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


Budget = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6)]
"""Money for calls, in US dollars."""


class CallIntent(Message):
    """The call that an application asks for: the subject of the information review."""

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

    @property
    def is_in_question(self) -> bool:
        """Whether there is an issue or a finding about the payload, which policy or a person has to judge."""
        return bool(self.issues or self.signals.findings)


class Checked(Message):
    """The facts that a `check` order is answered with. Of an edited response, the signals alone."""

    model: str | None = Field(None, description="The model that the edited payload names.")
    issues: tuple[Issue, ...] = ()
    estimate: Decimal | None = None
    currency: str = "USD"
    signals: Signals = Signals()


class Execution(Message):
    """The facts that an `execute` order is answered with: the provider's answer, cleaned and scored.

    `checks` names the operator's checks that inspected it: an edit of it is inspected by them again.
    """

    raw: Json = None
    response: JsonObject
    response_schema: JsonObject = Field(default_factory=dict)
    signals: Signals = Signals()
    usage: JsonObject = Field(default_factory=dict)
    cost: Decimal | None = None
    latency_ms: Annotated[int, Field(ge=0)] = 0
    provider_request_id: str | None = None
    checks: tuple[str, ...] = Field((), exclude_if=not_)


class Received(Message):
    """What came of a call that failed after its first byte, as far as it could be read. It may be paid for.

    `raw` is as near to the provider's own bytes as JSON allows, or its artifact where it is large. `response` is what a person can
    read of it. `usage` and `cost` are known by the provider's word, or counted by us where `estimated`; None and empty mean not known.
    """

    raw: Json = None
    response: JsonObject = Field(default_factory=dict)
    usage: JsonObject = Field(default_factory=dict)
    cost: Decimal | None = None
    currency: str = "USD"
    estimated: bool = False
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
    received: Received | None = Field(None, exclude_if=not_)

    @property
    def known_cost(self) -> Decimal | None:
        """What the failed call cost, where that is known or estimated."""
        return None if self.received is None else self.received.cost


class Spent(Message):
    """The usage and cost of a call that was stopped. None and empty mean not known; `estimated`: counted by us, not by the provider."""

    usage: JsonObject = Field(default_factory=dict)
    cost: Decimal | None = None
    currency: str = "USD"
    estimated: bool = False


class Ending(StrEnum):
    """How a call ended after its run was over."""

    STOPPED = "stopped"
    NOT_BEGUN = "not_begun"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


def catalog_schema(names: list[str]) -> dict[str, Any]:
    """Return the JSON Schema of a call intent, with the providers that may be chosen."""
    schema = CallIntent.model_json_schema()
    schema["properties"]["provider"]["enum"] = sorted(names)
    schema["additionalProperties"] = False
    return schema

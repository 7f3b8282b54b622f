"""`AIProvider`: the interface of every provider, with the types of its arguments and answers.

A provider builds, checks, prices, calls and scores. It never decides, and reads no settings after `from_settings`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Self

from chassis.settings import Settings
from contracts.providers.call import CallIntent, Failure, Issue, Severity, Spent
from contracts.providers.capabilities import Capabilities
from contracts.providers.signals import Signals
from provider_worker.errors import WorkerError
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.payload_schema import PayloadSchema
from provider_worker.providers.progress import Progress, Unfinished


class ProviderError(WorkerError):
    """A call or a payload failed. `failure` says why, in words fit for a person and an event."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with an intent: an artifact that was found, or a link that has not been opened."""

    url: str
    media_type: str | None = None
    size: int | None = None

    @property
    def is_link(self) -> bool:
        """Whether it lives somewhere on the web rather than in the store."""
        return self.media_type is None


async def note_nowhere(_: str) -> None:
    """Record nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """The circumstances of one `execute`. `key` names the attempt; a vendor that takes an idempotency key gets it.

    `note` records the vendor's id of a job that was begun, and returns when it is stored. `resume` is such an id, noted by an earlier
    attempt that did not see the job's end: it is asked about, and nothing is bought. `progress` gets text and usage meanwhile.
    """

    operation: str
    model: str | None
    attempt: int
    key: str
    artifacts: TenantArtifacts
    resume: str | None = None
    note: Callable[[str], Awaitable[None]] = note_nowhere
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer. `raw` is JSON as near to the vendor's own bytes as JSON allows; files in it are artifact refs."""

    raw: Any
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """A read answer: cleaned, described by a schema, scored, counted, priced."""

    response: dict[str, Any]
    schema: dict[str, Any]
    signals: Signals = field(default_factory=Signals)
    usage: dict[str, Any] = field(default_factory=dict)
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fragment:
    """What came of a call that failed: raw as it may be shown, what a person can read of it, usage and cost, `estimated` if by us."""

    raw: Any
    response: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    cost: Decimal | None = None
    estimated: bool = False


class AIProvider(ABC):
    """One vendor. Add one with a class like this in one file and an entry point in the group `sayso.providers`."""

    name: ClassVar[str]
    """Under which runs ask for it."""

    tools: ClassVar[Mapping[str, str | None]] = {}
    """Names of agent tools that stand for it, each with the operation it means, or None for the default."""

    asks_at: ClassVar[Sequence[Sequence[str | int]]] = ()
    """Where a payload may hold the JSON Schema that its answer is to fit."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. Without a key it is made all the same, and says so in its capabilities."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never appear in an event, a log or an error."""
        return ()

    @abstractmethod
    async def get_capabilities(self) -> Capabilities:
        """Return the capabilities."""

    def refuses_model(self, model: str) -> str | None:  # noqa: ARG002 - for overriding
        """Return why no model of the vendor's can have this name, None where one may. Asks no server."""
        return None

    @abstractmethod
    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of an operation's payloads."""

    async def schema_for(self, operation: str, payload: Mapping[str, Any]) -> PayloadSchema:  # noqa: ARG002 - for overriding
        """Return the JSON Schema of this payload, where it depends on the model that the payload names. Raises ProviderError."""
        return self.payload_schema(operation)

    @abstractmethod
    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the exact payload. Model and operation of `intent` are chosen already, and are on offer.

        Costs nothing and mends nothing: `validate_payload` names what is wrong. Raises ProviderError.
        """

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Name every issue of a payload, by its schema; a provider adds its own rules."""
        return (await self.schema_for(operation, payload)).issues(payload)

    def score_payload(self, payload: Mapping[str, Any], issues: Sequence[Issue]) -> Signals:  # noqa: ARG002 - for overriding
        """Return the confidence that the payload is the intended one, and the number of fixes that need no judgement.

        The rule: confidence is 1 when nothing is wrong, 0 when an error needs judgement, else 0.05 less an issue, not below 0.5.
        """
        judgement = any(issue.severity is Severity.ERROR and not issue.auto_fixable for issue in issues)
        confidence = 0.0 if judgement else max(0.5, round(1 - 0.05 * len(issues), 2))
        return Signals(confidence=confidence, payload_changes=sum(issue.auto_fixable for issue in issues))

    def model_of(self, payload: Mapping[str, Any], built_for: str | None) -> str | None:
        """Return the model that an edited payload names; `built_for` is the model that it was built for."""
        model = payload.get("model")
        return model if isinstance(model, str) else built_for

    @abstractmethod
    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Estimate the cost of the call in US dollars; None where it is unknown."""

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:  # noqa: ARG002 - for overriding
        """Estimate the tokens that a call counts against a limit of tokens, rather too many than too few; None is not counted."""
        return None

    @abstractmethod
    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Make one call with exactly `payload`, or ask about the one that `call.resume` names; never try again.

        Raises ProviderError. Its failure is `uncertain` when the call may have happened, or was noted and may still run. A failure
        before the vendor was asked is not. Any other exception counts as a bug in the provider, after which the call may have
        happened.
        """

    async def stop(self, call: Unfinished) -> Spent:  # noqa: ARG002 - for overriding
        """End a call at the vendor, its connection being closed, and return its cost as far as it is known.

        Two workers may do so for one call. An exception counts as an unknown cost.
        """
        return Spent()

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Return what came of a call that failed: `raw` as it may be shown, what a person can read of it, usage and cost.

        `raw` is an answer that could not be read, or as much as `Progress.hold` tells. Estimate only where `call.payload` is given.
        """
        return Fragment(raw=raw, usage=dict(call.usage))

    @abstractmethod
    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Clean and score an answer, without a further call. Raises ProviderError when it is no answer at all."""

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the vendor reported last, or None."""
        return None

    async def close(self) -> None:
        """Close connections."""
        return

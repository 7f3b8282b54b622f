"""Orders to the provider workers: prepare a payload, check what a person edited, execute a call."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from contracts.json_text import check_members
from contracts.json_values import JsonObject
from contracts.message import Message, Sha256, Timestamp
from contracts.providers.call import Budget, CallIntent
from contracts.providers.routing import Candidate


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
    """Build the payload for an intent, check it, estimate it. Calls nothing that costs, unless it is `in_one`."""

    kind: Literal["prepare.v1"] = "prepare.v1"
    intent: CallIntent
    tool: JsonObject | None = None
    with_capabilities: bool = False
    tried: tuple[Candidate, ...] = Field(
        (),
        exclude_if=not_,
        description="What a route chose before and is not to choose again: it was not up to the call.",
    )
    in_one: bool = Field(
        default=False,
        exclude_if=not_,
        description="Make the call too, unless something about its payload is in question: nobody is asked about it.",
    )
    doubted: bool = Field(
        default=False,
        exclude_if=not_,
        description="It was ordered before, `in_one`: prepare alone, if no worker has claimed the call, and else report that it is lost.",
    )

    @property
    def calls_at_once(self) -> bool:
        """Whether the worker that prepares it calls too, unless something is in question."""
        return self.in_one and not self.doubted


class CheckOrder(_Order):
    """Price and check bytes that a person edited. Builds nothing and calls nothing that costs."""

    kind: Literal["check.v1"] = "check.v1"
    provider: str
    model: str | None
    operation: str
    payload: JsonObject
    prompt: str = Field(description="The prompt of the intent that the payload was built from.")
    response: JsonObject | None = Field(
        None,
        exclude_if=lambda response: response is None,
        description="The edited response; without one the payload is what was edited.",
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
        default=False,
        description="It was ordered before: begin it only if no worker has, and else report that it is lost.",
    )
    over_budget_approved: bool = Field(
        default=False, exclude_if=not_, description="A person was shown that this exceeds a budget, and approved."
    )


Order = PrepareOrder | CheckOrder | ExecuteOrder

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])


def parse_order(body: bytes) -> Order:
    """Read one record of `provider.work`. Raises pydantic.ValidationError, and JsonRefused for two members of one name: ValueErrors both."""
    order = _ORDER.validate_json(body)
    check_members(body)
    return order

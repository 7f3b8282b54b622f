"""A provider that answers with the prompt, turned around."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from chassis.settings import Settings
from contracts.providers.call import CallIntent
from contracts.providers.capabilities import Capabilities
from contracts.providers.signals import Signals
from provider_worker.providers.base import AIProvider, Answer, Attachment, Audit, Call
from provider_worker.providers.payload_schema import PayloadSchema

SCHEMA = PayloadSchema(
    {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1}},
        "required": ["text"],
        "additionalProperties": False,
    }
)


class Reverse(AIProvider):
    """Turns text around."""

    name = "reverse"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider; yours reads its key here."""
        return cls()

    async def get_capabilities(self) -> Capabilities:
        """Return the capabilities."""
        return Capabilities(provider=self.name, operations=("text",), default_operation="text", safe_to_repeat=True)

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the schema of payloads: the form of reviewers, and the check of edits."""
        return SCHEMA

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the exact payload."""
        return {"text": intent.prompt}

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal:
        """Estimate the cost in US dollars."""
        return Decimal(0)

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Make one call; trying again is the run's business."""
        return Answer(raw={"output": payload["text"][::-1]})

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Clean and score the answer."""
        signals = Signals(confidence=1, response_quality=1)
        return Audit(response={"text": raw["output"]}, schema={"type": "object"}, signals=signals)

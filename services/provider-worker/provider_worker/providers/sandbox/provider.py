"""The sandbox provider: capabilities, payloads, prices. Its answers are made in `answers`, its faults in `faults`.

It charges 0.00001 USD for each character of prompt and answer, 0.01 USD an image. `answers` has the rule of quality.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Self

from chassis.settings import Settings
from contracts.providers.call import CallIntent, Failure, Issue, Spent
from contracts.providers.capabilities import Capabilities, ModelInfo
from contracts.providers.signals import Signals
from provider_worker.providers.base import AIProvider, Answer, Attachment, Audit, Call, ProviderError
from provider_worker.providers.payload_schema import PayloadSchema, SchemaTooCostly, UnusableSchema, at, unknown_members
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.providers.sandbox import answers as answering
from provider_worker.providers.sandbox import faults
from provider_worker.providers.sandbox.parameters import (
    DEFAULT_SIZE,
    IMAGE,
    JSON,
    OPERATIONS,
    PARAMETERS,
    TEXT,
    payload_schema,
)
from provider_worker.providers.sandbox.schema_inventor import CannotInvent, invent

PRICE_OF_A_CHARACTER = Decimal("0.00001")
PRICE_OF_AN_IMAGE = Decimal("0.0100")
CHARACTERS_OF_A_TOKEN = 4
USUAL_ANSWER_CHARACTERS = 200

WORD_SECONDS = 0.03
"""How long a streamed word takes at least: one can watch it being written."""

_MALFORMED = "<html><body>Bad gateway, with status 200</body></html>"


class SandboxProvider(AIProvider):
    """Answers by a stated rule. `delay` is how many seconds every answer takes."""

    name: ClassVar[str] = "sandbox"
    tools: ClassVar[Mapping[str, str | None]] = {"sandbox-text": TEXT, "sandbox-json": JSON, "sandbox-image": IMAGE}
    asks_at = (("parameters", "schema"),)

    def __init__(self, delay: float = 0) -> None:
        self._delay = delay
        self._schemas = {operation: PayloadSchema(payload_schema(operation)) for operation in OPERATIONS}
        self._capabilities = self._offer()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider."""
        return cls(settings.sandbox_delay_seconds)

    async def get_capabilities(self) -> Capabilities:
        """Return the capabilities."""
        return self._capabilities

    def _offer(self) -> Capabilities:
        return Capabilities(
            provider=self.name,
            description="Answers by rule, without a key: text, JSON by schema, drawn images, and faults on request.",
            tool_names=tuple(self.tools),
            operations=OPERATIONS,
            default_operation=TEXT,
            models=(
                ModelInfo(name="sandbox-1", operations=OPERATIONS, description="Everything the sandbox can do."),
                ModelInfo(name="sandbox-image-1", operations=(IMAGE,), description="Draws images only."),
            ),
            default_model="sandbox-1",
            safe_to_repeat=True,
        )

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of an operation's payloads."""
        return self._schemas[operation]

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Write the intent down as it is: model, prompt, parameters, attachments."""
        del tool
        payload: dict[str, Any] = {
            "model": intent.model,
            "prompt": intent.prompt,
            "parameters": dict(intent.parameters),
        }
        if attachments:
            payload["attachments"] = [attachment.url for attachment in attachments]
        return payload

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the schema, warn of unknown parameters, and see whether the JSON Schema can be satisfied."""
        parameters = payload.get("parameters")
        issues = await super().validate_payload(operation, payload)
        if isinstance(parameters, dict):
            issues += unknown_members(parameters, list(PARAMETERS), ["parameters"], "the sandbox ignores it")
            if operation == JSON and isinstance(schema := parameters.get("schema"), dict | bool):
                issues += _schema_issues(schema, payload)
        return issues

    def score_payload(self, payload: Mapping[str, Any], issues: Sequence[Issue]) -> Signals:
        """Score by the common rule, unless the parameter `preparation_confidence` states the score."""
        signals = super().score_payload(payload, issues)
        stated = at(payload, ["parameters", "preparation_confidence"])
        if isinstance(stated, int | float) and 0 <= stated <= 1:
            return signals.model_copy(update={"confidence": float(stated)})
        return signals

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Price the prompt and an answer of the usual length, or of `max_tokens`."""
        prompt = payload.get("prompt")
        length = len(prompt) if isinstance(prompt, str) else 0
        tokens = at(payload, ["parameters", "max_tokens"])
        limited = isinstance(tokens, int) and tokens > 0
        answer = min(USUAL_ANSWER_CHARACTERS, tokens * CHARACTERS_OF_A_TOKEN) if limited else USUAL_ANSWER_CHARACTERS
        return _price(operation, length, answer)

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait and fail as the parameters ask for, else answer by rule."""
        if issues := self._schemas[call.operation].issues(payload):
            message = f"The sandbox does not take this payload: {issues[0].path} {issues[0].message}"
            raise ProviderError(Failure(code="request_refused", message=message, status=400, issues=tuple(issues)))
        parameters: Mapping[str, Any] = payload["parameters"]
        fault = faults.active(parameters, call.attempt)
        seconds = self._delay + faults.delay(parameters, call.attempt)
        if parameters.get("stream") is True and call.operation == TEXT:
            said = await _answer(payload, parameters, call)
            await _say(said["text"], seconds, call.progress)
        elif seconds > 0:
            await asyncio.sleep(seconds)
        faults.fail_as_asked(parameters, call.attempt)
        output = _MALFORMED if fault == "malformed" else await _answer(payload, parameters, call)
        return Answer({"model": payload["model"], "output": output, "fault": fault}, f"sandbox-{call.key}")

    async def stop(self, call: Unfinished) -> Spent:
        """Charge for the prompt and for the text so far."""
        prompt = len(str((call.payload or {}).get("prompt", "")))
        usage = {"prompt_characters": prompt, "answer_characters": call.characters}
        return Spent(usage=usage, cost=PRICE_OF_A_CHARACTER * (prompt + call.characters))

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Take the answer out of its wrapping; score it by the rules in `answering`."""
        audit = answering.audit(operation, payload, raw)
        characters = int(audit.usage["prompt_characters"]), int(audit.usage["answer_characters"])
        cost = _price(operation, *characters)
        return Audit(audit.response, audit.schema, audit.signals, audit.usage, cost)


async def _say(text: str, seconds: float, progress: Progress) -> None:
    words = re.findall(r"\S+\s*", text)
    for word in words:
        await asyncio.sleep(max(seconds / len(words), WORD_SECONDS))
        progress.say(word)


async def _answer(payload: Mapping[str, Any], parameters: Mapping[str, Any], call: Call) -> dict[str, Any]:
    prompt: str = payload["prompt"]
    match call.operation:
        case "image":
            return await answering.image(prompt, parameters.get("size", DEFAULT_SIZE), call.artifacts)
        case "json":
            try:
                return {"json": invent(parameters.get("schema", True), prompt)}
            except (UnusableSchema, CannotInvent) as error:
                message = f"The sandbox cannot invent a value for the schema: {error}"
                raise ProviderError(Failure(code="request_refused", message=message, status=400)) from error
        case _:
            files = await answering.files(payload.get("attachments", []), call.artifacts)
            return answering.text(prompt, parameters, files)


def _price(operation: str, prompt_characters: int, answer_characters: int) -> Decimal:
    if operation == IMAGE:
        return PRICE_OF_A_CHARACTER * prompt_characters + PRICE_OF_AN_IMAGE
    return PRICE_OF_A_CHARACTER * (prompt_characters + answer_characters)


def _schema_issues(schema: Any, payload: Mapping[str, Any]) -> list[Issue]:
    path = "/parameters/schema"
    try:
        invent(schema, str(payload.get("prompt", "")))
    except SchemaTooCostly:  # the drafter says so for every provider
        return []
    except UnusableSchema as error:
        return [Issue(code="schema_unusable", message=f"This is not a usable JSON Schema: {error}", path=path)]
    except CannotInvent as error:
        return [
            Issue(code="schema_unsupported", message=f"The sandbox cannot invent a value for it: {error}", path=path)
        ]
    return []

"""The sandbox's answers and their scores, by rule.

A text answers with three sentences: it quotes the prompt's first 12 words; it counts the prompt's words and characters and names
the longest word; it names the attachments. `max_tokens` cuts it after so many words. The same payload always gets the same text.

Scores: quality is 0.9, a cut text 0.6, the fault `low_quality` 0.2. Confidence is 0.95 less 0.2 for each degree of temperature
above 1, the fault `low_confidence` 0.3. Safety flags come from the faults `unsafe` and `pii` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.sandbox.parameters import IMAGE, JSON

QUOTED_WORDS = 12
QUOTED_CHARACTERS = 300

_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "finish_reason": {"enum": ["stop", "length"]}},
    "required": ["text"],
}
_IMAGES = {
    "type": "object",
    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "uri"}}},
    "required": ["images"],
}


def text(prompt: str, parameters: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Answer a prompt with text."""
    words = prompt.split()
    quoted = " ".join(words[:QUOTED_WORDS])[:QUOTED_CHARACTERS] + (" …" if len(words) > QUOTED_WORDS else "")
    longest = max(words, key=len, default="")[:100]
    sentences = [
        f"You asked: “{quoted}”.",
        f"That is {len(words)} words and {len(prompt)} characters; the longest word is “{longest}”.",
    ]
    if files:
        sentences.append(f"With it came {', '.join(files)}.")
    if parameters.get("fault") == "pii":
        sentences.append("Write to jane.doe@example.com for more.")
    said = " ".join(sentences).split(" ")
    most = parameters.get("max_tokens")
    cut = isinstance(most, int) and len(said) > most
    return {"text": " ".join(said[:most] if cut else said), "finish_reason": "length" if cut else "stop"}


async def files(urls: Sequence[Any], artifacts: TenantArtifacts) -> list[str]:
    """Describe each attachment: its type and size, or the unopened link. Raises ProviderError."""
    described = []
    for url in map(str, urls):
        if not url.startswith("artifact:"):
            described.append(f"the link {url}")
            continue
        if (found := await artifacts.find(url)) is None:
            raise ProviderError(Failure(code="artifact_missing", message=f"The attachment {url[:100]} is gone."))
        described.append(f"a file of {found.size} bytes ({found.media_type})")
    return described


async def image(prompt: str, size: str, artifacts: TenantArtifacts) -> dict[str, Any]:
    """Draw an image, keep it, answer with its ref."""
    width, height = map(int, size.split("x"))
    body = await asyncio.to_thread(_draw, prompt, width, height)
    return {"images": [await artifacts.keep(body, "image/png")]}


def _draw(prompt: str, width: int, height: int) -> bytes:
    from provider_worker.providers.sandbox.image import draw  # noqa: PLC0415 - Pillow takes 8 MB; few ask for images

    return draw(prompt, width, height)


def audit(operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
    """Clean and score an answer. Raises ProviderError when it cannot be read."""
    output = raw.get("output") if isinstance(raw, dict) else None
    if not isinstance(output, dict):
        message = "The sandbox answered with something that is not an answer, as it was told."
        raise ProviderError(Failure(code="malformed_response", message=message, retryable=True))
    fault = raw.get("fault")
    parameters = payload.get("parameters") or {}
    usage = {"prompt_characters": len(str(payload.get("prompt", ""))), "answer_characters": len(str(output))}
    return Audit(output, _schema(operation, parameters), _signals(output, fault, parameters), usage)


def _schema(operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    if operation == IMAGE:
        return _IMAGES
    if operation == JSON:
        return {
            "type": "object",
            "properties": {"json": embedded(parameters.get("schema", True))},
            "required": ["json"],
        }
    return _TEXT


def embedded(schema: Any) -> Any:
    """Return a schema so that its references keep their meaning inside another one."""
    return {"$id": "urn:sayso:asked", **schema} if isinstance(schema, dict) and "$id" not in schema else schema


def _signals(output: Mapping[str, Any], fault: str | None, parameters: Mapping[str, Any]) -> Signals:
    temperature = parameters.get("temperature", 1)
    warmth = max(0.0, float(temperature) - 1) if isinstance(temperature, int | float) else 0.0
    quality = 0.6 if output.get("finish_reason") == "length" else 0.9
    flags = {"unsafe": ("nsfw",), "pii": ("pii",)}.get(fault or "", ())
    return Signals(
        confidence=0.3 if fault == "low_confidence" else max(0.0, round(0.95 - 0.2 * warmth, 3)),
        safety_flags=flags,
        response_quality=0.2 if fault == "low_quality" else quality,
    )

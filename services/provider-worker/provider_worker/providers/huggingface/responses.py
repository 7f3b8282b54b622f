"""Reads HuggingFace's answers: text, labels or images, each with a quality by rule.

Chats are read as OpenAI's are, whose protocol they speak. A classification's confidence is the score of its first label; its
quality is 1, or 0.3 where that score is less than half: no label fits. An image that came whole has the quality 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from artifacts.media_type import detected_image
from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.answers.content import ENDED, IMAGES
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.http.reply import parse
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable

_ENDS = {"eos_token": "stop", "stop_sequence": "stop"}
"""How Text Generation Inference calls an end that OpenAI calls `stop`."""

_DOUBTFUL = 0.5

_LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
    "required": ["label", "score"],
}
_LABELS = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "labels": {"type": "array", "items": _LABEL, "minItems": 1}},
    "required": ["label", "labels"],
}


def audit_completion(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read a completed chat. Raises ProviderError when there is nothing in it."""
    grammar = at(payload, ["response_format", "value"])
    if isinstance(grammar, Mapping):
        payload = {**payload, "response_format": {"type": "json_schema", "json_schema": {"schema": grammar}}}
    return audit_chat(prices, payload, as_chat(raw), as_json=as_json)


def as_chat(raw: Any) -> Any:
    """Return an answer as a chat in OpenAI's words: one of Text Generation Inference's own, or one with its names of ends."""
    generated = raw[0] if isinstance(raw, list) and raw else raw
    if isinstance(at(generated, ["generated_text"]), str):
        return _of_generation(generated)
    choices = at(raw, ["choices"])
    if not isinstance(raw, Mapping) or not isinstance(choices, list):
        return raw
    return {**raw, "choices": [_in_words_of_chats(choice) for choice in choices]}


def _in_words_of_chats(choice: Any) -> Any:
    end = _ENDS.get(str(choice.get("finish_reason"))) if isinstance(choice, Mapping) else None
    return choice if end is None else {**choice, "finish_reason": end}


def _of_generation(generated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat that the answer of a text generation is: `details` tell its end and how many tokens it made.

    They come where they were asked for. Without them no end is told of any answer, and a whole one is taken for whole.
    """
    finish, made = (at(generated, ["details", name]) for name in ("finish_reason", "generated_tokens"))
    finish = finish if generated.get("details") else "stop"
    message = {"role": "assistant", "content": generated["generated_text"]}
    choice = {"index": 0, "message": message, "finish_reason": _ENDS.get(str(finish), finish)}
    return {"choices": [choice], "usage": {} if made is None else {"completion_tokens": made}}


def audit_image(raw: Any) -> Audit:
    """Read an answer whose image was kept. Raises ProviderError when there is none in it."""
    image = at(raw, ["image"])
    if not isinstance(image, str):
        raise ProviderError(Failure(code="empty_response", message="The server answered without an image."))
    return Audit({"images": [image]}, IMAGES, Signals(response_quality=ENDED))


def audit_classification(raw: Any) -> Audit:
    """Read the labels and their scores, best first. Raises ProviderError when there are none."""
    labels = sorted(_labels(raw), key=lambda label: -label["score"])
    if not labels:
        code = "empty_response" if raw in ([], [[]]) else "malformed_response"
        raise ProviderError(Failure(code=code, message="The server's answer holds no labels with their scores."))
    best = labels[0]["score"]
    confidence = best if 0 <= best <= 1 else None
    quality = 0.3 if confidence is not None and confidence < _DOUBTFUL else 1.0
    signals = Signals(confidence=confidence, response_quality=quality)
    return Audit({"label": labels[0]["label"], "labels": labels}, _LABELS, signals)


def _labels(raw: Any) -> list[dict[str, Any]]:
    """Read the form of today, `[{label, score}]`, that form once for each input, and zero-shot's older `{labels, scores}`."""
    match raw:
        case [[*items]] | [*items]:
            pass
        case {"labels": [*names], "scores": [*scores]}:
            items = [{"label": name, "score": score} for name, score in zip(names, scores, strict=False)]
        case _:
            items = []
    return [{"label": item["label"], "score": item["score"]} for item in items if _is_label(item)]


def _is_label(item: Any) -> bool:
    match item:
        case {"label": str(), "score": bool()}:
            return False
        case {"label": str(), "score": int() | float() as score}:
            return math.isfinite(score)
    return False


async def keep_image(body: bytes, headers: Mapping[str, str], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return an answer that names the kept image by its ref. Raises ProviderError when the bytes are no image."""
    media_type = detected_image(body)
    if media_type is None and body.lstrip()[:1] == b"{":
        parse(body, headers=headers)  # an error in place of an image
    if media_type is None:
        said = headers.get("content-type", "bytes without a type")[:100]
        message = f"The server answered with {len(body)} bytes that are no image ({said})."
        raise ProviderError(Failure(code="malformed_response" if body else "empty_response", message=message))
    return {"image": await artifacts.keep(body, media_type), "media_type": media_type, "size": len(body)}

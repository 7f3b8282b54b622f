"""Reads a prediction that succeeded: output, quality by rule, safety flags.

The rule of quality: 1, or 0.6 where a text has as many tokens as were allowed, or 0.3 where the model's own safety check took something
out. An output of nothing is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answers.content import CUT, ENDED, FILTERED, TEXT
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.files import PREFIX
from provider_worker.providers.pricing import count
from provider_worker.providers.replicate.hosts import links_in

_NSFW = re.compile(r"nsfw content (was |is )?detected|potential nsfw|has_nsfw_concepts?\W+true", re.IGNORECASE)

_FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1}},
    "required": ["files"],
}
_OTHER = {"type": "object", "properties": {"output": True}, "required": ["output"]}


_MOST = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_length")
"""Inputs in which models take how many tokens they may make."""


def audit_prediction(raw: Any, cost: Decimal | None, *, in_pieces: bool, given: Any = None) -> Audit:
    """Read a prediction whose files are kept and whose addresses are hidden. `given` is its input.

    Raises ProviderError when nothing came out.
    """
    output = raw.get("output") if isinstance(raw, dict) else None
    if _is_empty(output):
        message = "The answer cannot be scored: the prediction succeeded without an output."
        raise ProviderError(Failure(code="empty_response", message=message))
    response, schema = read_output(output, links_in(raw), in_pieces=in_pieces)
    flags = ("nsfw",) if _NSFW.search(str(raw.get("logs") or "")) else ()
    metrics = raw["metrics"] if isinstance(raw.get("metrics"), dict) else {}
    quality = FILTERED if flags else CUT if "text" in response and _is_used_up(metrics, given) else ENDED
    return Audit(response, schema, Signals(response_quality=quality, safety_flags=flags), metrics, cost)


def _is_empty(output: Any) -> bool:
    match output:
        case None:
            return True
        case str():
            return not output.strip()
        case dict():
            return all(map(_is_empty, output.values()))
        case list():
            return all(map(_is_empty, output))
    return False


def _is_used_up(metrics: Mapping[str, Any], given: Any) -> bool:
    """Return whether a model made all the tokens that it was allowed: its text is likely cut off."""
    made = count(metrics, "output_token_count")
    most = count(given, *_MOST) if isinstance(given, Mapping) else None
    return bool(made and most and made >= most)


def read_output(output: Any, links: Collection[str], *, in_pieces: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an output as a response, and the schema that it fits."""
    items = output if isinstance(output, list) else [output]
    if all(_is_file(item, links) for item in items):
        return {"files": items}, _FILES
    if isinstance(output, str) or (in_pieces and all(isinstance(item, str) for item in items)):
        return {"text": "".join(items)}, TEXT
    return {"output": output}, _OTHER


def files_of(output: Any, links: Collection[str] = ()) -> Iterator[str]:
    """Name the files in an output; `links` are the addresses of those that were not kept."""
    if _is_file(output, links):
        yield output
    children = output.values() if isinstance(output, dict) else output if isinstance(output, list) else ()
    for child in children:
        yield from files_of(child, links)


def _is_file(value: Any, links: Collection[str]) -> bool:
    return isinstance(value, str) and (value.startswith(PREFIX) or value in links)

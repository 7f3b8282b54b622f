"""Putting a prompt and attachments where a model's schema has a place for them. Mends nothing, and drops nothing that was asked for."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from contracts.providers.call import CallIntent
from provider_worker.providers.base import Attachment
from provider_worker.providers.files import unsupported

_PROMPTS = ("prompt", "text_prompt", "text", "input_text", "question", "query", "message", "instruction", "input")
"""Names of a prompt's place, the most specific first; any other name with `prompt` in it comes after them."""

_OTHER_PROMPTS = ("negative", "system", "template", "strength", "suffix", "prefix")

_WORDS: Mapping[str, frozenset[str]] = {
    "image": frozenset(["image", "images", "img", "photo", "picture", "frame", "face", "portrait", "mask", "sketch"]),
    "audio": frozenset(["audio", "audios", "voice", "speech", "song", "sound", "music", "speaker"]),
    "video": frozenset(["video", "videos", "clip", "movie"]),
}
_NAMES: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "input_image", "image_input", "init_image", "images", "input_images", "img", "start_image"),
    "audio": ("audio", "input_audio", "audio_file", "audio_input"),
    "video": ("video", "input_video", "video_input"),
    "file": ("file", "input_file", "document", "pdf", "input"),
}
_LAST = "mask"
"""A mask goes with an image, so it is the second to come."""


def fill(
    intent: CallIntent,
    attachments: Sequence[Attachment],
    fields: Mapping[str, Any],
    required: Collection[Any],
    *,
    example: bool,
) -> dict[str, Any]:
    """Return a model's input. With `example` the parameters are a tool's example, and attachments take their place.

    Raises ProviderError for an attachment that has no place. Without `fields`, the parameters' names and the usual ones serve.
    """
    given = dict(intent.parameters)
    if intent.prompt.strip():
        # Where there is no place for it, a warning says so; it is not dropped in silence.
        given[_prompt_field(fields, required, given) or _PROMPTS[0]] = intent.prompt
    taken: set[str] = set() if example else set(intent.parameters)
    lists: dict[str, list[str]] = {}
    for index, attachment in enumerate(attachments):
        name = _place(attachment, fields, taken) if fields else _usual(attachment, taken)
        if name is None:
            raise unsupported(index, f"the model takes no {attachment.media_type or 'file'} (any more)")
        if _is_list_of_files(fields.get(name)):
            given[name] = lists.setdefault(name, [])
            lists[name].append(attachment.url)
        else:
            given[name] = attachment.url
            taken.add(name)
    return given


def is_file(schema: Any) -> bool:
    """Return whether a member of an input is a file."""
    return isinstance(schema, Mapping) and schema.get("format") == "uri"


def _is_list_of_files(schema: Any) -> bool:
    return isinstance(schema, Mapping) and is_file(schema.get("items"))


def _prompt_field(fields: Mapping[str, Any], required: Collection[Any], given: Mapping[str, Any]) -> str | None:
    if not fields:
        return next((name for name in _PROMPTS if isinstance(given.get(name), str)), None)
    texts = [name for name, schema in fields.items() if _is_text(schema)]
    named = [name for name in _PROMPTS if name in texts]
    named += [name for name in texts if "prompt" in name and not any(word in name for word in _OTHER_PROMPTS)]
    needed = [name for name in texts if name in required]
    return named[0] if named else needed[0] if len(needed) == 1 else None


def _is_text(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or is_file(schema) or "enum" in schema:
        return False
    kind = schema.get("type")
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def _place(attachment: Attachment, fields: Mapping[str, Any], taken: Collection[str]) -> str | None:
    kind = _kind(attachment)
    files = [name for name, schema in fields.items() if is_file(schema) or _is_list_of_files(schema)]
    fitting = [name for name in files if name not in taken and _kind_of(name) in (kind, "file")]
    return min(fitting, key=lambda name: _rank(name, kind, fields[name]), default=None)


def _rank(name: str, kind: str, schema: Mapping[str, Any]) -> tuple[bool, int, bool, float]:
    names = (*_NAMES.get(kind, ()), *_NAMES["file"])
    order = schema.get("x-order")
    named = names.index(name) if name in names else len(names)
    return _LAST in name, named, _kind_of(name) != kind, order if isinstance(order, int) else float("inf")


def _usual(attachment: Attachment, taken: Collection[str]) -> str | None:
    kind = _kind(attachment)
    names = (*_NAMES.get(kind, ())[:1], *((_LAST,) if kind == "image" else ()), *_NAMES["file"][:1])
    return next((name for name in names if name not in taken), None)


def _kind(attachment: Attachment) -> str:
    media_type = attachment.media_type or mimetypes.guess_type(urlsplit(attachment.url).path)[0] or "image/"
    kind = media_type.split("/")[0]
    return kind if kind in _WORDS else "file"


def _kind_of(name: str) -> str:
    words = set(name.lower().split("_"))
    return next((kind for kind, known in _WORDS.items() if words & known), "file")

"""Reads a server's own words for a failure, whatever shape they have: JSON of any kind, a page, or text.

What is not known is shown as it is. Decides nothing: `failures` says what the failure is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.json_pointer import pointer
from contracts.providers.call import Issue
from provider_worker.providers.http.errors.codes import names, normal
from provider_worker.providers.http.errors.words import cut, is_number, page_text, seconds, wait_in

READ_BYTES = 64 * 1024
"""So much of a refusal is read."""

_MOST_LEAVES, _MOST_LEVELS, _MOST_FIELDS = 200, 8, 20

_WORDS = names(
    "message detail details error errors msg reason description error_description error_message errormessage errmsg faultstring raw cause "
    "explanation hint"
)
_TITLES = frozenset({"title", "error_type_title", "summary"})
_CODES = names("code type status error_code error_type errorcode errortype reason kind __type")
_NUMBERS = names("code status error_code status_code statuscode http_status http_code httpstatus")
_PLACES = names("loc param field parameter property pointer")
_WAITS = {
    "retry_after": 1.0,
    "retryafter": 1.0,
    "retry_after_seconds": 1.0,
    "retry_after_ms": 0.001,
    "retryafterms": 0.001,
    "retry_delay": 1.0,
    "retrydelay": 1.0,
    "estimated_time": 1.0,
}
"""By member: the seconds of its unit."""

_UNTOLD = (
    _CODES
    | _NUMBERS
    | names("id request_id requestid object timestamp instance doc_url documentation_url url ctx input")
)
"""Members that say nothing to a person once there are words."""

_NAME = re.compile(r"[A-Za-z]+(?:[_.-][A-Za-z0-9]+)+|[A-Z][a-z]+(?:[A-Z][a-z]+)+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's words for a failure: for a person (`said`), as names and numbers, with the seconds to wait and the refused members."""

    said: str = ""
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    wait: float | None = None
    issues: tuple[Issue, ...] = ()


@dataclass(slots=True)
class _Found:
    words: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    unnamed: bool = False
    leaves: int = 0


def read_body(body: bytes) -> Refusal:
    """Read the body of a refusal."""
    try:
        value = json.loads(body) if len(body) <= READ_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if value in (None, "", [], {}):
        return Refusal() if value is not None else read_text(body[:READ_BYTES].decode(errors="replace"))
    return read_value(value)


def read_text(text: str) -> Refusal:
    """Read a text, or the text of a page."""
    said = cut(page_text(text) if text.lstrip().startswith("<") else " ".join(text.split()))
    return Refusal(said, wait=wait_in(said))


def read_value(value: Any) -> Refusal:
    """Read an error that came as JSON."""
    found = _Found()
    _walk(value, "", found, 0)
    words = _distinct(found.words or found.titles)
    said = "; ".join(words)
    more = [f"{name}: {other}" for name, other in dict.fromkeys(found.others) if other not in said]
    said = "; ".join([said, *more]) if said else ""
    told = found.others or found.names or found.numbers or found.waits or found.unnamed
    said = cut(said or (json.dumps(value, ensure_ascii=False, default=str) if told else ""))
    wait = next(iter(found.waits), None)
    return Refusal(
        said,
        tuple(dict.fromkeys(found.names)),
        tuple(dict.fromkeys(found.numbers)),
        wait_in(said) if wait is None else wait,
        tuple(found.issues),
    )


def _walk(value: Any, name: str, found: _Found, level: int) -> None:
    """Take what a value says; `name` is that of the member which holds it."""
    found.leaves += 1
    if found.leaves > _MOST_LEAVES or level > _MOST_LEVELS:
        return
    match value:
        case Mapping():
            _take_issue(value, found)
            for key, item in value.items():
                _walk(item, _plain(key), found, level + 1)
        case list() if name not in _PLACES:
            for item in value:
                _walk(item, name or "message", found, level + 1)
        case bool() | None:
            pass
        case str() | int() | float():
            _take(value, name, found)


def _take(value: str | float, name: str, found: _Found) -> None:
    if name in _WAITS:
        wait = seconds(value)
        found.waits += [] if wait is None else [wait * (_WAITS[name] if is_number(value) else 1.0)]
        return
    if name in _NUMBERS and is_number(value):
        found.numbers += [int(float(value))] if 400 <= float(value) < 600 else []  # noqa: PLR2004 - the classes of refusals
        return
    if not isinstance(value, str) or not value.strip():
        found.unnamed = found.unnamed or not isinstance(value, str)
        return
    if name in _CODES and " " not in value.strip():
        found.names.append(normal(value))
    elif not name or name in _WORDS or name in _CODES:
        found.words.append(value.strip())
        found.names += [normal(value)] if _NAME.fullmatch(value.strip()) else []
    elif name in _TITLES:
        found.titles.append(value.strip())
    elif name not in _UNTOLD:
        found.others.append((name, value.strip()))


def _take_issue(value: Mapping[Any, Any], found: _Found) -> None:
    """Take the member of the payload that an error names, with the error's own words."""
    said = next((item for key, item in value.items() if _plain(key) in _WORDS and isinstance(item, str)), None)
    place = next((item for key, item in value.items() if _plain(key) in _PLACES and item), None)
    steps = _steps(place)
    if steps and len(found.issues) < _MOST_FIELDS:
        message = cut((said or "The server refuses it.").strip())
        found.issues.append(Issue(code="field_refused", message=message, path=pointer(steps)))
        if isinstance(place, list):
            found.words.append(f"{'.'.join(map(str, steps))}: {said}" if said else ".".join(map(str, steps)))


def _steps(place: Any) -> list[str | int]:
    match place:
        case str():
            return [step for step in re.split(r"[./\[\]]+", place) if step]
        case [*steps] if all(isinstance(step, str | int) for step in steps):
            return steps[1:] if steps[0] in ("body", "__root__") and len(steps) > 1 else steps
    return []


def _plain(name: Any) -> str:
    return str(name).strip().lower().replace("-", "_")


def _distinct(words: list[str]) -> Iterator[str]:
    """Return words once, without those that others repeat."""
    kept = list(dict.fromkeys(words))
    return (word for word in kept if not any(word != other and word in other for other in kept))

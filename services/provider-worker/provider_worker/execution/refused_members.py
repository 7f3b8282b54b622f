"""Names the members of a payload that a server's refusal speaks of, and says what to leave out.

Some members are not the caller's: the worker asks for streams and for their usage by itself, and not every server knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts.json_pointer import pointer
from contracts.providers.call import Failure, Issue

_NEEDED = ("model", "messages", "input", "inputs", "prompt", "version")
"""Without these there is no call."""

_INNER = ("input", "parameters", "stream_options", "response_format", "text")
"""Members whose own members a refusal may name."""

_OTHERWISE = {"stream_options": ", or start again with the parameter `stream: false`"}
"""By member: the parameter without which the worker does not add it."""

_UNKNOWN = re.compile(
    r"\b(extra|unknown|unrecogni[sz]ed|unsupported|unexpected|additional propert\w+|no such|"
    r"(not|n't) (be |a |an )?(permitted|allowed|supported?|recogni[sz]ed?|accept(ed)?|implemented|valid|available|take|know)|"
    r"invalid (field|parameter|argument|key|property))",
    re.IGNORECASE,
)


def naming_members(failure: Failure, payload: Mapping[str, Any]) -> Failure:
    """Return a refusal that says which members of the payload to leave out; any other failure as it is."""
    if failure.code != "request_refused" or not _UNKNOWN.search(failure.message):
        return failure
    paths = {issue.path for issue in failure.issues}
    refused = [steps for steps in _members(payload) if _is_named(steps, failure.message, paths)]
    # Of a member and one inside it, the one inside is meant.
    refused = [
        steps for steps in refused if not any(other != steps and other[: len(steps)] == steps for other in refused)
    ]
    if not refused:
        return failure
    kept = tuple(issue for issue in failure.issues if issue.path not in {pointer(steps) for steps in refused})
    issues = tuple(_issue(steps) for steps in refused)
    return failure.changed(
        {"message": " ".join([failure.message, *(issue.message for issue in issues)]), "issues": (*kept, *issues)}
    )


def _members(payload: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in payload.items():
        if name not in _NEEDED:
            yield (name,)
        if name in _INNER and isinstance(value, Mapping):
            yield from ((name, inner) for inner in value if inner not in _NEEDED)


def _is_named(steps: Sequence[str], said: str, paths: set[str]) -> bool:
    name = re.escape(steps[-1])
    if pointer(steps) in paths or pointer(steps[-1:]) in paths:
        return True
    if re.search(rf"['\"`\[{{(.]{name}['\"`\]}}).:]|\b{name}: ", said):
        return True
    return "_" in name and re.search(rf"(?<![\w]){name}(?![\w])", said) is not None  # no word of a sentence


def _issue(steps: Sequence[str]) -> Issue:
    message = (
        f"The server does not take `{'.'.join(steps)}` of the payload: leave it out{_OTHERWISE.get(steps[0], '')}."
    )
    return Issue(code="member_refused", message=message, path=pointer(steps))

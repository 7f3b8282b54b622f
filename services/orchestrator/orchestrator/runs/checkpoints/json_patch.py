"""Merge patches of JSON values, and the differences between two values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from contracts.json_pointer import member
from contracts.json_values import JsonObject, canonical_json
from contracts.runs.events import Change

MISSING = object()

LONGEST_PATH = 1000
"""Characters of a path that is still followed. Each change below it repeats it."""


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` after the merge patch (RFC 7396): null removes a member, an array replaces an array."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def patch_between(before: JsonObject, after: JsonObject) -> JsonObject:
    """Return the merge patch that leads from `before` to `after`, which merge patches made of it.

    Two merge patches have no composition: one that replaces an object by a number and one that puts an object there again
    are together more than any single patch of the two can say without knowing the object.
    """
    patch: JsonObject = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        earlier = before.get(name, MISSING)
        if isinstance(earlier, dict) and isinstance(value, dict):
            if inner := patch_between(earlier, value):
                patch[name] = inner
        elif earlier is MISSING or canonical_json(earlier) != canonical_json(value):
            patch[name] = value
    return patch


MOST_CHANGES = 1_000
"""Members that are told one by one; with more, the whole is told once."""


def diff(before: Any, after: Any, path: str = "") -> tuple[Change, ...]:
    """Return the members whose canonical bytes differ, by JSON Pointer (RFC 6901).

    An array counts as one value, and so do an object whose path is longer than LONGEST_PATH and one with more than MOST_CHANGES.
    """
    changes = tuple(islice(_changes(before, after, path), MOST_CHANGES + 1))
    return changes if len(changes) <= MOST_CHANGES else (Change(path=path, before=before, after=after),)


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict) and len(path) <= LONGEST_PATH:
        for name in sorted(before.keys() | after.keys()):
            yield from _changes(before.get(name, MISSING), after.get(name, MISSING), member(path, name))
    elif before is MISSING:
        yield Change(path=path, after=after)
    elif after is MISSING:
        yield Change(path=path, before=before)
    elif canonical_json(before) != canonical_json(after):  # Python holds 1 and True equal, in arrays too
        yield Change(path=path, before=before, after=after)

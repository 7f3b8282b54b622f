"""Checking a subject against its JSON Schema. Schemas may come from users: no network, and patterns in linear time only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonschema_rs

from contracts.json_pointer import member
from contracts.providers.call import Issue
from orchestrator.runs.json_patch import LONGEST_PATH

MOST = 20
"""Issues reported at once; a person mends them one by one anyway."""

LONGEST_MESSAGE = 500
"""Characters of one issue's message: the validator repeats values, and a refusal has to fit a record."""


def violations(subject: Any, schema: dict[str, Any]) -> tuple[Issue, ...]:
    """Return what is wrong with `subject` under `schema` (Draft 2020-12); a schema that is itself unusable is an issue too."""
    if not schema:
        return ()
    try:
        validator = jsonschema_rs.Draft202012Validator(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
        found = []
        for error in validator.iter_errors(subject):
            path = _pointer(error.instance_path)
            found.append(Issue(code="schema", path=path, message=error.message[:LONGEST_MESSAGE]))
            if len(found) == MOST:
                break
        return tuple(found)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return (Issue(code="schema_unusable", message=f"the schema cannot be used: {error}"[:LONGEST_MESSAGE]),)


def _pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) to a value, or to what encloses it where the names are too long."""
    pointer = ""
    for name in path:
        longer = member(pointer, name)
        if len(longer) > LONGEST_PATH:
            break
        pointer = longer
    return pointer

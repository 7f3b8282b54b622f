"""Validation of a subject under its JSON Schema. Schemas may come from users: no network, and patterns in linear time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonschema_rs

from contracts.json_pointer import member
from contracts.providers.call import Issue, Severity
from orchestrator.runs.checkpoints.json_patch import LONGEST_PATH

MOST = 20
"""Issues that one validation reports."""

LONGEST_MESSAGE = 500
"""Characters of one issue's message. The validator repeats values, but a refusal must fit a record."""


def violations(subject: Any, schema: dict[str, Any]) -> tuple[Issue, ...]:
    """Return the issues of `subject` under `schema` (Draft 2020-12). A schema that cannot be used is an issue too."""
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
    """Return the JSON Pointer (RFC 6901) to a value, or to the value around it if the names are too long."""
    pointer = ""
    for name in path:
        longer = member(pointer, name)
        if len(longer) > LONGEST_PATH:
            break
        pointer = longer
    return pointer


def errors_in(issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
    """Return the issues that stop a call; warnings do not."""
    return tuple(issue for issue in issues if issue.severity is Severity.ERROR)

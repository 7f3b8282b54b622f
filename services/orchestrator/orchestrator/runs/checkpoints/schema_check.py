"""Validation of a subject under its JSON Schema. Schemas may come from users: no network, patterns in linear time, bounded work.

The bound on work depends on subject and schema alone, not on a clock: the same edit is judged alike on every owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from contracts.json_pointer import member
from contracts.providers.call import Issue, Severity
from contracts.schemas.references import UnknownReference
from contracts.schemas.work import TooMuchWork, check_steps, may_list, pattern_bytes
from orchestrator.runs.checkpoints.json_patch import LONGEST_PATH

MOST = 20
"""Issues that one validation reports."""

LONGEST_MESSAGE = 500
"""Characters of one issue's message. The validator repeats values, but a refusal must fit a record."""

UNLISTED = "this does not fit its schema, in too many ways to list them"


def violations(subject: Any, schema: dict[str, Any]) -> tuple[Issue, ...]:
    """Return the issues of `subject` under `schema` (Draft 2020-12).

    A schema that cannot be used is an issue too, and so is one that makes too much work.
    """
    if not schema:
        return ()
    try:
        check_steps(schema, subject)
        options = jsonschema_rs.RegexOptions(size_limit=pattern_bytes(schema))
        validator = jsonschema_rs.Draft202012Validator(schema, pattern_options=options, offline=True)
        if validator.is_valid(subject):
            return ()
        if not may_list(schema, subject):
            return (Issue(code="schema", message=UNLISTED),)
        return tuple(map(_issue, islice(validator.iter_errors(subject), MOST)))
    except TooMuchWork as error:
        return (Issue(code="schema_too_costly", message=f"this cannot be checked under its schema: {error}"),)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, UnknownReference, ValueError) as error:
        return (Issue(code="schema_unusable", message=f"the schema cannot be used: {error}"[:LONGEST_MESSAGE]),)


def _issue(error: jsonschema_rs.ValidationError) -> Issue:
    return Issue(code="schema", path=_pointer(error.instance_path), message=error.message[:LONGEST_MESSAGE])


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

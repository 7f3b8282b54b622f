"""Checking a subject against its JSON Schema. Schemas may come from users: no network, and patterns in linear time only."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from contracts.work import Issue

MOST = 20
"""Issues reported at once; a person mends them one by one anyway."""

LONGEST_MESSAGE = 500
"""Characters of one issue: the validator repeats the value, and a refusal has to fit a record."""


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
            path = "".join(f"/{_escape(str(name))}" for name in error.instance_path)
            found.append(Issue(code="schema", path=path, message=error.message[:LONGEST_MESSAGE]))
            if len(found) == MOST:
                break
        return tuple(found)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return (Issue(code="schema_unusable", message=f"the schema cannot be used: {error}"[:LONGEST_MESSAGE]),)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

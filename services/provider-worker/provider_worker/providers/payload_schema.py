"""Checks payloads against JSON Schema (2020-12), with mends where they need no judgement.

Schemas may come from strangers: nothing is fetched, and patterns run in linear time.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import jsonschema_rs

from contracts.json_pointer import pointer
from contracts.json_values import MAX_DIGITS, check_json
from contracts.providers.call import Issue, Severity
from contracts.schemas.keywords import has_choices
from contracts.schemas.references import UnknownReference
from contracts.schemas.work import TooMuchWork, check_schema, check_steps, may_list, pattern_bytes
from provider_worker.errors import WorkerError

MAX_ISSUES = 50
"""A person reads no more than this, and a hostile payload could fill a record with them."""

_LONGEST_MESSAGE = 300
_LONGEST_ARRAY = 100


class UnusableSchema(WorkerError, ValueError):
    """This is not a JSON Schema, or it refers to another document."""


class SchemaTooCostly(UnusableSchema):
    """Checking a value under this JSON Schema takes more work than is done for it."""


class CompiledSchema:
    """A JSON Schema that can be used, with the bounds on the work that it makes."""

    def __init__(self, schema: Any) -> None:
        """Compile `schema`. Raises UnusableSchema."""
        if not isinstance(schema, dict | bool):
            raise UnusableSchema("a schema is an object or a boolean")
        self._schema = schema
        try:
            check_schema(schema)
            options = jsonschema_rs.RegexOptions(size_limit=pattern_bytes(schema))
            self._validator = jsonschema_rs.Draft202012Validator(schema, pattern_options=options, offline=True)
        except TooMuchWork as error:
            raise SchemaTooCostly(str(error)) from None
        except (ValueError, jsonschema_rs.ReferencingError, UnknownReference) as error:
            raise UnusableSchema(str(error).split("\n", 1)[0][:_LONGEST_MESSAGE]) from None

    def is_valid(self, value: Any) -> bool:
        """Return whether `value` fits. Raises SchemaTooCostly."""
        try:
            check_steps(self._schema, value)
        except TooMuchWork as error:
            raise SchemaTooCostly(str(error)) from None
        return self._validator.is_valid(value)

    def misfits(self, value: Any) -> list[jsonschema_rs.ValidationError]:
        """Return why a value that does not fit does not, MAX_ISSUES reasons at most; none if listing them is too much work."""
        # Every reason is made at once, 25 microseconds each: of a long array only the beginning is looked at.
        for shown in (value, _trimmed(value)):
            if may_list(self._schema, shown) and (
                found := list(islice(self._validator.iter_errors(shown), MAX_ISSUES))
            ):
                return found
        if not has_choices(self._schema):
            try:
                self._validator.validate(value)
            except jsonschema_rs.ValidationError as first:
                return [first]
        return []


def body_schema(title: str, members: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of a request body. Members it does not know are allowed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": dict(members),
        "required": list(required),
    }


class PayloadSchema:
    """A payload's JSON Schema, checked and compiled once. Its objects describe their members without references."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document: dict[str, Any] = check_json(document)
        self._compiled = CompiledSchema(document)

    def issues(self, payload: Mapping[str, Any]) -> list[Issue]:
        """Name every misfit with the schema, each with its mend where there is only one."""
        try:
            if self._compiled.is_valid(payload):
                return []
        except SchemaTooCostly as error:
            return [Issue(code="schema_too_costly", message=f"This cannot be checked under its schema: {error}.")]
        if misfits := self._compiled.misfits(payload):
            return [self._issue(payload, error) for error in misfits]
        return [Issue(code="schema_misfit", message="This does not fit its schema, in too many ways to list them.")]

    def _issue(self, payload: Mapping[str, Any], error: jsonschema_rs.ValidationError) -> Issue:
        path: list[str | int] = list(error.instance_path)
        schema = at(self.document, error.schema_path[:-1])
        if error.kind.name == "required":
            path.append(error.kind.as_dict()["property"])
            mended = at(schema, ["properties", path[-1], "default"])
        else:
            mended = mend(at(payload, path), schema)
        fix = None if mended is None else merge_patch(path, mended)
        return Issue(
            code=f"schema_{error.kind.name}",
            message=_shorten(error.message),
            path=pointer(path),
            suggested_fix=fix,
            auto_fixable=fix is not None,
        )


def _trimmed(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _trimmed(item) for name, item in value.items()}
        case list():
            return [_trimmed(item) for item in value[:_LONGEST_ARRAY]]
    return value


def costly_schemas(payload: Mapping[str, Any], places: Sequence[Sequence[str | int]]) -> list[Issue]:
    """Name the JSON Schemas at `places` under which no answer can be checked, because that takes too much work."""
    found = []
    for place in places:
        schema = at(payload, place)
        try:
            if isinstance(schema, dict):
                CompiledSchema(schema)
        except SchemaTooCostly as error:
            message = f"No answer can be checked under this schema: {error}."
            found.append(Issue(code="schema_too_costly", message=message, path=pointer(place)))
        except UnusableSchema:  # the vendor may understand it, and says so if not
            continue
    return found


def unknown_members(
    given: Mapping[str, Any], known: Sequence[str], path: Sequence[str], consequence: str
) -> list[Issue]:
    """Warn of members that no schema names, suggesting the likely spelling. `consequence` ends the sentence."""
    found = []
    for name in islice((name for name in given if name not in known), MAX_ISSUES):
        close = difflib.get_close_matches(name, known, n=1)
        question = f" Did you mean {close[0]!r}?" if close else ""
        renamed = merge_patch(path, {name: None, close[0]: given[name]}) if close else None
        found.append(
            Issue(
                code="parameter_unknown",
                message=f"{_shorten(name)!r} is not a known parameter; {consequence}.{question}",
                path=pointer([*path, name]),
                severity=Severity.WARNING,
                suggested_fix=renamed,
            )
        )
    return found


def not_taken(name: str, message: str, fix: dict[str, Any]) -> Issue:
    """Name a member that the schema allows and the model does not take, with its only mend."""
    return Issue(code="model_does_not_take", message=message, path=f"/{name}", suggested_fix=fix, auto_fixable=True)


def mend(value: Any, schema: Any) -> Any:
    """Return the intended value of `value` under a scalar `schema`; None where that takes judgement."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        mended: Any = schema["const"]
    elif isinstance(value, str) and "enum" in schema:
        choices = [choice for choice in schema["enum"] if isinstance(choice, str)]
        mended = next((choice for choice in choices if choice.lower() == value.strip().lower()), None)
    else:
        mended = _clamped(_typed(value, schema.get("type")), schema)
    unchanged = mended == value and type(mended) is type(value)
    return None if unchanged or not CompiledSchema(schema).is_valid(mended) else mended


def _typed(value: Any, wanted: Any) -> Any:
    match wanted, value:
        case "boolean", str() if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        case "number" | "integer", str():
            return _number(value)
        case _:
            return value


def _number(text: str) -> int | float | None:
    """Return the number that a text says: all digits of a whole one, also where it has a point or an exponent."""
    try:
        number = Decimal(text.strip())
    except ArithmeticError:
        return None
    if not number.is_finite() or number.adjusted() >= MAX_DIGITS:
        return None
    return int(number) if number == number.to_integral_value() else float(number)


def _clamped(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    raised = max(value, schema.get("minimum", value))
    return min(raised, schema.get("maximum", raised))


def at(document: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path, or None where the path leads nowhere."""
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def merge_patch(path: Sequence[str | int], value: Any) -> dict[str, Any] | None:
    """Return the merge patch (RFC 7396) that sets `value` at `path`, or None when the path leads through an array."""
    for step in reversed(path):
        if not isinstance(step, str):
            return None
        value = {step: value}
    return value if isinstance(value, dict) else None


def _shorten(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"

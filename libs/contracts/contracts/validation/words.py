"""What each of Pydantic's errors means, in one short sentence. Its own words name types of Python, and patterns that say nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

_OBJECT, _LIST, _WHOLE, _NUMBER = "must be an object", "must be a list", "must be a whole number", "must be a number"
_TRUTH, _UUID = "must be true or false", "must be a UUID"
_TIME = "must be a date and time with its zone, such as 2026-03-02T12:00:00Z"

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "no such name",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_type": "must be a string",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    **dict.fromkeys(("model_type", "model_attributes_type", "dataclass_type", "dict_type", "mapping_type"), _OBJECT),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), _LIST),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _TRUTH),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), _UUID),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"), _TIME),
}
"""By the error's code; the members of its context stand in braces."""

_LENGTHS = {
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
    "string_too_short": ("at least", "min_length"),
    "string_too_long": ("at most", "max_length"),
}

_OF_PYDANTIC, _OF_A_CHECK = "Input should be ", "Value error, "


def words_of(error: ErrorDetails | Mapping[str, Any], patterns: Mapping[str, str]) -> str:
    """Return what an error means, without the value that was sent. `patterns` says what each pattern that is known asks for."""
    code, context = str(error["type"]), error.get("ctx", {})
    if code in _LENGTHS:
        return _length(code, context)
    if code == "string_pattern_mismatch":
        return patterns.get(context["pattern"], f"does not match the pattern {context['pattern']}")
    if code in _WORDS:
        return _WORDS[code].format_map({name: _plain(value) for name, value in context.items()})
    said = str(error["msg"])
    if said.startswith(_OF_PYDANTIC):
        return f"must be {said.removeprefix(_OF_PYDANTIC)}"
    return said.removeprefix(_OF_A_CHECK)


def _length(code: str, context: Mapping[str, Any]) -> str:
    bound, member = _LENGTHS[code]
    number, actual = context[member], context.get("actual_length")
    counted = (
        "character" if code.startswith("string") else "member" if context["field_type"] == "Dictionary" else "item"
    )
    has = "" if actual is None else f", and has {actual}"
    return f"must have {bound} {number} {counted}{'' if number == 1 else 's'}{has}"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value

"""The facts of a request beside its body: run, tenant, expected version, idempotency key, and the ids derived from them."""

from __future__ import annotations

import re
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from chassis.http.problems import issue
from contracts.json_pointer import pointer
from contracts.message import ID_NAMESPACE, Identifier
from contracts.runs.commands import command_id
from gateway.http.caller import Caller
from gateway.http.problems import Problem, invalid

MOST_KEY_CHARACTERS = 200

_NAME: TypeAdapter[str] = TypeAdapter(Identifier)
_QUERY = {"in": "query"}
_HEADER = {"in": "header"}
_RUNS = uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:run")
_VERSION = re.compile(r'"(\d{1,18})"')


def run_id_of(request: Request) -> UUID:
    """Return the run that the path names. Raises Problem, 404 too where the name is no UUID."""
    named = request.path_params["run_id"]
    try:
        return UUID(named)
    except ValueError:
        raise run_not_found(named) from None


def run_not_found(run_id: UUID | str) -> Problem:
    """Return the problem of a run that does not exist."""
    return Problem("run_not_found", f"there is no run {run_id}")


def check_parameters(request: Request) -> None:
    """Raise Problem if there are query parameters: writes have none."""
    if request.scope["query_string"]:
        names = list(request.query_params) or [""]
        raise invalid(
            [issue(pointer([name]), "extra_forbidden", "there is no such parameter", **_QUERY) for name in names]
        )


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, or None. Raises Problem."""
    keys = request.headers.getlist("idempotency-key")
    key = keys[0] if keys else None
    if key is not None and not (len(keys) == 1 and len(key) <= MOST_KEY_CHARACTERS and _is_name(key)):
        message = f"one key of 1 to {MOST_KEY_CHARACTERS} printable characters"
        raise invalid([issue("/Idempotency-Key", "header_invalid", message, **_HEADER)])
    return key


def _is_name(value: str) -> bool:
    """Return whether a header's value is a name, in UTF-8 or, as headers once were, in Latin-1."""
    try:
        _NAME.validate_python(value.encode("latin-1").decode())
    except UnicodeDecodeError:
        return value.isprintable()
    except ValidationError:
        return False
    return True


def expected_version(request: Request) -> int | None:
    """Return the version that If-Match names, or None for any. Raises Problem."""
    expected = request.headers.get("if-match", "*").strip()
    if expected == "*":
        return None
    found = _VERSION.fullmatch(expected)
    if found is None:
        message = 'a version in quotes, as in If-Match: "5"'
        raise invalid([issue("/If-Match", "header_invalid", message, **_HEADER)])
    return int(found[1])


def new_run_id(caller: Caller, key: str | None) -> UUID:
    """Return the id of a run to start: derived from the key and who gave it, random without one."""
    return uuid4() if key is None else uuid5(_RUNS, "\x1f".join((*_names_of(caller), key)))


def new_command_id(caller: Caller, about: UUID | str, key: str | None) -> UUID:
    """Return a command's id: derived from the key, who gave it, and the run; random without a key."""
    return uuid4() if key is None else command_id("http", *_names_of(caller), about, key)


def own_key(caller: Caller, key: str | None) -> str | None:
    """Return a key that is the caller's own, to be kept by: another's under the same name is another key."""
    return key if key is None or caller.subject is None else str(new_command_id(caller, "upload", key))


def _names_of(caller: Caller) -> tuple[str, ...]:
    # Another's key is another key: its answer is not to be had by guessing it.
    return (caller.tenant,) if caller.principal is None else caller.principal.names

"""What a request says about itself beside its body: who asks, whose data, which version, which key. Decides nothing."""

from __future__ import annotations

import re
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from starlette.requests import Request

from contracts.json_pointer import pointer
from contracts.message import ID_NAMESPACE
from contracts.runs.commands import command_id
from gateway.http.issues import issue
from gateway.http.problems import Problem, invalid

TENANT = "default"
"""The tenant of everybody while nobody has to say who they are."""

ANONYMOUS = "anonymous"
"""The actor where the body names none."""

MOST_KEY_CHARACTERS = 200

_QUERY = {"in": "query"}
_HEADER = {"in": "header"}
_RUNS = uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:run")
_VERSION = re.compile(r'"(\d{1,18})"')


def run_id_of(request: Request) -> UUID:
    """Return the run that the path names. What is no run's id names no run. Raises Problem."""
    return run_id_named(request.path_params["run_id"])


def run_id_named(named: str) -> UUID:
    """Return the run of that name. Raises Problem."""
    try:
        return UUID(named)
    except ValueError:
        raise run_not_found(named) from None


def run_not_found(run_id: UUID | str) -> Problem:
    """Return the problem of a run that is not there."""
    return Problem("run_not_found", f"there is no run {run_id}")


def check_parameters(request: Request) -> None:
    """Raise Problem if there are query parameters: writes have none."""
    if request.scope["query_string"]:
        names = list(request.query_params) or [""]
        raise invalid(
            [issue(pointer([name]), "extra_forbidden", "there is no such parameter", **_QUERY) for name in names]
        )


def idempotency_key(request: Request) -> str | None:
    """Return the key under which this request always gets the same answer. Raises Problem."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MOST_KEY_CHARACTERS and key.isprintable()):
        message = f"a key has 1 to {MOST_KEY_CHARACTERS} printable characters"
        raise invalid([issue("/Idempotency-Key", "header_invalid", message, **_HEADER)])
    return key


def expected_version(request: Request) -> int | None:
    """Return the version that the run must still have. Raises Problem."""
    expected = request.headers.get("if-match", "*").strip()
    if expected == "*":
        return None
    found = _VERSION.fullmatch(expected)
    if found is None:
        message = 'a version in quotes, as in If-Match: "5"'
        raise invalid([issue("/If-Match", "header_invalid", message, **_HEADER)])
    return int(found[1])


def new_run_id(key: str | None) -> UUID:
    """Return the id of a run to start: the same for the same key."""
    return uuid4() if key is None else uuid5(_RUNS, f"{TENANT}\x1f{key}")


def new_command_id(about: UUID | str, key: str | None) -> UUID:
    """Return a command's id: the same for the same key on the same run."""
    return uuid4() if key is None else command_id("http", TENANT, about, key)

"""What a request says beside its body: run, key, version, parameters."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from starlette.requests import Request

from gateway.http import headers
from gateway.http.caller import TRUSTED, Caller
from gateway.http.problems import Problem
from identity.resolved import Resolved
from testkit.runs.people import ANN, principal


def utf8(text: str) -> str:
    """Return a text as a header shows it whose sender writes UTF-8."""
    return text.encode().decode("latin-1")


def request_with(query: bytes = b"", run_id: str = "", **fields: str) -> Request:
    """Return a request with these headers."""
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()]
    scope = {"type": "http", "headers": named, "query_string": query, "path_params": {"run_id": run_id}}
    return Request(scope)


def test_the_same_key_means_the_same_run_and_command() -> None:
    """A request that is sent again, to any gateway, is the same command."""
    assert headers.new_run_id(TRUSTED, "k") == headers.new_run_id(TRUSTED, "k") != headers.new_run_id(TRUSTED, "l")
    run_id = uuid4()
    assert headers.new_command_id(TRUSTED, run_id, "k") == headers.new_command_id(TRUSTED, run_id, "k")
    assert headers.new_command_id(TRUSTED, run_id, "k") != headers.new_command_id(TRUSTED, uuid4(), "k")
    assert headers.new_command_id(TRUSTED, "start", "k") != headers.new_run_id(TRUSTED, "k")


def test_a_key_is_its_givers_alone() -> None:
    """Another person's key, or another tenant's, is another key: its answer is not to be had by guessing it."""
    callers = [
        Caller(tenant, Resolved(principal(subject, tenant=tenant), None))
        for tenant in ("acme", "else")
        for subject in ("ann", "bob")
    ]
    assert len({headers.new_run_id(each, "k") for each in callers}) == len(callers)
    assert len({headers.new_command_id(each, "start", "k") for each in callers}) == len(callers)


def test_a_services_key_is_no_persons_of_its_name() -> None:
    """Nor another owner's service's. A person's ids are derived as ever: a request that is sent again across an upgrade is the same."""
    services = [principal(name, kind="service", owner=owner) for name in ("ann", "bot") for owner in ("ann", "cy")]
    callers = [Caller("default", Resolved(one, None)) for one in (ANN, *services)]
    run_id = UUID(int=7)
    assert len({headers.new_run_id(each, "k") for each in callers}) == len(callers)
    assert len({headers.new_command_id(each, run_id, "k") for each in callers}) == len(callers)
    assert len({headers.own_key(each, "k") for each in callers}) == len(callers)
    assert headers.new_run_id(callers[0], "k") == UUID("7f4e45bd-d2c0-5005-8de6-54c776278c9c")
    assert headers.new_command_id(callers[0], run_id, "k") == UUID("176aa71f-2af6-55a3-90a3-d599eb013172")


def test_without_a_key_each_request_is_its_own() -> None:
    """Two clicks are two commands; the run's rules see to the rest."""
    assert headers.new_run_id(TRUSTED, None) != headers.new_run_id(TRUSTED, None)
    assert headers.new_command_id(TRUSTED, "start", None) != headers.new_command_id(TRUSTED, "start", None)


def test_two_keys_are_refused() -> None:
    """Readers would differ on which of them counts."""
    scope = {"type": "http", "headers": [(b"idempotency-key", b"k"), (b"idempotency-key", b"k")]}
    with pytest.raises(Problem):
        headers.idempotency_key(Request(scope))


@pytest.mark.parametrize("key", ["k", "a" * 200, "ä ö", utf8("7f3a-…"), utf8("à")])
def test_a_printable_key_is_taken(key: str) -> None:
    """Up to 200 characters, whatever they are."""
    assert headers.idempotency_key(request_with(idempotency_key=key)) == key


MARKS = ["\u202e", "\u2066", "\u2028", "\u2029", "\x85", "\u200b", "\ufeff"]


@pytest.mark.parametrize(
    "key", ["", "a" * 201, "tab\there", "\x7f", "a\x85", *[utf8(f"a{mark}b") for mark in MARKS]], ids=ascii
)
def test_another_key_is_refused_and_named(key: str) -> None:
    """The issue names the header, so that no client searches its body."""
    with pytest.raises(Problem) as caught:
        headers.idempotency_key(request_with(idempotency_key=key))
    assert caught.value.members["issues"][0]["path"] == "/Idempotency-Key"
    assert caught.value.members["issues"][0]["in"] == "header"


@pytest.mark.parametrize(("header", "version"), [('"5"', 5), (' "12" ', 12), ("*", None)])
def test_if_match_names_a_version_in_quotes(header: str, version: int | None) -> None:
    """A star matches whatever is there."""
    assert headers.expected_version(request_with(if_match=header)) == version


@pytest.mark.parametrize("header", ["5", '"x"', 'W/"5"', '"5", "6"', '"-1"', "", '"' + "9" * 30 + '"'])
def test_another_if_match_is_refused_and_named(header: str) -> None:
    """Neither a weak tag nor a list: a run has one version."""
    with pytest.raises(Problem) as caught:
        headers.expected_version(request_with(if_match=header))
    assert caught.value.members["issues"][0]["path"] == "/If-Match"


def test_what_is_no_runs_id_names_no_run() -> None:
    """404, not 422: there is no such run, whatever the reason."""
    run_id = uuid4()
    assert headers.run_id_of(request_with(run_id=str(run_id))) == UUID(str(run_id))
    with pytest.raises(Problem) as caught:
        headers.run_id_of(request_with(run_id="7"))
    assert caught.value.code == "run_not_found"


def test_a_write_has_no_parameters() -> None:
    """A name that would be ignored is refused instead."""
    headers.check_parameters(request_with())
    with pytest.raises(Problem) as caught:
        headers.check_parameters(request_with(b"force=1"))
    assert caught.value.members["issues"][0] == {
        "path": "/force",
        "code": "extra_forbidden",
        "message": "there is no such parameter",
        "in": "query",
    }

"""Problem documents: their members, and which code gets which status."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from contracts.runs.outcomes import Refused
from gateway.http.problems import Problem, document, invalid, refused, unavailable
from orchestrator.refusals import Refusal


def refusal(code: str, **details: object) -> Refused:
    """Return a refusal as the orchestrator sends it."""
    return Refused(command_id=uuid4(), run_id=uuid4(), code=code, message="because", details=details)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("run_not_found", 404),
        ("run_already_exists", 409),
        ("checkpoint_already_decided", 409),
        ("checkpoint_mismatch", 409),
        ("subject_changed", 409),
        ("not_allowed", 409),
        ("newer_history", 409),
        ("history_too_long", 409),
        ("precondition_failed", 412),
        ("payload_too_large", 413),
        ("validation_failed", 422),
        ("idempotency_key_reused", 422),
        ("something_new", 409),
    ],
)
def test_a_refusal_gets_the_status_of_its_code(code: str, status: int) -> None:
    """The one place where codes become statuses; a code that is not known is a conflict."""
    answer = document(refused(refusal(code)), "/hitl/runs/1")
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:sayso:problem:{code}"
    assert (body["detail"], body["instance"]) == ("because", "/hitl/runs/1")
    assert body["title"]


def test_every_refusal_of_the_core_has_a_status_of_its_own_choice() -> None:
    """None falls to the default by oversight, but the one that only workers and the clock can meet."""
    for code in {kind.code for kind in _all(Refusal) if kind.__module__.startswith("orchestrator.")}:
        answer = json.loads(bytes(document(Problem(code, "x"), "/").body))
        assert answer["status"] != 409 or code in {
            "run_already_exists",
            "checkpoint_already_decided",
            "checkpoint_mismatch",
            "subject_changed",
            "not_allowed",
            "newer_history",
            "history_too_long",
            "claimed_by_other",
            "not_claimed",
            "delegated",
            "already_voted",
        }, code


def test_the_details_of_a_refusal_are_members_of_the_document() -> None:
    """Who decided, what is possible, which version: beside the standard members, never in their place."""
    answer = document(
        refused(refusal("not_allowed", state="failed", pending_actions=["retry"], status=1, detail="no")), "/"
    )
    body = json.loads(bytes(answer.body))
    assert (body["state"], body["pending_actions"]) == ("failed", ["retry"])
    assert (body["status"], body["detail"]) == (409, "because")


def test_a_request_that_does_not_validate_is_named_by_its_first_issue() -> None:
    """The detail alone is enough to mend a single mistake."""
    issues = [{"path": "/a", "code": "x", "message": "wrong"}, {"path": "/b", "code": "y", "message": "too"}]
    assert invalid(issues[:1]).detail == "/a: wrong"
    assert invalid(issues).detail == "/a: wrong (and 1 more)"


def test_what_is_unavailable_says_when_to_come_back() -> None:
    """503 carries Retry-After."""
    answer = document(unavailable("gone"), "/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_text_that_cannot_be_written_does_not_break_the_answer() -> None:
    """What a client asked for may hold half a character."""
    answer = document(Problem("not_found", "there is nothing at \ud800"), "/\udfff")
    assert json.loads(bytes(answer.body))["status"] == 404


def _all(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind for child in kind.__subclasses__() for kind in {child, *_all(child)}}

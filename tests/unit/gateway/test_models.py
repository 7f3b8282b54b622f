"""From JSON to requests: which of the three shapes was meant, and what is wrong at which member."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.runs.config import OnTimeout, Policy, ReviewStep
from contracts.runs.requests import (
    ApproveBody,
    ControlBody,
    EditBody,
    RejectBody,
    RunInput,
    StartBody,
    WrappedRunInput,
)
from contracts.runs.tasks.bodies import AbsenceBody, BulkBody, DelegateBody
from gateway.api.api_keys.models import KeyBody
from gateway.http.body import parse_json
from gateway.http.models import read_model, read_start, shape_of
from gateway.http.problems import Problem, document

RUN = "01890000-0000-7000-8000-000000000001"
TOOL = {"agent_tool_config": {"replicate": {"data": {"name": "flux", "example_input": {"seed": 7}}}}}


def start(body: Any) -> Any:
    """Read a start as the door hands it on."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_start(text, parse_json(text))


def paths(body: Any) -> list[str]:
    """Return where the issues of a start are."""
    with pytest.raises(Problem) as caught:
        start(body)
    assert caught.value.code == "validation_failed"
    return [issue["path"] for issue in caught.value.members["issues"]]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"prompt": "x"}, StartBody),
        ({"prompt": "x", "provider": "openai", "user_id": "u"}, StartBody),
        ({"run_input": {"prompt": "x"}}, WrappedRunInput),
        ({"run_input": 5, "prompt": "x"}, WrappedRunInput),
        ({"prompt": "x", "user_email": "a@b.c"}, RunInput),
        ({"prompt": "x", **TOOL}, RunInput),
        ({"message_type": "text"}, RunInput),
        ([], StartBody),
        ("run_input", StartBody),
        (None, StartBody),
    ],
)
def test_the_members_say_which_shape_was_meant(body: Any, shape: type) -> None:
    """So that what is wrong is said in the words of that shape."""
    assert shape_of(body) is shape


def test_the_first_shape_says_everything_itself() -> None:
    """JSON's own types are taken strictly, and mean enums, tuples and floats where the contract says so."""
    request, provider_at = start(
        {
            "prompt": "a red bicycle",
            "provider": "openai",
            "attachments": [f"artifact:sha256:{'0' * 64}", "https://example.com/a.png"],
            "labels": {"team": "ads"},
            "hitl_config": {
                "policy": "require_human",
                "allowed_steps": ["payload_review"],
                "timeout_seconds": 60,
                "on_timeout": "escalate",
                "review_thresholds": {"confidence_min": 1},
            },
        }
    )
    config = request.hitl_config
    assert (config.policy, config.on_timeout) == (Policy.REQUIRE_HUMAN, OnTimeout.ESCALATE)
    assert (config.allowed_steps, config.timeout_seconds) == ((ReviewStep.PAYLOAD_REVIEW,), 60.0)
    assert (len(request.attachments), provider_at) == (2, "/provider")


def test_the_second_shape_names_a_tool_that_stands_for_a_provider() -> None:
    """The tool's data becomes the call; the outer user and session win."""
    inner = {"prompt": "x", "user_email": "a@b.c", "session_id": "inner", **TOOL}
    wrapped, at = start({"run_input": inner, "session_id": "outer"})
    assert (wrapped.provider, wrapped.model, wrapped.parameters) == ("replicate", "flux", {"seed": 7})
    assert (wrapped.user_id, wrapped.session_id, at) == ("a@b.c", "outer", "/run_input/agent_tool_config/replicate")
    bare, at = start(inner)
    assert (bare.session_id, at) == ("inner", "/agent_tool_config/replicate")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["/prompt"]),
        ([], [""]),
        ({"prompt": 5}, ["/prompt"]),
        ({"prompt": "x", "promt": "y"}, ["/promt"]),
        ({"prompt": "x", "a/b~c": 1}, ["/a~1b~0c"]),
        ({"prompt": "x", "hitl_config": {"policy": "maybe"}}, ["/hitl_config/policy"]),
        (
            {"prompt": "x", "hitl_config": {"review": {"approvals_required": 2, "candidates": {"users": ["ann"]}}}},
            ["/hitl_config/review/approvals_required"],
        ),
        (
            {"prompt": "x", "hitl_config": {"review": {"stages": [{"name": "a"}, {"name": "a"}]}}},
            ["/hitl_config/review/stages"],
        ),
        (
            {"prompt": "x", "hitl_config": {"allowed_steps": ["payload_review", "lunch"]}},
            ["/hitl_config/allowed_steps/1"],
        ),
        ({"prompt": "x", "hitl_config": {"allowed_steps": ["error_review"]}}, ["/hitl_config/allowed_steps/0"]),
        ({"prompt": "x", "hitl_config": {"timeout_seconds": "60"}}, ["/hitl_config/timeout_seconds"]),
        ({"prompt": "x", "hitl_config": {"max_attempts": 1.5}}, ["/hitl_config/max_attempts"]),
        ({"prompt": "x", "hitl_config": {"max_attempts": True}}, ["/hitl_config/max_attempts"]),
        ({"prompt": "x", "labels": {"": "y"}}, ["/labels/"]),
        ({"prompt": "x", "labels": {"a": 1}}, ["/labels/a"]),
        ({"prompt": "x", "user_id": "tab\there"}, ["/user_id"]),
        ({"prompt": "x", "parameters": {"deep": [1, {"seed": 10**308}]}}, ["/parameters/deep/1/seed"]),
        ({"prompt": "x", "callback_url": "ftp://a"}, ["/callback_url"]),
        ({"prompt": "x", "callback_url": "https://ann:secret@a.example/done"}, ["/callback_url"]),
        ({"prompt": "x", "callback_url": "http://169.254.169.254/latest"}, ["/callback_url"]),
        ({"prompt": "x", "user_id": "a\u202eb", "session_id": "a\u2028b"}, ["/user_id", "/session_id"]),
        ({"prompt": "x", "labels": {"a\u2066b": "y"}}, ["/labels/a\u2066b"]),
        ({"run_input": {"prompt": "x"}, "user_id": "a\u202eb"}, ["/user_id"]),
        (
            {"run_input": {"prompt": "x", "agent_tool_config": {"flux": {"data": {"name": "a\u202eb"}}}}},
            ["/run_input/agent_tool_config/flux/data/name"],
        ),
        (
            {"prompt": "x", "agent_tool_config": {"flux": {}, "sandbox": {}}},
            ["/agent_tool_config"],
        ),
        ({"run_input": {"prompt": "x", "provider": "openai"}}, ["/run_input/provider"]),
        ({"run_input": {}}, ["/run_input/prompt"]),
        ({"run_input": {"prompt": "x"}, "provider": "openai"}, ["/provider"]),
        ({"prompt": "x", "user_email": "a@b.c", "provider": "openai"}, ["/provider"]),
        (
            {"run_input": {"prompt": "x", "agent_tool_config": {"flux": {"data": {"name": ""}}}}},
            ["/run_input/agent_tool_config/flux/data/name"],
        ),
        (
            {"prompt": "x", "agent_tool_config": {"flux": {"data": {"nam": "y"}}}},
            ["/agent_tool_config/flux/data/nam"],
        ),
    ],
    ids=json.dumps,
)
def test_an_issue_stands_at_the_member_it_is_about(body: Any, expected: list[str]) -> None:
    """A JSON Pointer into what was sent, whatever the shape."""
    assert paths(body) == expected


def test_an_attachment_that_is_neither_is_told_so_at_its_place() -> None:
    """The branches of a union are not places in the body."""
    for wrong in ("ftp://x", "https://ann:secret@a.b/f", "http://169.254.169.254/f"):
        assert set(paths({"prompt": "x", "attachments": ["https://a.b/c", wrong]})) == {"/attachments/1"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"prompt": "\\ud800"}', "/prompt"),
        (b'{"prompt": "x", "parameters": {"a": ["\\udfff"]}}', "/parameters/a/0"),
        (b'{"prompt": "x", "parameters": {"a": NaN}}', "/parameters/a"),
        (b'{"prompt": "x", "parameters": {"a": -Infinity}}', "/parameters/a"),
        (b'{"prompt": "x", "parameters": {"a": 1e999}}', "/parameters/a"),
        (b'{"prompt": "x", "hitl_config": {"timeout_seconds": NaN}}', "/hitl_config/timeout_seconds"),
        (
            b'{"prompt": "x", "hitl_config": {"review_thresholds": {"confidence_min": NaN}}}',
            "/hitl_config/review_thresholds/confidence_min",
        ),
    ],
    ids=["surrogate", "surrogate inside", "NaN", "infinity", "too large", "NaN seconds", "NaN threshold"],
)
def test_values_that_json_cannot_carry_are_named(body: bytes, path: str) -> None:
    """Python reads them; other readers need not."""
    assert paths(body) == [path]


@pytest.mark.parametrize(
    ("model", "body", "path"),
    [
        (ApproveBody, b'{"checkpoint_id": "x"}', "/checkpoint_id"),
        (ApproveBody, b'{"subject_sha256": "ABC"}', "/subject_sha256"),
        (ApproveBody, b'{"edits": {}}', "/edits"),
        (ApproveBody, b'{"actor": ""}', "/actor"),
        (ApproveBody, '{"actor": "a\u2069b"}'.encode(), "/actor"),
        (ApproveBody, b'{"reason_code": "x"}', "/reason_code"),
        (RejectBody, '{"reason_code": "a\u2029b"}'.encode(), "/reason_code"),
        (EditBody, b"{}", "/edits"),
        (EditBody, b'{"edits": null}', "/edits"),
        (EditBody, b'{"edits": [1]}', "/edits"),
        (RejectBody, b'{"reason": 5}', "/reason"),
        (ControlBody, b'{"comment": "x"}', "/comment"),
        (ControlBody, b'"x"', ""),
    ],
)
def test_a_decision_is_read_as_strictly(model: Any, body: bytes, path: str) -> None:
    """Unknown members and wrong types are named; nothing is coerced."""
    with pytest.raises(Problem) as caught:
        read_model(model, body, parse_json(body))
    assert [issue["path"] for issue in caught.value.members["issues"]] == [path]


def test_a_decision_may_say_nothing() -> None:
    """Approving what waits needs no words."""
    assert read_model(ApproveBody, b"{}", {}) == ApproveBody()


@pytest.mark.parametrize(
    "raw",
    [
        {f"a{at}": 1 for at in range(20_000)},
        {"prompt": "x", "attachments": [1] * 80_000},
        {"prompt": "x", "labels": {f"a{at}": 1 for at in range(20_000)}},
        {"prompt": "x", "hitl_config": {"allowed_steps": ["x"] * 50_000}},
        {"prompt": "x", "hitl_config": {"review_thresholds": {"safety_flags": [1] * 50_000}}},
        {"prompt": "x", "hitl_config": {f"a{at}": 1 for at in range(20_000)}},
    ],
    ids=["members", "attachments", "labels", "steps", "flags", "configuration"],
)
def test_a_body_of_very_many_faults_gets_a_short_answer(raw: dict[str, Any]) -> None:
    """Each fault was an issue, and 170 kB made a document of 8 MB in 4 s."""
    body = json.dumps(raw).encode()
    with pytest.raises(Problem) as refused:
        read_start(body, raw)
    assert 1 <= len(refused.value.members["issues"]) <= 100
    assert len(document(refused.value, "/hitl/runs").body) < 50_000


KEY = {"name": "Ann, laptop", "subject": "ann", "roles": ["reviewer"]}
SEEN = {"run_id": RUN, "checkpoint_id": RUN, "subject_sha256": "0" * 64}


@pytest.mark.parametrize(
    ("model", "body", "path", "message"),
    [
        (KeyBody, {**KEY, "roles": []}, "/roles", "must have at least 1 item, and has 0"),
        (KeyBody, {**KEY, "roles": ["revewer"]}, "/roles/0", "must be 'requester', 'reviewer', 'admin' or 'auditor'"),
        (KeyBody, {**KEY, "scopes": ["runs:reed"]}, "/scopes/0", "must be 'runs:start', 'runs:read', "),
        (KeyBody, {**KEY, "role": ["reviewer"]}, "/role", "no such name; did you mean `roles`?"),
        (KeyBody, {**KEY, "subject": ""}, "/subject", "must have at least 1 character"),
        (BulkBody, {"action": "approve", "items": []}, "/items", "must have at least 1 item, and has 0"),
        (BulkBody, {"action": "approve", "items": [{**SEEN, "run": "x"}]}, "/items/0/run", "no such name; did you mean `run_id`?"),
        (BulkBody, {"action": "approve", "items": [{**SEEN, "run_id": "x"}]}, "/items/0/run_id", "must be a UUID"),
        (BulkBody, {"action": "aprove", "items": [SEEN]}, "/action", "must be 'approve' or 'reject'"),
        (AbsenceBody, {"person": "ann", "substitute": "bo"}, "/until", "is missing"),
        (DelegateBody, {"to": {"users": "bo", "user": "bo"}}, "/to/users", "no such name; did you mean `user`?"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_issue_in_words_of_our_own(
    model: Any, body: dict[str, Any], path: str, message: str
) -> None:
    """A list is not told to be too short of what was refused, and an unknown name is told the nearest."""
    with pytest.raises(Problem) as caught:
        read_model(model, json.dumps(body).encode(), body)
    (issue,) = caught.value.members["issues"]
    assert issue["path"] == path
    assert issue["message"].startswith(message)

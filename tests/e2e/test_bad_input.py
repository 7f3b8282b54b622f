"""Bad input is answered with a problem document that names code and field; no event is stored, the service stays up."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from contracts.topics import COMMANDS, EVENTS, WORK, Topic
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.kafka.topic_records import records_of
from testkit.stack.services import Stack
from testkit.stack.user import User, until

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}

GOOD = {"prompt": "hello"}


def _nested(levels: int) -> bytes:
    return b'{"prompt": "x", "parameters": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.parametrize(
    ("body", "status", "code", "names"),
    [
        pytest.param(b"", 422, "validation_failed", "", id="empty"),
        pytest.param(b'{"prompt": ', 422, "validation_failed", "", id="malformed"),
        pytest.param(b"[]", 422, "validation_failed", "", id="an array"),
        pytest.param(b"\xff\xfe", 422, "validation_failed", "", id="not UTF-8"),
        pytest.param(b"{}", 422, "validation_failed", "/prompt", id="no prompt"),
        pytest.param(b'{"prompt": ""}', 422, "validation_failed", "/prompt", id="an empty prompt"),
        pytest.param(b'{"prompt": 5}', 422, "validation_failed", "/prompt", id="wrong type"),
        pytest.param(b'{"prompt": "x", "promt": "y"}', 422, "validation_failed", "/promt", id="unknown field"),
        pytest.param(
            b'{"prompt": "x", "hitl_config": {"polcy": "auto"}}',
            422,
            "validation_failed",
            "/hitl_config/polcy",
            id="unknown field inside",
        ),
        pytest.param(
            b'{"prompt": "x", "hitl_config": {"policy": "maybe"}}',
            422,
            "validation_failed",
            "/hitl_config/policy",
            id="unknown policy",
        ),
        pytest.param(
            b'{"prompt": "x", "hitl_config": {"allowed_steps": ["lunch"]}}',
            422,
            "validation_failed",
            "/hitl_config/allowed_steps/0",
            id="unknown step",
        ),
        pytest.param(
            b'{"prompt": "x", "provider": "nobody"}', 422, "validation_failed", "/provider", id="unknown provider"
        ),
        pytest.param(b'{"prompt": "\\ud800"}', 422, "validation_failed", "", id="a lone surrogate"),
        pytest.param(b'{"prompt": "x", "parameters": {"t": NaN}}', 422, "validation_failed", "", id="NaN"),
        pytest.param(
            b'{"prompt": "x", "parameters": {"seed": ' + b"9" * 309 + b"}}",
            422,
            "validation_failed",
            "/parameters/seed",
            id="an integer beyond the range of doubles",
        ),
        pytest.param(_nested(2000), 422, "validation_failed", "", id="2,000 levels"),
        pytest.param(b'{"prompt": "' + b"x" * 30_000_000 + b'"}', 413, "payload_too_large", "", id="30 MB"),
    ],
)
async def test_a_bad_start_gets_a_problem_that_names_the_field(
    ann: User, body: bytes, status: int, code: str, names: str
) -> None:
    """No run is started, and the next good one is."""
    answer = await ann.http.post("/hitl/runs", content=body, headers={"content-type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    if names:
        assert names in [issue["path"] for issue in problem["issues"]], problem
    assert (await ann.http.post("/hitl/runs", json=GOOD)).status_code == 201


@pytest.mark.parametrize("path", ["", "/history"])
@pytest.mark.parametrize("run_id", [str(uuid4()), "not-a-run"])
async def test_an_unknown_run_is_not_found(ann: User, run_id: str, path: str) -> None:
    """Reads of what does not exist."""
    answer = await ann.http.get(f"/hitl/runs/{run_id}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize("action", ["approve", "edit", "reject", "pause", "resume", "cancel", "retry"])
async def test_an_action_on_an_unknown_run_is_not_found(ann: User, action: str) -> None:
    """Writes to what does not exist."""
    body: dict[str, Any] = {"edits": {}} if action == "edit" else {}
    answer = await ann.http.post(f"/hitl/runs/{uuid4()}/{action}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize(
    ("action", "body", "names"),
    [
        ("approve", {"checkpoint_id": "x"}, "/checkpoint_id"),
        ("approve", {"subject_sha256": "x"}, "/subject_sha256"),
        ("approve", {"approve": True}, "/approve"),
        ("edit", {}, "/edits"),
        ("edit", {"edits": [1]}, "/edits"),
        ("reject", {"reason": 5}, "/reason"),
        ("cancel", {"why": "x"}, "/why"),
    ],
)
async def test_a_bad_decision_names_the_field_and_records_nothing(
    ann: User, action: str, body: dict[str, Any], names: str
) -> None:
    """The checkpoint is open afterwards as it was before."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    before = await ann.until(run_id, "payload_review")
    answer = await ann.post(run_id, action, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert names in [issue["path"] for issue in answer.json()["issues"]]
    assert (await ann.view(run_id))["version"] == before["version"]


async def test_an_edit_that_breaks_the_schema_records_nothing(ann: User) -> None:
    """422 with the issues; the reviewer tries again."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    before = await ann.until(run_id, "payload_review")
    answer = await ann.decide(before, "edit", edits={"prompt": None})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert (await ann.view(run_id))["version"] == before["version"]


async def test_a_schema_that_multiplies_work_is_an_issue_of_the_payload(ann: User) -> None:
    """It is named before the call is made, no edit under it is taken, and other runs are answered meanwhile."""
    defs: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(6)}
    leaf = {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}
    schema = {"$defs": {**defs, "d6": leaf}, "$ref": "#/$defs/d0"}
    run_id = (await ann.start(hitl=TWO, operation="json", parameters={"schema": schema}))["run_id"]
    before = await ann.until(run_id, "payload_review")
    (issue,) = before["checkpoint"]["issues"]
    assert (issue["code"], issue["path"], issue["severity"]) == ("schema_too_costly", "/parameters/schema", "error")
    refused, other = await asyncio.gather(ann.decide(before, "approve"), ann.start(hitl=TWO))
    assert (refused.status_code, refused.json()["issues"][0]["code"]) == (422, "schema_too_costly")
    assert other["state"] == "created"
    plain = {"parameters": {"schema": {"$defs": None, "$ref": None, "type": "object"}}}
    assert (await ann.decide(before, "edit", edits=plain)).status_code == 200


async def test_a_decision_with_two_members_of_one_name_is_refused_by_both_doors(ann: User) -> None:
    """The last one would win: what a person rejected would be edited and approved."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    before = await ann.until(run_id, "payload_review")
    twice = b'"comment": "no", "comment": "yes"'
    answer = await ann.http.post(
        f"/hitl/runs/{run_id}/approve", content=b"{%b}" % twice, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["issues"][0]["code"]) == (422, "json_duplicate")
    async with ann.watch(run_id=run_id) as socket:
        about = f'"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": "{run_id}"'
        await socket.send_text(f'{{{about}, "action": "reject", "action": "edit", "edits": {{"prompt": "a"}}}}')
        error = await socket.until("ERROR")
    assert error["issues"][0]["code"] == "json_duplicate"
    assert (await ann.view(run_id))["version"] == before["version"]


async def test_a_page_of_another_host_can_neither_start_nor_approve(ann: User) -> None:
    """Browsers send both without a preflight request, as long as no content type is given."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    before = await ann.until(run_id, "payload_review")
    foreign = {"Origin": "https://evil.example"}
    for path, body in (("/hitl/runs", b'{"prompt": "x"}'), (f"/hitl/runs/{run_id}/approve", b"")):
        answer = await ann.http.post(path, content=body, headers=foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await ann.view(run_id))["version"] == before["version"]


@pytest.mark.parametrize("path", ["", "/history", "/events", "/approve"])
async def test_a_foreign_name_neither_reads_nor_decides(ann: User, path: str) -> None:
    """A page whose name was turned to this machine (DNS rebinding) looks like one of ours but for the name in `Host`."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    before = await ann.until(run_id, "payload_review")
    foreign = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000", "X-Forwarded-Host": "localhost"}
    answer = await ann.http.request(
        "POST" if path == "/approve" else "GET", f"/hitl/runs/{run_id}{path}", headers=foreign
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await ann.view(run_id))["version"] == before["version"]


async def test_a_decision_on_a_finished_run_says_what_is_possible(ann: User) -> None:
    """409 with the state and the pending actions; with the old checkpoint's id, the decision."""
    run_id = (await ann.start(hitl={"policy": "require_human", "allowed_steps": ["response_review"]}))["run_id"]
    view = await ann.until(run_id, "response_review")
    await ann.decide(view, "approve")
    late = await ann.post(run_id, "reject")
    assert (late.status_code, late.json()["code"], late.json()["state"]) == (409, "not_allowed", "completed")
    named = await ann.decide(view, "reject")
    assert (named.json()["code"], named.json()["decision"]["actor"]) == ("checkpoint_already_decided", "ann")


NOT_JSON, EMPTY = b"not json", b""
UNKNOWN = json.dumps({"kind": "fly-run.v1", "run_id": str(uuid4())}).encode()
MISSING = json.dumps({"kind": "cancel-run.v1", "run_id": str(uuid4())}).encode()
MALFORMED = {"not JSON": NOT_JSON, "empty": EMPTY, "unknown kind": UNKNOWN, "missing fields": MISSING}


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        pytest.param(topic, value, id=f"{topic.name}, {name}")
        for topic in (COMMANDS, WORK, EVENTS)
        for name, value in MALFORMED.items()
    ],
)
async def test_a_malformed_record_goes_to_the_dead_letter_topic(
    ann: User, stack: Stack, topic: Topic, value: bytes
) -> None:
    """With the reason in headers, byte for byte; the records around it are unharmed."""
    mark = uuid4().hex.encode()
    producer = Producer(stack.kafka.bootstrap, "test")
    await producer.start()
    try:
        started = await ann.start(hitl=TWO)
        await producer.send(
            Outgoing(topic.name, started["run_id"].encode(), value, [("mark", mark), ("bad", b"\xff\xfe")])
        )
        view = await ann.until(started["run_id"], "payload_review")
        assert (await ann.decide(view, "approve")).status_code == 200
        await ann.until(started["run_id"], "response_review")
    finally:
        await producer.stop()

    async def dead() -> dict[str, bytes] | None:
        for record in await records_of(stack.kafka.bootstrap, topic.dead):
            headers = dict(record.headers)
            if headers.get("mark") == mark:
                assert record.value == value
                return headers
        return None

    headers = await until(dead)
    assert headers["error"]
    assert headers["source-topic"] == topic.name.encode()

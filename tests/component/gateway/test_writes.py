"""Starting and deciding over HTTP: answers, refusals, keys, versions, and what becomes of a late outcome."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from testkit.stack.services import Stack
from testkit.stack.user import User

from .over_http import PAYLOAD, problem


async def waiting(user: User) -> dict[str, Any]:
    """Return the view of a new run with an open payload review."""
    return await user.until((await user.start(hitl=PAYLOAD))["run_id"], "payload_review")


async def test_a_start_is_answered_with_the_view_and_its_place(ada: User) -> None:
    """201, Location, and the version as the entity tag."""
    answer = await ada.http.post("/hitl/runs", json={"prompt": "x", "user_id": "u1", "labels": {"team": "ads"}})
    view = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/hitl/runs/{view['run_id']}"
    assert answer.headers["etag"] == '"1"'
    assert (view["state"], view["version"], view["user_id"], view["labels"]) == ("created", 1, "u1", {"team": "ads"})


@pytest.mark.parametrize(
    ("action", "body", "state"),
    [
        ("approve", {"comment": "good"}, "api_call"),
        ("edit", {"edits": {"prompt": "blue"}}, "api_call"),
        ("reject", {"reason": "bad"}, "cancelled"),
        ("cancel", {"reason": "enough"}, "cancelled"),
    ],
)
async def test_a_decision_is_answered_with_the_view_that_it_led_to(
    ada: User, action: str, body: dict[str, Any], state: str
) -> None:
    """200 with the state at once, and who decided."""
    before = await waiting(ada)
    answer = await ada.post(before["run_id"], action, actor="ada", **body)
    view = answer.json()
    assert (answer.status_code, view["state"], answer.headers["etag"]) == (200, state, f'"{view["version"]}"')
    if action != "cancel":
        assert (view["last_approval"]["actor"], view["last_approval"]["action"]) == ("ada", action)


async def test_pause_and_resume_and_retry(ada: User) -> None:
    """The three other ways to steer a run."""
    run_id = (await waiting(ada))["run_id"]
    paused = (await ada.post(run_id, "pause", reason="legal")).json()
    assert (paused["paused"], paused["pending_actions"]) == (True, ["resume"])
    resumed = (await ada.post(run_id, "resume")).json()
    assert (resumed["paused"], resumed["state"]) == (False, "payload_review")
    await ada.post(run_id, "reject")
    retried = (await ada.post(run_id, "retry")).json()
    assert (retried["state"], retried["error"]) == ("created", None)


async def test_no_body_is_needed_to_approve(ada: User) -> None:
    """Neither a body nor a type; the actor is anonymous."""
    run_id = (await waiting(ada))["run_id"]
    answer = await ada.http.post(f"/hitl/runs/{run_id}/approve")
    assert (answer.status_code, answer.json()["last_approval"]["actor"]) == (200, "anonymous")


async def test_refusals_say_what_is_the_case(ada: User) -> None:
    """The state, what is possible, who decided what, the issues: members of the document."""
    before = await waiting(ada)
    run_id, checkpoint = before["run_id"], before["checkpoint"]
    mismatch = problem(await ada.post(run_id, "approve", checkpoint_id=str(uuid4())), 409, "checkpoint_mismatch")
    assert mismatch["checkpoint_id"] == checkpoint["checkpoint_id"]
    problem(await ada.post(run_id, "approve", subject_sha256="0" * 64), 409, "subject_changed")
    broken = problem(await ada.post(run_id, "edit", edits={"prompt": None}), 422, "validation_failed")
    assert broken["issues"][0]["path"].startswith("/") or broken["issues"][0]["path"] == ""
    await ada.decide(before, "approve", comment="mine")
    decided = problem(await ada.decide(before, "reject"), 409, "checkpoint_already_decided")
    assert {name: decided["decision"][name] for name in ("actor", "action", "comment")} == {
        "actor": "ada",
        "action": "approve",
        "comment": "mine",
    }
    await ada.until(run_id, "completed")
    over = problem(await ada.post(run_id, "cancel"), 409, "not_allowed")
    assert (over["state"], over["pending_actions"], over["instance"]) == (
        "completed",
        [],
        f"/hitl/runs/{run_id}/cancel",
    )
    problem(await ada.post(str(uuid4()), "approve"), 404, "run_not_found")
    problem(await ada.post("no-id", "approve"), 404, "run_not_found")


async def test_if_match_lets_a_write_take_effect_on_one_version_alone(ada: User) -> None:
    """An old version is 412 with the one that is; the current one passes; a start has none."""
    before = await waiting(ada)
    old = await ada.post(before["run_id"], "approve", headers={"If-Match": '"1"'})
    assert problem(old, 412, "precondition_failed")["version"] == before["version"]
    now = await ada.post(before["run_id"], "approve", headers={"If-Match": f'"{before["version"]}"'})
    assert now.status_code == 200
    malformed = await ada.post(before["run_id"], "approve", headers={"If-Match": "5"})
    assert problem(malformed, 422, "validation_failed")["issues"][0]["path"] == "/If-Match"
    start = await ada.http.post("/hitl/runs", json={"prompt": "x"}, headers={"If-Match": '"1"'})
    problem(start, 412, "precondition_failed")


async def test_the_same_key_and_body_always_get_the_same_answer(ada: User) -> None:
    """A start, an accepted decision and a refused one; another body with the key is refused."""
    headers = {"Idempotency-Key": f"key {uuid4()}"}
    body = {"prompt": "once", "hitl_config": PAYLOAD}
    answers = [await ada.http.post("/hitl/runs", json=body, headers=headers) for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    other = await ada.http.post("/hitl/runs", json={**body, "prompt": "twice"}, headers=headers)
    problem(other, 422, "idempotency_key_reused")

    run_id = answers[0].json()["run_id"]
    await ada.until(run_id, "payload_review")
    approved = [await ada.post(run_id, "approve", headers=headers, comment="a") for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in approved} == {(200, approved[0].text)}
    problem(await ada.post(run_id, "reject", headers=headers), 422, "idempotency_key_reused")
    await ada.until(run_id, "completed")

    refused_key = {"Idempotency-Key": f"key {uuid4()}"}
    refused = [await ada.post(run_id, "cancel", headers=refused_key) for _ in range(2)]
    assert [problem(answer, 409, "not_allowed")["state"] for answer in refused] == ["completed"] * 2


async def test_a_key_that_is_sent_many_times_at_once_starts_one_run(ada: User) -> None:
    """Impatient clients and retrying proxies: all are told of the same run, and a request with another body is refused."""
    headers = {"Idempotency-Key": f"key {uuid4()}"}
    posts = [ada.http.post("/hitl/runs", json={"prompt": "once"}, headers=headers) for _ in range(10)]
    same = asyncio.gather(*posts)
    others = [ada.http.post("/hitl/runs", json={"prompt": f"other {n}"}, headers=headers) for n in range(5)]
    answers = [*await same, *await asyncio.gather(*others)]
    started = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.text for answer in started}) == 1
    assert len(started) in (1, 10)
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
async def test_a_key_that_is_none_is_named(ada: User, key: str) -> None:
    """422 at the header."""
    answer = await ada.http.post("/hitl/runs", json={"prompt": "x"}, headers={"Idempotency-Key": key})
    assert problem(answer, 422, "validation_failed")["issues"][0]["path"] == "/Idempotency-Key"


async def test_a_tools_name_stands_for_its_provider(ada: User) -> None:
    """The run is the provider's; an unknown tool is named where it stands."""
    offers = (await ada.http.get("/providers")).json()["items"]
    tool, provider = next((name, offer["provider"]) for offer in offers for name in offer["tool_names"])
    body = {"run_input": {"prompt": "x", "agent_tool_config": {tool: {"data": {"name": "m"}}}}}
    started = await ada.http.post("/hitl/run", json=body)
    assert (started.status_code, started.json()["provider"]) == (201, provider)
    flat = await ada.http.post("/hitl/runs", json={"prompt": "x", "provider": tool})
    assert flat.json()["provider"] == provider
    body["run_input"]["agent_tool_config"] = {"nobody": {}}
    unknown = problem(await ada.http.post("/hitl/run", json=body), 422, "validation_failed")
    assert unknown["issues"][0]["path"] == "/run_input/agent_tool_config/nobody"


async def test_a_late_outcome_is_answered_with_where_to_look(ada: User, site: Stack) -> None:
    """202 when the orchestrator is slow; the command is carried out all the same, once."""
    before = await waiting(ada)
    headers = {"Idempotency-Key": f"late {uuid4()}"}
    site.pause("orchestrator")
    try:
        late = await ada.post(before["run_id"], "approve", headers=headers)
    finally:
        site.resume("orchestrator")
    assert (late.status_code, late.json()["run_id"], late.json()["state"]) == (202, before["run_id"], "accepted")
    assert late.headers["location"] == f"/hitl/runs/{before['run_id']}"
    assert late.json()["command_id"]
    await ada.until(before["run_id"], "completed")
    again = await ada.post(before["run_id"], "approve", headers=headers)
    assert (again.status_code, again.json()["last_approval"]["action"]) == (200, "approve")
    assert (await ada.kinds(before["run_id"])).count("checkpoint-approved") == 1


async def test_of_many_deciders_at_once_one_wins(ada: User) -> None:
    """Twenty opposite decisions on one checkpoint: one takes effect, the others are told which."""
    before = await waiting(ada)
    actions = ["approve", "reject"] * 10
    answers = await asyncio.gather(*(ada.decide(before, action, actor=f"p{i}") for i, action in enumerate(actions)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    winner = won[0].json()["last_approval"]["actor"]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert {problem(answer, 409, "checkpoint_already_decided")["decision"]["actor"] for answer in lost} == {winner}


@pytest.mark.parametrize(
    ("content", "status", "code", "path"),
    [
        (b"{", 422, "validation_failed", ""),
        (b"null", 422, "validation_failed", ""),
        (b'{"comment": "\xff"}', 422, "validation_failed", ""),
        (b'{"comment": "\\ud800"}', 422, "validation_failed", "/comment"),
        (b'{"comment": 1}', 422, "validation_failed", "/comment"),
        (b'{"comment": "a", "comment": "b"}', 422, "validation_failed", ""),
        (b'{"comment": ' + b"[" * 2000 + b"]" * 2000 + b"}", 422, "validation_failed", "/comment"),
        (b'{"nope": 1}', 422, "validation_failed", "/nope"),
        (b'{"comment": "' + b"x" * 20_001 + b'"}', 422, "validation_failed", "/comment"),
        (b'{"comment": "' + b"x" * 300_000 + b'"}', 413, "payload_too_large", None),
    ],
    ids=["cut", "null", "bytes", "surrogate", "type", "twice", "deep", "unknown", "long", "large"],
)
async def test_a_bad_decision_gets_its_problem_and_decides_nothing(
    ada: User, content: bytes, status: int, code: str, path: str | None
) -> None:
    """The checkpoint stays open, and the next decision is taken."""
    before = await waiting(ada)
    answer = await ada.http.post(
        f"/hitl/runs/{before['run_id']}/approve", content=content, headers={"Content-Type": "application/json"}
    )
    document = problem(answer, status, code)
    if path is not None:
        assert document["issues"][0]["path"] == path
    assert (await ada.view(before["run_id"]))["version"] == before["version"]
    assert (await ada.decide(before, "approve")).status_code == 200


async def test_a_body_without_end_is_cut_off(ada: User) -> None:
    """Streamed without a length: refused once it is too large, with the service alive."""

    async def endless() -> Any:
        for _ in range(1000):
            yield b"x" * 65536

    answer = await ada.http.post("/hitl/runs", content=endless(), headers={"Content-Type": "application/json"})
    problem(answer, 413, "payload_too_large")
    await ada.start()


async def test_a_client_that_hangs_up_hurts_nobody(ada: User, site: Stack) -> None:
    """Half a request, then silence or the end of the line: others are served meanwhile and after."""
    address = httpx.URL(site.gateway_url)
    head = (
        b"POST /hitl/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    silent = [await asyncio.open_connection(address.host, address.port) for _ in range(20)]
    for _, writer in silent:
        writer.write(head)
        await writer.drain()
    await ada.start()
    for _, writer in silent:
        writer.transport.abort()
    await ada.start()
    assert (await ada.http.get("/health/ready")).status_code == 200


async def test_another_content_type_is_refused(ada: User) -> None:
    """What a page could make a browser send without asking is no request."""
    answer = await ada.http.post("/hitl/runs", content=b'{"prompt": "x"}', headers={"Content-Type": "text/plain"})
    problem(answer, 415, "unsupported_media_type")


async def test_a_parameter_that_a_write_does_not_know_is_named(ada: User) -> None:
    """It is not ignored: the client meant something by it."""
    answer = await ada.http.post("/hitl/runs?dry_run=1", json={"prompt": "x"})
    assert problem(answer, 422, "validation_failed")["issues"][0]["path"] == "/dry_run"

"""Every route of the API for runs, approvals, history, artifacts and providers."""

from __future__ import annotations

import hashlib
from uuid import uuid4

from testkit.stack.user import User

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


async def test_both_bodies_and_both_paths_start_a_run(ann: User) -> None:
    """The flat body, the wrapped one, and the wrapped one's inner object bare."""
    inner = {
        "prompt": "draw a boat",
        "user_email": "u@example.org",
        "session_id": "s-1",
        "agent_tool_config": {"sandbox": {"data": {"name": "sandbox-1", "description": "d", "example_input": {}}}},
        "hitl_config": TWO,
    }
    bodies = [{"prompt": "x", "hitl_config": TWO}, {"run_input": inner, "user_id": "u1", "session_id": "s-2"}, inner]
    for path in ("/hitl/runs", "/hitl/run"):
        views = [(await ann.http.post(path, json=body)).json() for body in bodies]
        assert [view["state"] for view in views] == ["created"] * 3
        assert [view["session_id"] for view in views] == [None, "s-2", "s-1"]
        assert [view["user_id"] for view in views] == [None, "u1", "u@example.org"]
        assert [view["provider"] for view in views] == ["sandbox"] * 3


async def test_runs_and_approvals_are_listed_filtered_and_paged(ann: User) -> None:
    """Pages hold each item once, whatever the page's size."""
    session = uuid4().hex
    started = [(await ann.start(hitl=TWO, session_id=session))["run_id"] for _ in range(5)]
    for run_id in started:
        await ann.until(run_id, "payload_review")
    for path, extra in (("/hitl/runs", {"state": "payload_review"}), ("/hitl/approvals", {"step": "payload_review"})):
        found: list[str] = []
        params: dict[str, str | int] = {"session_id": session, "limit": 2, **extra}
        while True:
            page = (await ann.http.get(path, params=params)).json()
            found += [item["run_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert sorted(found) == sorted(started), path


async def test_a_decided_checkpoint_waits_no_longer(ann: User) -> None:
    """`GET /hitl/approvals` lists the open checkpoints."""
    session = uuid4().hex
    run_id = (await ann.start(hitl={**TWO, "allowed_steps": ["payload_review"]}, session_id=session))["run_id"]
    view = await ann.until(run_id, "payload_review")
    item = (await ann.http.get("/hitl/approvals", params={"session_id": session})).json()["items"][0]
    assert item["checkpoint"] == view["checkpoint"]
    await ann.decide(view, "approve")
    await ann.until(run_id, "completed")
    assert (await ann.http.get("/hitl/approvals", params={"session_id": session})).json()["items"] == []


async def test_a_read_with_min_version_sees_what_the_write_answered(ann: User) -> None:
    """Read your own write, however far the read model is behind."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    answered = (await ann.decide(await ann.until(run_id, "payload_review"), "approve")).json()
    read = await ann.view(run_id, answered["version"])
    assert read["version"] >= answered["version"]
    if read["version"] == answered["version"]:
        assert read == answered


async def test_an_artifact_is_stored_once_by_its_content(ann: User) -> None:
    """The same bytes are the same artifact; they come back as they were."""
    body = b"%PDF-1.7 " + uuid4().bytes
    answers = [
        await ann.http.post(
            "/hitl/artifacts", files={"file": ("a.pdf", body, "application/pdf")}, params={"session_id": "s"}
        )
        for _ in range(2)
    ]
    sha256 = hashlib.sha256(body).hexdigest()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert {answer.json()["artifact"] for answer in answers} == {f"artifact:sha256:{sha256}"}
    read = await ann.http.get(f"/hitl/artifacts/{sha256}")
    assert (read.content, read.headers["content-type"]) == (body, "application/pdf")
    assert (await ann.http.get(f"/hitl/artifacts/{'0' * 64}")).status_code == 404


async def test_the_providers_say_what_they_offer(ann: User) -> None:
    """`GET /providers` and one of them."""
    names = [provider["provider"] for provider in (await ann.http.get("/providers")).json()["items"]]
    assert {"sandbox", "openai"} <= set(names)
    sandbox = (await ann.http.get("/providers/sandbox")).json()
    assert {"text", "json", "image"} <= set(sandbox["operations"])
    assert (await ann.http.get("/providers/nobody")).status_code == 404


async def test_the_openapi_document_has_every_route_with_examples(ann: User) -> None:
    """The documented routes are the served ones."""
    document = (await ann.http.get("/openapi.json")).json()
    decisions = [f"/hitl/runs/{{run_id}}/{action}" for action in ("approve", "edit", "reject")]
    controls = [f"/hitl/runs/{{run_id}}/{action}" for action in ("pause", "resume", "cancel", "retry")]
    reads = ["/hitl/runs/{run_id}", "/hitl/runs/{run_id}/history", "/hitl/runs/{run_id}/events", "/hitl/approvals"]
    others = [
        "/hitl/runs",
        "/hitl/run",
        "/hitl/artifacts",
        "/hitl/artifacts/{sha256}",
        "/providers",
        "/providers/{name}",
    ]
    assert set(decisions + controls + reads + others) <= document["paths"].keys()
    for path in ["/hitl/runs", *decisions]:
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content.get("examples") or content.get("example"), path


async def test_unknown_routes_and_methods_are_problems_too(ann: User) -> None:
    """No answer of the API is anything but JSON that a client can read."""
    for answer, status in ((await ann.http.get("/hitl/nothing"), 404), (await ann.http.delete("/hitl/runs"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"]

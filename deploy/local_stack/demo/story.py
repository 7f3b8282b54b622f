"""The story: a run is started, edited, contested, called, approved and read."""

from __future__ import annotations

import json
import secrets

import httpx
import websockets

from contracts.json_values import digest
from local_stack.demo.people import People, Person
from local_stack.demo.terminal import NotAsToldError, chapter, expect, say, show
from local_stack.demo.watcher import Json, Watcher


async def tell_story(gateway: httpx.AsyncClient, socket_url: str, provider: str, people: People) -> None:
    """Start a run, edit it, be refused a second decision, stream the call, approve, read the result. Raises NotAsToldError."""
    session = f"demo-{secrets.token_hex(3)}"
    chapter(f"Ann watches the session at {socket_url}")
    watched = f"{socket_url}?session_id={session}&user_id=ann"
    async with websockets.connect(watched, proxy=None, additional_headers=people.ann.headers) as socket:
        ann = Watcher(socket, people.ann)
        await ann.receive("SNAPSHOT")
        run_id = await start(gateway, people.ann, session, provider)
        request = await ann.receive("HITL_APPROVAL_REQUEST", run_id=run_id)
        show_request("Ann is asked about the payload, before anything is called", request["checkpoint"])
        await edit(gateway, people.ann, run_id, request["checkpoint"])
        await contest(gateway, people.bob, run_id, request["checkpoint"])
        chapter("Meanwhile the call is made, and every watcher sees its answer word by word")
        request = await ann.stream_output(run_id)
        show_request("The call was made. Ann is asked about the answer", request["checkpoint"])
        chapter("She approves it, this time over the WebSocket")
        result = await ann.approve(request)
        expect(result["ok"] is True, f"the approval was refused: {result}")
        show({"ok": result["ok"], "state": result.get("state")})
    await show_end(gateway, people.ann, run_id, result["version"])


async def start(gateway: httpx.AsyncClient, person: Person, session: str, provider: str) -> str:
    """Start the run; return its id."""
    chapter("An application starts an AI call: POST /hitl/runs")
    body = {
        "prompt": "Write a friendly reminder that the invoice of last month is still open.",
        "provider": provider,
        "operation": "text",
        "parameters": {"stream": True},
        "user_id": "ann",
        "session_id": session,
        "hitl_config": {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]},
    }
    show(body)
    view = await send(gateway, person, "/hitl/runs", body, 201)
    say(f"201: run {view['run_id']}, state {view['state']}")
    return str(view["run_id"])


def show_request(title: str, checkpoint: Json) -> None:
    """Show the reviewer's request, and check its hash."""
    chapter(title)
    for reason in checkpoint["reasons"]:
        say(f"because {reason['message']}")
    show(checkpoint["subject"])
    say(f"subject_sha256 {checkpoint['subject_sha256']}")
    expect(digest(checkpoint["subject"]) == checkpoint["subject_sha256"], "the hash is not that of the subject")


async def edit(gateway: httpx.AsyncClient, person: Person, run_id: str, checkpoint: Json) -> None:
    """Edit the subject, bound to its hash."""
    chapter(
        "She changes the prompt; with the hash, the decision holds for the bytes she saw and no others: POST …/edit"
    )
    body = {
        "checkpoint_id": checkpoint["checkpoint_id"],
        "subject_sha256": checkpoint["subject_sha256"],
        "edits": longer(checkpoint["subject"], " Thank them for the long partnership."),
        "comment": "a warmer tone",
        **person.signature,
    }
    view = await send(gateway, person, f"/hitl/runs/{run_id}/edit", body, 200)
    show({"edits": body["edits"]})
    say(f"200: the run goes on, state {view['state']}; the edit is kept as a difference:")
    show(view["last_approval"]["diff"])


def longer(subject: Json, more: str) -> Json:
    """Return the merge patch that adds to the prompt, wherever the provider's payload has it."""
    match subject:
        case {"prompt": str(prompt)}:
            return {"prompt": prompt + more}
        case {"messages": [*before, {"content": str(prompt)} as last]}:
            return {"messages": [*before, {**last, "content": prompt + more}]}
        case {"input": str(prompt)}:
            return {"input": prompt + more}
        case {"input": [*before, {"content": str(prompt)} as last]}:
            return {"input": [*before, {**last, "content": prompt + more}]}
    raise NotAsToldError(f"there is no prompt in the payload {json.dumps(subject)[:200]}")


async def contest(gateway: httpx.AsyncClient, person: Person, run_id: str, checkpoint: Json) -> None:
    """Decide the same checkpoint a second time, and be refused."""
    chapter("Bob rejects the same checkpoint a moment later: one decision, one effect")
    body = {"checkpoint_id": checkpoint["checkpoint_id"], "reason": "too friendly", **person.signature}
    problem = await send(gateway, person, f"/hitl/runs/{run_id}/reject", body, 409)
    expect(problem["code"] == "checkpoint_already_decided", f"the refusal is {problem['code']}")
    decision = problem["decision"]
    say(f"409 {problem['code']}: {decision['actor']} chose {decision['action']} at {decision['at']}")


async def show_end(gateway: httpx.AsyncClient, person: Person, run_id: str, version: int) -> None:
    """Show the result and the whole history, as far as `version` at least."""
    chapter(f"The run is complete: GET /hitl/runs/{{id}}?min_version={version}")
    answer = await gateway.get(f"/hitl/runs/{run_id}", params={"min_version": version}, headers=person.headers)
    view = answer.json()
    expect(answer.is_success and view["state"] == "completed", f"the run is not completed: {answer.text}")
    show(view["result"])
    chapter("And everything that happened is kept, in order: GET /hitl/runs/{id}/history")
    history = (await gateway.get(f"/hitl/runs/{run_id}/history", headers=person.headers)).json()["items"]
    for event in history:
        say(f"{event['version']:>3}  {event['at'][11:23]}  {event['kind']:<24} {event['actor']}")
    expect([event["version"] for event in history] == list(range(1, len(history) + 1)), "the history has gaps")


async def send(gateway: httpx.AsyncClient, person: Person, path: str, body: Json, status: int) -> Json:
    """Post; return the answer. Raises NotAsToldError when its status is another."""
    answer = await gateway.post(path, json=body, headers=person.headers)
    expect(answer.status_code == status, f"{path} answered {answer.status_code}, not {status}: {answer.text}")
    found: Json = answer.json()
    return found

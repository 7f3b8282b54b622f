"""`make demo`: the story of one run on a running stack, told step by step. The exit code says whether all went as told."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import textwrap
from typing import Any

import httpx
import websockets

from chassis.settings import Settings, SettingsError, exit_with, load_settings
from contracts.json_values import digest
from local_stack.stack import addresses_of

PATIENCE_SECONDS = 20.0
Json = dict[str, Any]


class NotAsToldError(Exception):
    """Something went otherwise than the story says; the message says what."""


class Watcher:
    """Somebody at the WebSocket, who sees what is pushed and can decide there."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def sees(self, kind: str, **members: object) -> Json:
        """Return the next message of `kind` with these members. Raises NotAsToldError when none comes."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    message: Json = json.loads(await self._socket.recv())
                    if message["type"] == kind and members.items() <= message.items():
                        return message
        except TimeoutError:
            raise NotAsToldError(f"no {kind} on the WebSocket within {PATIENCE_SECONDS:g} s") from None

    async def hears(self, run_id: str) -> Json:
        """Show what the run's call says as it says it; return the request to look at its answer. Raises NotAsToldError."""
        said, request = "", None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                # The request travels on a topic of its own, and may overtake the first words as well as the last.
                while request is None or not said:
                    message: Json = json.loads(await self._socket.recv())
                    if message["type"] == "HITL_PARTIAL_OUTPUT" and message["run_id"] == run_id:
                        print("" if said else "  ", message["text"], sep="", end="", flush=True)
                        said += message["text"]
                    if message["type"] == "HITL_APPROVAL_REQUEST" and message["run_id"] == run_id:
                        request = message
        except TimeoutError:
            missing = "no answer" if said else "said nothing while it ran"
            raise NotAsToldError(f"the call has {missing}, after {PATIENCE_SECONDS:g} s") from None
        answer = str(request["checkpoint"]["subject"].get("text", ""))
        print(answer.removeprefix(said) if answer.startswith(said) else "")
        return request

    async def approves(self, request: Json) -> Json:
        """Approve what `request` asks for, and return what became of it."""
        decision = {
            "type": "HITL_APPROVAL_RESPONSE",
            "request_id": secrets.token_hex(4),
            "run_id": request["run_id"],
            "checkpoint_id": request["checkpoint"]["checkpoint_id"],
            "subject_sha256": request["checkpoint"]["subject_sha256"],
            "action": "approve",
            "actor": "ann",
        }
        await self._socket.send(json.dumps(decision))
        return await self.sees("HITL_APPROVAL_RESULT", request_id=decision["request_id"])


async def tell_story(gateway: httpx.AsyncClient, socket_url: str, provider: str) -> None:
    """Start a run, edit it, lose against that, hear the call, approve the answer, read the result. Raises NotAsToldError."""
    session = f"demo-{secrets.token_hex(3)}"
    chapter(f"Ann watches the session at {socket_url}")
    async with websockets.connect(f"{socket_url}?session_id={session}&user_id=ann", proxy=None) as socket:
        ann = Watcher(socket)
        await ann.sees("SNAPSHOT")
        run_id = await start(gateway, session, provider)
        request = await ann.sees("HITL_APPROVAL_REQUEST", run_id=run_id)
        show_request("Ann is asked about the payload, before anything is called", request["checkpoint"])
        await edit(gateway, run_id, request["checkpoint"])
        await lose(gateway, run_id, request["checkpoint"])
        chapter("Meanwhile the call is made, and whoever watches hears it word by word")
        request = await ann.hears(run_id)
        show_request("The call was made. Ann is asked about the answer", request["checkpoint"])
        chapter("She approves it, this time over the WebSocket")
        result = await ann.approves(request)
        expect(result["ok"] is True, f"the approval was refused: {result}")
        show({"ok": result["ok"], "state": result.get("state")})
    await show_end(gateway, run_id, result["version"])


async def start(gateway: httpx.AsyncClient, session: str, provider: str) -> str:
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
    view = await send(gateway, "/hitl/runs", body, 201)
    say(f"201: run {view['run_id']}, state {view['state']}")
    return str(view["run_id"])


def show_request(title: str, checkpoint: Json) -> None:
    """Show what the reviewer sees, and check the hash over it."""
    chapter(title)
    for reason in checkpoint["reasons"]:
        say(f"because {reason['message']}")
    show(checkpoint["subject"])
    say(f"subject_sha256 {checkpoint['subject_sha256']}")
    expect(digest(checkpoint["subject"]) == checkpoint["subject_sha256"], "the hash is not that of the subject")


async def edit(gateway: httpx.AsyncClient, run_id: str, checkpoint: Json) -> None:
    """Change the subject, bound to what was seen."""
    chapter(
        "She changes the prompt; with the hash, the decision holds for the bytes she saw and no others: POST …/edit"
    )
    body = {
        "checkpoint_id": checkpoint["checkpoint_id"],
        "subject_sha256": checkpoint["subject_sha256"],
        "edits": longer(checkpoint["subject"], " Thank them for the long partnership."),
        "comment": "a warmer tone",
        "actor": "ann",
    }
    view = await send(gateway, f"/hitl/runs/{run_id}/edit", body, 200)
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


async def lose(gateway: httpx.AsyncClient, run_id: str, checkpoint: Json) -> None:
    """Decide on the same checkpoint once more."""
    chapter("Bob rejects the same checkpoint a moment later: one decision, one effect")
    body = {"checkpoint_id": checkpoint["checkpoint_id"], "reason": "too friendly", "actor": "bob"}
    problem = await send(gateway, f"/hitl/runs/{run_id}/reject", body, 409)
    expect(problem["code"] == "checkpoint_already_decided", f"the refusal is {problem['code']}")
    decision = problem["decision"]
    say(f"409 {problem['code']}: {decision['actor']} chose {decision['action']} at {decision['at']}")


async def show_end(gateway: httpx.AsyncClient, run_id: str, version: int) -> None:
    """Show the result and the whole history, as far as `version` at least."""
    chapter(f"The run is complete: GET /hitl/runs/{{id}}?min_version={version}")
    answer = await gateway.get(f"/hitl/runs/{run_id}", params={"min_version": version})
    view = answer.json()
    expect(answer.is_success and view["state"] == "completed", f"the run is not completed: {answer.text}")
    show(view["result"])
    chapter("And everything that happened is kept, in order: GET /hitl/runs/{id}/history")
    history = (await gateway.get(f"/hitl/runs/{run_id}/history")).json()["items"]
    for event in history:
        say(f"{event['version']:>3}  {event['at'][11:23]}  {event['kind']:<24} {event['actor']}")
    expect([event["version"] for event in history] == list(range(1, len(history) + 1)), "the history has gaps")


async def send(gateway: httpx.AsyncClient, path: str, body: Json, status: int) -> Json:
    """Post; return the answer. Raises NotAsToldError when its status is another."""
    answer = await gateway.post(path, json=body)
    expect(answer.status_code == status, f"{path} answered {answer.status_code}, not {status}: {answer.text}")
    found: Json = answer.json()
    return found


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it reads as a sentence
    """Go on when it holds. Raises NotAsToldError."""
    if not holds:
        raise NotAsToldError(otherwise)


def chapter(title: str) -> None:
    """Begin a step of the story."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}", flush=True)


def say(line: str) -> None:
    """Tell one fact."""
    print(textwrap.fill(line, 110, initial_indent="  ", subsequent_indent="    "))


def show(value: object) -> None:
    """Show JSON."""
    print(textwrap.indent(json.dumps(value, indent=2, ensure_ascii=False), "  "))


async def run(settings: Settings) -> None:
    """Tell the story to whoever runs the stack that the settings name."""
    addresses = addresses_of(settings)
    async with httpx.AsyncClient(base_url=addresses.http("gateway"), timeout=30, trust_env=False) as gateway:
        try:
            (await gateway.get("/health/live")).raise_for_status()
        except httpx.HTTPError:
            raise NotAsToldError(f"no stack answers at {gateway.base_url}; start one with: make run") from None
        await tell_story(gateway, addresses.websocket(), await choose_provider(gateway, settings))


async def choose_provider(gateway: httpx.AsyncClient, settings: Settings) -> str:
    """Return `openai` where the settings name a server for it, else the sandbox. Raises NotAsToldError."""
    if settings.openai_base_url is None:
        return "sandbox"
    offered = (await gateway.get("/providers/openai")).json()
    expect(offered.get("configured") is True, "OPENAI_BASE_URL is set here; start the stack with it too")
    return "openai"


def main() -> None:
    """Tell the story; exit with 1 and one line when it went otherwise."""
    try:
        asyncio.run(run(load_settings()))
    except SettingsError as error:
        exit_with(error)
    except (NotAsToldError, httpx.HTTPError, websockets.WebSocketException, OSError) as error:
        sys.exit(f"sayso: demo: {error or type(error).__name__}")
    print("\nAll went as told.")


if __name__ == "__main__":
    main()

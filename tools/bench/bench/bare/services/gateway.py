"""The bare gateway: three routes, the outcome of each command, and the read model."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uvicorn
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.bare.decider import new_id
from bench.bare.kafka import Sender, batches, partition_of, run
from bench.bare.services.projection import project
from bench.bare.settings import Settings
from bench.bare.steps import REPLY_TO, Json, filled, read
from contracts.topics import COMMANDS, OUTCOMES
from local_stack.ports import LOOPBACK
from local_stack.wait import together

_VIEW = b'"view":'


class Start(BaseModel):
    """The body of a start."""

    prompt: str
    provider: str
    user_id: str
    session_id: str
    hitl_config: dict[str, Any]


class Approve(BaseModel):
    """The body of an approval."""

    checkpoint_id: UUID
    subject_sha256: str
    actor: str


class Gateway:
    """Keeps the waiting requests, and each run's last view until its result is read."""

    def __init__(self, sender: Sender, start: Json, approve: Json) -> None:
        self._sender = sender
        self._start = start
        self._approve = approve
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._views: dict[str, bytes] = {}

    async def start(self, request: Request) -> Response:
        """Start a run; the template fills in the rest of its request."""
        body = Start.model_validate_json(await request.body())
        asked = {**self._start["request"], "prompt": body.prompt, "provider": body.provider}
        return await self._ask(self._start, {"run_id": new_id(), "request": asked}, 201)

    async def approve(self, request: Request) -> Response:
        """Approve the open checkpoint."""
        body = Approve.model_validate_json(await request.body())
        said = {"run_id": request.path_params["run_id"], **body.model_dump()}
        return await self._ask(self._approve, said, 200)

    async def result(self, request: Request) -> Response:
        """Return a run's last view, once."""
        return Response(self._views.pop(request.path_params["run_id"]), media_type="application/json")

    async def answer(self, kafka: str) -> None:
        """Resolve each waiting request with its outcome."""
        async for records in batches(kafka, OUTCOMES, [REPLY_TO]):
            for record in records:
                self._waiting.pop(record.headers[0][1]).set_result(record.value)

    async def _ask(self, template: Json, said: Json, status: int) -> Response:
        command_id, run_id = new_id(), said["run_id"]
        outcome = self._waiting[command_id.encode()] = asyncio.get_running_loop().create_future()
        command = filled(template, {**said, "command_id": command_id, "at": datetime.now(UTC)})
        self._sender.send(COMMANDS, partition_of(run_id), run_id.encode(), to_json(command))
        value = await outcome
        self._views[run_id] = view = value[value.index(_VIEW) + len(_VIEW) : -1]
        return Response(view, status, media_type="application/json")


async def main() -> None:
    """Serve until a part fails."""
    settings = Settings.read()
    steps, sender = read(settings.steps), Sender(settings.kafka)
    approve = next(step.command for step in steps if step.command["kind"] == "approve-checkpoint.v1")
    gateway = Gateway(sender, steps[0].command, approve)
    await sender.start()
    routes = [
        Route("/hitl/runs", gateway.start, methods=["POST"]),
        Route("/hitl/runs/{run_id}/approve", gateway.approve, methods=["POST"]),
        Route("/hitl/runs/{run_id}", gateway.result),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        host=LOOPBACK,
        port=settings.gateway_port,
        http="httptools",
        lifespan="off",
        access_log=False,
        server_header=False,
    )
    await together(uvicorn.Server(config).serve(), gateway.answer(settings.kafka), project(settings))


if __name__ == "__main__":
    run(main)

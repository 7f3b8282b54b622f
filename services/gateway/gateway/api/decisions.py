"""Writes to runs: starting one, deciding on one, steering one. Each becomes a command, and the command's outcome the answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from chassis.http.problems import issue
from contracts.runs.commands import StartRun
from contracts.runs.decisions import ANONYMOUS, BODIES, Action, command_of
from gateway.api.command_requests import CommandRequests, digest_of
from gateway.catalog import Catalog
from gateway.http import headers
from gateway.http.body import read_json
from gateway.http.caller import caller_of
from gateway.http.fast_path import Endpoint
from gateway.http.models import Start, read_start
from gateway.http.problems import Problem, invalid


class RunWrites:
    """The endpoints that write."""

    def __init__(self, requests: CommandRequests, catalog: Catalog) -> None:
        self._requests = requests
        self._catalog = catalog

    async def start(self, request: Request) -> Response:
        """Start a run."""
        headers.check_parameters(request)
        caller, key = caller_of(request), headers.idempotency_key(request)
        if headers.expected_version(request) is not None:
            raise Problem("precondition_failed", "a run that is not there yet has no version")
        body, raw = await read_json(request, self._requests.max_body_bytes)
        start = read_start(body, raw)
        command = StartRun(
            command_id=headers.new_command_id(caller, "start", key),
            run_id=headers.new_run_id(caller, key),
            tenant=caller.tenant,
            at=self._requests.now(),
            actor=caller.subject or ANONYMOUS,
            principal=caller.principal,
            request_sha256=digest_of("start", raw, key),
            request=start.request.changed({"provider": await self._provider(start)}),
        )
        return await self._requests.answer(command, 201)

    def action(self, action: Action) -> Endpoint:
        """Return the endpoint of one action on a run."""
        body_type = BODIES[action]

        async def act(request: Request) -> Response:
            said = await self._requests.read(request, action, body_type)
            return await self._requests.answer(command_of(action, said.body, said.head))

        return act

    async def _provider(self, start: Start) -> str:
        """Return the name of the provider that a start asks for, by its name or a tool's. Raises Problem, NoProviders."""
        await self._catalog.check()
        offer = self._catalog.find(start.request.provider)
        if offer is None:
            self._catalog.check_complete()
            known = ", ".join(offer.provider for offer in self._catalog.all())
            message = f"there is no provider {start.request.provider!r}; known are {known}"
            raise invalid([issue(start.provider_at, "provider_unknown", message)])
        return offer.provider

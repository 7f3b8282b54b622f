"""Clients that never read, that connect all at once, and that hang up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import httpx
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from chaos.clients.bad_clients import connect_and_never_read
from chaos.clients.http_client import AGAIN_SECONDS
from chaos.clients.load import Load
from chaos.clients.people import REVIEWER
from chaos.faults import Fault
from chaos.system.stage import Stage
from local_stack.credential import headers_of
from local_stack.wait import until

SILENT, CROWD = 5, 1000
PADDING = 40_000
"""Characters added to every prompt, so that a queue of megabytes fills within seconds."""


async def never_read(stage: Stage, load: Load) -> None:
    """Connect to the notifier and read nothing, until it has disconnected every such client."""
    clients: list[socket.socket] = []
    url, headers = stage.fleet.sockets()[0], headers_of(stage.keys.get(REVIEWER))
    try:
        clients += [await connect_and_never_read(url, headers) for _ in range(SILENT)]
        load.padding = PADDING

        async def disconnected() -> bool:
            return await _dropped(stage) >= SILENT

        await until(disconnected, 60, "clients that never read are disconnected")
    finally:
        load.padding = 0
        for client in clients:
            client.close()
    await load.runs_in_progress_end()


async def a_thousand(stage: Stage, load: Load) -> None:
    """Connect a thousand watchers at once. Each gets a snapshot and stays for a while."""
    leave, shown = asyncio.Event(), [0]
    crowd = [asyncio.create_task(_watch(stage, leave, shown)) for _ in range(CROWD)]
    try:
        await until(lambda: shown[0] == CROWD, 60, f"{CROWD} have a snapshot")
        await load.more(20)
    finally:
        leave.set()
        await asyncio.gather(*crowd)
    await load.runs_in_progress_end()


async def hang_up(stage: Stage, load: Load) -> None:
    """Break off every request in its middle, then send it in full."""
    load.hang_up_on_requests()
    await load.more(60)
    async with httpx.AsyncClient(base_url=stage.fleet.gateways()[0], trust_env=False) as http:
        assert (await http.get("/health/ready")).is_success


async def _watch(stage: Stage, leave: asyncio.Event, shown: list[int]) -> None:
    """Connect until a snapshot comes, and leave with the others."""
    url, headers = f"{stage.fleet.sockets()[0]}?session_id=crowd", headers_of(stage.keys.get(REVIEWER))
    greeted = False
    while not leave.is_set():
        with contextlib.suppress(ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, TimeoutError):
            async with connect(url, additional_headers=headers, max_size=None, open_timeout=30) as socket_:
                message = json.loads(await socket_.recv())
                assert message["type"] == "SNAPSHOT"
                shown[0] += not greeted
                greeted = True
                await leave.wait()
        await asyncio.sleep(AGAIN_SECONDS[-1])


async def _dropped(stage: Stage) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        metrics = (await http.get(f"{stage.fleet['notifier'].url}/metrics")).text
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    return sum(s.value for s in samples if s.name.endswith("dropped_total") and s.labels["why"] == "too_slow")


FAULTS = [
    Fault(f"clients: {SILENT} at the notifier that never read", never_read),
    Fault(f"clients: {CROWD:,} connect to the notifier at once", a_thousand),
    Fault("clients: every request is hung up on once, in its middle", hang_up),
]

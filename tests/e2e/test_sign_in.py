"""A person signs in with a real identity provider, decides in a browser, watches over a socket, and signs out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from local_stack.broker.embedded import EmbeddedBroker
from local_stack.postgres.server import Postgres
from local_stack.wait import until
from testkit.identity_provider.browser import Browser, hidden
from testkit.identity_provider.proxy import ProviderProxy
from testkit.kafka.servers import Kafka
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import WAIT_SECONDS

PAYLOAD = {"policy": "require_human", "allowed_steps": ["payload_review"]}


@pytest_asyncio.fixture
async def signed_stack(
    private_embedded: EmbeddedBroker, private_postgres: Postgres, identity_provider: ProviderProxy, tmp_path: Path
) -> AsyncIterator[Stack]:
    """Run services that ask for credentials, where people of the provider sign in."""
    kafka = Kafka(private_embedded.bootstrap, embedded=True, log_id=private_embedded.log_id)
    async with running_stack(
        kafka, private_postgres.url(), tmp_path / "services", identity_provider.settings
    ) as running:
        yield running


async def is_refused(url: str, headers: dict[str, str]) -> bool:
    """Return whether no socket is opened with these fields."""
    try:
        async with connect(url, additional_headers=headers):
            return False
    except InvalidStatus as refused:
        return refused.response.status_code == 401


async def test_a_person_signs_in_decides_watches_and_signs_out(
    signed_stack: Stack, identity_provider: ProviderProxy
) -> None:
    """One session for pages, calls and sockets, on PostgreSQL; its end ends all of them."""
    await identity_provider.know("ann", name="Ann", roles=["reviewer", "requester"])
    async with (browser := Browser(signed_stack.gateway_url)).http as http:
        assert (await http.get("/")).headers["location"] == "/signin"
        assert (await browser.sign_in("ann")).headers["location"] == "/"
        headers = {"X-CSRF-Token": await browser.csrf_token()}
        body = {"prompt": "a red bicycle", "provider": "sandbox", "hitl_config": PAYLOAD}
        started = await http.post("/hitl/runs", json=body, headers=headers)
        assert started.status_code == 201, started.text
        path = f"/hitl/runs/{started.json()['run_id']}"

        async def is_shown() -> bool:
            return "1 waiting" in (await http.get("/")).text

        await until(is_shown, WAIT_SECONDS, "the run on the page")
        cookie = {"Cookie": f"sayso_session={browser.session}", "Origin": signed_stack.gateway_url}
        async with connect(signed_stack.ws_url, additional_headers=cookie) as socket:
            while json.loads(await socket.recv())["type"] != "SNAPSHOT":
                pass
            view = (await http.post(f"{path}/approve", json={}, headers=headers)).json()
            assert (view["last_approval"]["actor"], view["requested_by"]) == ("ann", "ann")
            led = await http.post("/signout", data=hidden((await http.get("/")).text))
            assert led.headers["location"] == "/signin"
            with suppress(ConnectionClosed):
                async for _ in socket:  # what was pushed before the end
                    pass
        assert socket.close_code == 4401
        await until(lambda: is_refused(signed_stack.ws_url, cookie), WAIT_SECONDS, "the end of the session")
        assert (await http.get("/")).headers["location"] == "/signin"

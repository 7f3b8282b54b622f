"""Files on their way in and out: in pieces, in turn, and no more of them than the process has room for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.types import Message

from chassis.settings import Settings
from gateway.api.artifacts import BEGIN_SECONDS, PIECE_BYTES, UPLOADS_AT_ONCE
from gateway.api.routes import GatewayApi
from gateway.app import create_app
from gateway.testing.adapters import MemoryBroker, memory_adapters
from gateway.testing.memory import MemoryTables
from testkit.memory_transport import loop_turn

BODY = bytes(range(256)) * (5 * PIECE_BYTES // 256) + b"end"
PATH = f"/hitl/artifacts/{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture
def app() -> GatewayApi:
    """Give a gateway in memory."""
    return create_app(Settings(_env_file=None), memory_adapters(MemoryBroker(_decide), MemoryTables()))


async def _decide(_: object) -> None:
    return None


@pytest_asyncio.fixture
async def http(app: GatewayApi) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of it."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def test_a_file_comes_in_pieces_that_are_the_file(http: httpx.AsyncClient) -> None:
    """With its length, so that a cut is noticed."""
    await http.post("/hitl/artifacts", files={"file": ("f", BODY, "text/plain")})
    read = await http.get(PATH)
    assert (read.content, read.headers["content-length"]) == (BODY, str(len(BODY)))


async def test_a_reader_that_does_not_read_holds_one_piece(app: GatewayApi, http: httpx.AsyncClient) -> None:
    """The next is read from the store once this one is written."""
    await http.post("/hitl/artifacts", files={"file": ("f", BODY, "text/plain")})
    scope = {"type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "query_string": b""}
    sent: list[Message] = []
    is_sending, is_read = asyncio.Event(), asyncio.Event()

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            is_sending.set()
            await is_read.wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"host", b"localhost")]
    serving = asyncio.create_task(app({**scope, "headers": headers, "http_version": "1.1"}, receive, send))
    await is_sending.wait()
    for _ in range(20):
        await loop_turn()
    assert [len(message.get("body", b"")) for message in sent] == [0, PIECE_BYTES]
    is_read.set()
    await serving
    assert b"".join(message.get("body", b"") for message in sent) == BODY


async def test_more_uploads_than_places_wait_and_are_told(http: httpx.AsyncClient) -> None:
    """Each takes a file on disk: the one that finds no place within its time gets 503, and the others go on."""
    is_over, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow() -> AsyncIterator[bytes]:
        begun.release()
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nslow'
        await is_over.wait()
        yield b"\r\n--x--\r\n"

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    busy = [
        asyncio.create_task(http.post("/hitl/artifacts", content=slow(), headers=form)) for _ in range(UPLOADS_AT_ONCE)
    ]
    for _ in range(UPLOADS_AT_ONCE):
        await begun.acquire()
    answer = await http.post("/hitl/artifacts", files={"file": b"x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    is_over.set()
    assert {answer.status_code for answer in await asyncio.gather(*busy)} == {201}
    assert (await http.post("/hitl/artifacts", files={"file": b"x"})).status_code == 201


async def test_a_file_that_trickles_gives_its_place_to_others(app: GatewayApi) -> None:
    """After the first seconds a rate is asked for: nothing comes here, and the answer does not wait for the whole time of an upload."""
    sent: list[Message] = []
    pieces = iter([{"type": "http.request", "body": b"--x\r\n", "more_body": True}])

    async def receive() -> Message:
        for piece in pieces:
            return piece
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/hitl/artifacts", "raw_path": b"/hitl/artifacts"}
    async with asyncio.timeout(BEGIN_SECONDS + 20):
        await app({**scope, "query_string": b"", "headers": headers, "http_version": "1.1"}, receive, send)
    assert sent[0]["status"] == 408

"""What a client may make a service hold, over real sockets: heads, trailers, chunks, requests sent ahead, bodies that no route takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from chassis.http.bounded_http import HEAD_BYTES, TARGET_BYTES, BoundedHttp, BoundedState
from chassis.http.connections import DRAIN_SECONDS, HEAD_SECONDS, READ_SECONDS, Connections

BEGIN = b"POST /it HTTP/1.1\r\nHost: here\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
SECONDS = 20


class Application:
    """Reads the body, later at `/busy`, or refuses it unread at `/unread`; answers with the fields of the head, or with a lot at `/lot`."""

    def __init__(self) -> None:
        self.served = 0
        self.is_free = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.served += 1
        if scope["path"] == "/busy":
            await self.is_free.wait()
        more = scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
        body = json.dumps({name.decode(): value.decode() for name, value in scope["headers"]}).encode()
        pieces = [b"x" * 65536] * 400 if scope["path"] == "/lot" else [body]
        length = str(sum(map(len, pieces))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


@dataclass
class Site:
    """A server, and the connections that it counts."""

    port: int
    connections: Connections
    app: Application
    state: BoundedState
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.append(writer)
        return reader, writer

    async def close(self) -> None:
        """Close what was opened."""
        for writer in self.opened:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def say(self, *pieces: bytes) -> bytes:
        """Send pieces one after the other, as far as they are taken; return all that is answered until the server ends."""
        reader, writer = await self.open()
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(SECONDS):
                return await reader.read()
        return b""

    def later(self, seconds: float) -> None:
        """Look at the connections as if so much time had passed."""
        self.connections.sweep(asyncio.get_running_loop().time() + seconds)


@pytest_asyncio.fixture
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Serve, with as many places as the test asks for."""
    app, connections = Application(), Connections(getattr(request, "param", 100))
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=BoundedHttp, ws="none", lifespan="off", log_config=None, access_log=False)
    )
    server.server_state = state = BoundedState(connections)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment] # pytest's own stay in place
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    site = Site(server.servers[0].sockets[0].getsockname()[1], connections, app, state)
    yield site
    await site.close()
    server.should_exit = server.force_exit = True
    await running


def problem(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of an answer that must be a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head, answer[:300]
    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % document["status"])
    return document["status"], document["code"]


def fields_of(answer: bytes) -> dict[str, str]:
    """Return the fields of the head that the application was given."""
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    found: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def many(size: int, piece: bytes) -> Iterator[bytes]:
    """Return so many bytes of a repeated piece."""
    whole = piece * (65536 // len(piece))
    return (whole for _ in range(size // len(whole) + 1))


ENDLESS = {
    "small fields": (BEGIN, b"X: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 431),
    "fields without a value": (BEGIN, b"a:\r\n", 431),
    "one field": (BEGIN + b"X: ", b"a" * 1024, 431),
    "one name": (BEGIN, b"a" * 1024, 431),
    "a target": (b"GET /", b"a" * 1024, 414),
    "a query": (b"GET /?", b"a=1&" * 256, 414),
    "a chunk's extension": (CHUNKED + b"1;", b"a" * 1024, 431),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"a" * 1024, 431),
    "small trailers": (CHUNKED + b"0\r\n", b"X: a\r\n", 431),
}


@pytest.mark.parametrize("endless", ENDLESS)
async def test_what_does_not_end_is_refused_at_64_kib(site: Site, endless: str) -> None:
    """A head, a target, a trailer: 4 MB of it are answered with a problem document, and never handed on."""
    begin, piece, status = ENDLESS[endless]
    answer = await site.say(begin, *many(4_000_000, piece))
    assert problem(answer)[0] == status


async def test_two_thousand_small_fields_are_too_many(site: Site) -> None:
    """A field counts 32 bytes beyond its own, since it is an object here: 64 kB of small fields are more than a head may have."""
    answer = await site.say(BEGIN, b"X-Field: aaaaaaaaaaaaaaaaaaa\r\n" * 2000)
    assert problem(answer) == (431, "headers_too_large")
    assert site.app.served == 0


async def test_a_head_within_the_bound_is_served(site: Site) -> None:
    """Whatever it is made of, in whatever pieces it comes."""
    large = b"X: " + b"a" * (HEAD_BYTES - 1000) + b"\r\n"
    target = b"GET /?" + b"a" * (TARGET_BYTES - 100) + b" HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    for request in (BEGIN + large + b"Connection: close\r\n\r\n", target):
        assert (await site.say(request)).startswith(b"HTTP/1.1 200")
        assert (await site.say(*(request[at : at + 999] for at in range(0, len(request), 999)))).startswith(
            b"HTTP/1.1 200"
        )


async def test_trailers_change_no_request(site: Site) -> None:
    """Fields behind the body are dropped: the request is being answered by then."""
    answer = await site.say(CHUNKED[:-2] + b"Connection: close\r\n\r\n1\r\nx\r\n0\r\nIf-Match: 1\r\n\r\n")
    assert list(fields_of(answer)) == ["host", "transfer-encoding", "connection"]


@pytest.mark.parametrize(
    ("target", "fields", "host"),
    [
        (b"/it", b"Host:here", "here"),
        (b"/it", b"Host: \t here \t ", "here"),
        (b"/it?to=http://evil.example/", b"Host: here", "here"),
        (b"http://evil.example/it", b"Host: here", "evil.example"),
        (b"HTTP://evil.example:80/it?x", b"Host: here", "evil.example:80"),
    ],
)
async def test_the_host_that_is_asked_is_read_as_http_says(site: Site, target: bytes, fields: bytes, host: str) -> None:
    """Without the space around it; a target that names a host goes before the field, so that neither hides a foreign name."""
    answer = await site.say(b"GET " + target + b" HTTP/1.1\r\n" + fields + b"\r\nConnection: close\r\n\r\n")
    assert fields_of(answer)["host"] == host


@pytest.mark.parametrize("request_", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nNo field\r\n\r\n", CHUNKED + b"zz\r\n"])
async def test_a_malformed_request_gets_a_problem_document(site: Site, request_: bytes) -> None:
    """Where HTTP allows an answer at all."""
    assert problem(await site.say(request_)) == (400, "bad_request")


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n", b"GET / HT", BEGIN, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"])
async def test_a_head_comes_in_ten_seconds(site: Site, said: bytes) -> None:
    """The first of a connection and each later one; one that has begun is told."""
    reader, writer = await site.open()
    writer.write(said)
    if said.endswith(b"here\r\n\r\n"):
        await reader.readuntil(b"}")
    while len(site.connections) == 0:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    site.later(HEAD_SECONDS - 1)
    writer.write(b"")
    assert not reader.at_eof()
    site.later(HEAD_SECONDS + 1)
    rest = await asyncio.wait_for(reader.read(), SECONDS)
    if said.startswith((b"GET / HT", BEGIN)) and not said.endswith(b"\r\n\r\n"):
        assert problem(rest) == (408, "request_timeout")
    else:
        assert rest == b""


@pytest.mark.parametrize("close", [b"Connection: close\r\n", b""])
async def test_an_answer_can_be_read_though_its_body_is_still_sent(site: Site, close: bytes) -> None:
    """A client that writes all before it reads gets the answer and no reset, with 30 MB too."""
    head = b"POST /unread HTTP/1.1\r\nHost: here\r\nContent-Length: 30000000\r\n"
    reader, writer = await site.open()
    writer.write(head + close + b"\r\n")
    for piece in many(30_000_000 - 65536, b"x" * 1024):
        writer.write(piece)
        await writer.drain()
    assert await asyncio.wait_for(reader.readuntil(b"}"), SECONDS)


async def test_urllib_reads_a_refusal_of_thirty_megabytes(site: Site) -> None:
    """It says that it will close, as many simple clients do."""

    def send() -> int:
        url = f"http://127.0.0.1:{site.port}/unread"
        with urllib.request.urlopen(url, b"x" * 30_000_000, timeout=SECONDS) as answer:
            return int(answer.status)

    assert await asyncio.to_thread(send) == 200


async def _send(writer: asyncio.StreamWriter, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        writer.write(piece)
        await asyncio.wait_for(writer.drain(), SECONDS)


async def test_a_body_that_does_not_end_is_not_drained_for_ever(site: Site) -> None:
    """Neither in bytes nor in time."""
    head = b"POST /unread HTTP/1.1\r\nHost: here\r\nContent-Length: 999999999999\r\n\r\n"
    reader, writer = await site.open()
    writer.write(head)
    await reader.readuntil(b"}")
    with pytest.raises(ConnectionError):
        await _send(writer, many(200_000_000, b"x" * 1024))
    reader, writer = await site.open()
    writer.write(head + b"x")
    await reader.readuntil(b"}")
    site.later(DRAIN_SECONDS + 1)
    assert await asyncio.wait_for(reader.read(), SECONDS) == b""


async def test_requests_that_are_sent_ahead_wait_outside(site: Site) -> None:
    """Each of 2,000 is answered, in order, and few of them are held at a time."""
    one = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    reader, writer = await site.open()
    writer.write(one * 1999 + one[:-2] + b"Connection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), SECONDS)
    assert answer.count(b"HTTP/1.1 200") == 2000
    assert site.app.served == 2000


async def test_a_body_waits_outside_until_it_is_read(site: Site) -> None:
    """An application that is busy makes us hold one read of it, and no more."""
    reader, writer = await site.open()
    size = 20_000_000
    writer.write(b"POST /busy HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % size)
    sending = asyncio.create_task(_send(writer, iter([b"x" * 1_000_000] * 20)))
    await asyncio.wait([sending], timeout=0.5)
    (protocol,) = site.state.connections
    held = len(protocol.cycle.body)  # type: ignore[union-attr]
    assert 0 < held < 500_000
    site.app.is_free.set()
    await sending
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")


async def test_a_client_that_does_not_read_is_closed(site: Site) -> None:
    """After half a minute in which it took nothing; one that reads slowly stays."""
    reader, writer = await site.open()
    writer.write(b"GET /lot HTTP/1.1\r\nHost: here\r\n\r\n")
    while not any(peer.unread for peer in site.connections.peers):  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    site.later(0)
    site.later(READ_SECONDS - 1)
    assert len(site.connections) == 1
    assert max(peer.unread for peer in site.connections.peers) < 300_000
    site.later(READ_SECONDS + 1)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), SECONDS)
    assert len(site.connections) == 0


@pytest.mark.parametrize("site", [20], indirect=True)
async def test_connections_that_say_nothing_shut_nobody_out(site: Site) -> None:
    """The one that has waited longest gives its place; the log says once that all are taken."""
    with structlog.testing.capture_logs() as logs:
        for _ in range(60):
            await site.open()
        answer = await site.say(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(site.connections) <= 20
    assert [(log["log_level"], log["places"]) for log in logs] == [("warning", 20)]


@pytest.mark.parametrize("site", [5], indirect=True)
async def test_a_connection_without_a_place_is_told_so(site: Site) -> None:
    """No request that is being answered is closed for another."""
    busy = [await site.open() for _ in range(5)]
    for _, writer in busy:
        writer.write(BEGIN + b"Content-Length: 1\r\n\r\n")
    while site.app.served < 5:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0.01)
    assert problem(await site.say()) == (503, "unavailable")
    for reader, writer in busy:
        writer.write(b"x")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")

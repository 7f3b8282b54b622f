"""Uvicorn's HTTP protocol with a bound on everything that a client may make it hold or wait for, on a coalescing transport.

Bytes are counted where they come in, before a parser keeps them. What is malformed or too much is answered with a problem document,
and the rest is read for a while: a client that is still sending would otherwise see a reset in place of the answer.

Why this is no other server: docs/decisions/0019-bounds-before-the-parser.md.
"""

from __future__ import annotations

import asyncio
import http
import re
from typing import Any, cast

import httptools
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from chassis.http.connections import DRAIN_SECONDS, HEAD_SECONDS, Connections
from chassis.http.problems import problem_response
from chassis.http.write_coalescing import CoalescingTransport

HEAD_BYTES = 64 * 1024
"""Bytes of a head: its request line and its fields, trailers included."""

FIELD_BYTES = 32
"""What a field counts beyond its name and value, as HTTP/2 counts it (RFC 9113, section 6.5.2): each is an object of ours."""

TARGET_BYTES = 16 * 1024
"""Bytes of a request's target: its path and query."""

DRAIN_BYTES = 64 * 1024 * 1024
"""Bytes of a body that are read after its answer, and dropped."""

SLICE_BYTES = 1024
"""Bytes that are parsed at a time. No more requests than stand in them are waiting to be answered one after the other."""


class BoundedState(ServerState):
    """The state of a server that counts its connections."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self.bounds = connections


class BoundedHttp(HttpToolsProtocol):
    """One connection. `transport` is a CoalescingTransport, also of the WebSocket that it may become."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = server_state.bounds if isinstance(server_state, BoundedState) else Connections()
        self.url = b""
        self._in_head = False
        self._head_size = 0
        self._unfruitful = 0
        self._held = b""
        self._refusal: Response | None = None
        self._is_refused = False
        self._drained = 0

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is a place for one more connection."""
        wire = _LingeringTransport(transport, self)
        super().connection_made(cast("asyncio.Transport", wire))
        wire.lost = lambda: self._bounds.release(wire)
        now = self.loop.time()
        if self._bounds.admit(wire, now):
            self._bounds.wait(self, now + HEAD_SECONDS)
        elif self._bounds.refuse(wire):
            self._refuse("unavailable", "every place for a connection is taken: try again", until=now + 1)
        else:
            self.evict()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._bounds.arrived(self)
        self._wire.lost()
        self._held = b""
        super().connection_lost(exc)

    def expire(self) -> None:
        """Close: the head of a request did not come in time, or what was left of a body did not end."""
        if self._in_head and not self._is_refused:
            self._refuse("request_timeout", f"the head of a request must come within {HEAD_SECONDS:g} s")
        else:
            self._is_refused = True
            self._wire.close()

    def evict(self) -> None:
        """Close at once: another connection needs the place."""
        self._is_refused = True
        self._wire.lost()
        self._wire.abort()

    def shutdown(self) -> None:
        """Close for the stop of the server, once what is being answered is answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._is_refused = True
            self._wire.close()
        else:
            super().shutdown()

    @property
    def _wire(self) -> _LingeringTransport:
        return cast("_LingeringTransport", self.transport)

    @property
    def is_sent_to(self) -> bool:
        """Whether the client may still be sending a request."""
        return not self._is_refused and (self._in_head or (self.cycle is not None and self.cycle.more_body))

    # What comes in.

    def data_received(self, data: bytes) -> None:
        """Parse, slice by slice; while requests wait for the answer to one before them, the rest is held and no more is read."""
        if self._is_refused:
            self._drain(len(data))
        elif len(data) <= SLICE_BYTES and not self._held:
            self._feed(data)
        else:
            self._held += data
            self._feed_held()

    def _feed_held(self) -> None:
        held, at = memoryview(self._held), 0
        while at < len(held) and not self.pipeline and not self._is_refused and self._refusal is None:
            self._feed(held[at : at + SLICE_BYTES])
            at += SLICE_BYTES
        self._held = b"" if self._is_refused or self.parser is None else bytes(held[at:])
        if self._held:
            self.flow.pause_reading()

    def _feed(self, data: bytes | memoryview) -> None:
        was_in_head = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._is_refused = True  # nothing more of this connection is HTTP
                self._bounds.arrived(self)
                self.handle_websocket_upgrade()
            return
        except httptools.HttpParserError:
            if not self._is_excessive():
                self._refuse("bad_request", "this is no HTTP request, or a malformed one")
            return
        self._unfruitful += len(data)
        if self._in_head:
            if not was_in_head:
                self._bounds.wait(self, self.loop.time() + HEAD_SECONDS)
            self._is_excessive()
        elif self._unfruitful > HEAD_BYTES:
            self._is_excessive()

    def _is_excessive(self) -> bool:
        """Refuse a head, a trailer or a chunk's extension that is too long."""
        if len(self.url) > TARGET_BYTES:
            self._refuse("uri_too_long", f"the target of a request has at most {TARGET_BYTES} bytes")
        elif self._head_size > HEAD_BYTES or self._unfruitful > HEAD_BYTES + SLICE_BYTES:
            self._refuse("headers_too_large", f"the head of a request has at most {HEAD_BYTES} bytes")
        else:
            return False
        return True

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head. Fields behind the body are counted and dropped: they would change a request that is being answered."""
        self._head_size += len(name) + len(value) + FIELD_BYTES
        if not self._in_head:
            return
        name, value = name.lower(), value.rstrip(b" \t")  # the parser leaves the space behind a value
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too long."""
        self._unfruitful = 0
        if self._head_size > HEAD_BYTES or len(self.url) > TARGET_BYTES:
            raise ValueError  # the parser stops, and the request is refused
        self._take_host_of_target()
        super().on_headers_complete()
        self._in_head = False
        self._bounds.arrived(self)

    def _take_host_of_target(self) -> None:
        """Put the host of a target that names one in the place of the field: it alone counts then (RFC 9112, section 3.2.2)."""
        _, is_named, rest = self.url.partition(b"://")
        if is_named and not self.url.startswith(b"/"):
            host = re.split(rb"[/?#]", rest, maxsplit=1)[0]
            self.headers[:] = [(name, host if name == b"host" else value) for name, value in self.headers]

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on, or drop it if it was answered without."""
        self._unfruitful = 0
        cycle = self.cycle
        if cycle is not None and cycle.response_complete:
            self._drain(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request's body."""
        self._unfruitful = 0
        if self.cycle is not None and self.cycle.response_complete:
            self.cycle.more_body = False
            self._await_head()
        else:
            super().on_message_complete()

    # What goes out.

    def on_response_complete(self) -> None:
        """Answer the next request that is here, or wait for one."""
        self.server_state.total_requests += 1
        if self._is_refused or self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._say(self._refusal)
            return
        elif self.cycle.more_body:
            self._bounds.wait(self, self.loop.time() + DRAIN_SECONDS)
        else:
            self._await_head()
        if self._held and not self.pipeline:
            self._feed_held()
        if not self._held:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what uvicorn finds malformed."""
        self._refuse("bad_request", msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: the request is answered as if it had not asked."""

    def _await_head(self) -> None:
        self._drained = 0
        self._bounds.wait(self, self.loop.time() + HEAD_SECONDS)

    def _refuse(self, code: str, detail: str, until: float | None = None) -> None:
        """Answer with a problem and read no further request. An answer that is being written ends first."""
        if self._is_refused or self._refusal is not None:
            return
        refusal = problem_response(code, detail, self.url[:200].decode("latin-1") or "/")
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                self._refusal = refusal
                self.flow.pause_reading()
                return
            # The fault is in the body of the request that is being answered: it will not come.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
        self._say(refusal, until)

    def _say(self, refusal: Response, until: float | None = None) -> None:
        phrase = http.HTTPStatus(refusal.status_code).phrase
        lines = [b"HTTP/1.1 %d %b" % (refusal.status_code, phrase.encode())]
        lines += [name + b": " + value for name, value in refusal.raw_headers]
        self._wire.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(refusal.body)]))
        self.linger(until)

    def linger(self, until: float | None = None) -> None:
        """Say that nothing follows, and read what the client is still sending, for a while."""
        self._is_refused = True
        self._held = b""
        self._wire.end()
        self._bounds.wait(self, until or self.loop.time() + DRAIN_SECONDS)
        self.flow.resume_reading()

    def _drain(self, size: int) -> None:
        self._drained += size
        if self._drained > DRAIN_BYTES:
            self._is_refused = True
            self.transport.abort()


class _LingeringTransport(CoalescingTransport):
    """A coalescing transport that does not reset a client which is still sending when it is closed."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedHttp) -> None:
        super().__init__(transport, protocol.loop)
        self._protocol = protocol

    def close(self) -> None:
        """Write the buffer and close; a client that is still sending gets time to read it."""
        if self._protocol.is_sent_to and not self.is_closing():
            self._protocol.linger()
        else:
            super().close()

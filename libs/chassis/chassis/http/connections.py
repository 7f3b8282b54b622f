"""The open connections of a process: how many there may be, which of them waits for its client, and until when. No sockets here.

A connection that says nothing costs a file, and files are few: when all places are taken, the one that has waited longest gives its
place to the next. One whose request is being answered is never closed for another.
"""

from __future__ import annotations

import resource
from typing import Protocol

import structlog

HEAD_SECONDS = 10.0
"""How long the head of a request may take, from the beginning of a connection or the answer before."""

DRAIN_SECONDS = 30.0
"""How long what is left of a body is read after the answer, so that its sender gets to read the answer."""

READ_SECONDS = 30.0
"""How long a client may read nothing of what is written to it."""

MOST_CONNECTIONS = 10_000

RESERVED_FILES = 200
"""Files that are left for databases, Kafka, logs, uploads, and the last words to connections that find no place."""

MOST_REFUSED = 50
"""Connections without a place that are told so at a time; others are closed without a word."""

WARNING_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class Peer(Protocol):
    """A connection's writing side, as far as the bounds look at it."""

    @property
    def read(self) -> int:
        """Bytes of what was written that the client, or its system, has taken."""

    @property
    def unread(self) -> int:
        """Bytes that it has yet to take."""

    def abort(self) -> None:
        """Close at once; what was not read is lost."""


class PendingConnection(Protocol):
    """A connection whose client has to send something."""

    def expire(self) -> None:
        """Close: it did not come in time."""

    def evict(self) -> None:
        """Close at once: another connection needs the place."""


class Connections:
    """At most `most` connections. Times are the event loop's, in seconds."""

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self.most = most
        self._peers: dict[Peer, tuple[int, float]] = {}
        self._refused: set[Peer] = set()
        self._waiting: dict[PendingConnection, float] = {}
        self._quiet_until = 0.0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._peers)

    @property
    def peers(self) -> list[Peer]:
        """Those that have a place."""
        return list(self._peers)

    def admit(self, peer: Peer, now: float) -> bool:
        """Give a connection a place, that of the one that has waited longest if there is no other. False when there is none."""
        if len(self._peers) >= self.most:
            self._warn(now)
            if not self._waiting:
                return False
            longest = next(iter(self._waiting))
            self.arrived(longest)
            longest.evict()
        self._peers[peer] = (0, now)
        return True

    def refuse(self, peer: Peer) -> bool:
        """Return whether there is time for a last word to a connection without a place."""
        if len(self._refused) >= MOST_REFUSED:
            return False
        self._refused.add(peer)
        return True

    def release(self, peer: Peer) -> None:
        """Take a connection's place back. Releasing twice is no error."""
        self._peers.pop(peer, None)
        self._refused.discard(peer)

    def wait(self, waiting: PendingConnection, until: float) -> None:
        """Let a client have until then to send what is due."""
        self._waiting.pop(waiting, None)
        self._waiting[waiting] = until

    def arrived(self, waiting: PendingConnection) -> None:
        """Wait no longer: it came, or its connection is closed."""
        self._waiting.pop(waiting, None)

    def sweep(self, now: float) -> None:
        """Close the connections whose clients have sent, or read, nothing for too long."""
        for waiting in [each for each, until in self._waiting.items() if until <= now]:
            self.arrived(waiting)
            waiting.expire()
        for peer, (read, since) in list(self._peers.items()):
            if peer.unread == 0 or peer.read > read:
                self._peers[peer] = (peer.read, now)
            elif now - since >= READ_SECONDS:
                self.release(peer)
                peer.abort()

    def _warn(self, now: float) -> None:
        if now >= self._quiet_until:
            _log.warning("every place for a connection is taken: idle ones are closed for new ones", places=self.most)
            self._quiet_until = now + WARNING_SECONDS


def places() -> int:
    """Return how many connections the process has files for, after raising its own limit of files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(min(MOST_CONNECTIONS, soft - RESERVED_FILES), 16)

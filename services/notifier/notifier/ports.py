"""What the notifier needs from outside: the gateway's read model, the log, the time. `service` alone names their adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from contracts.runs.commands import Asked
from contracts.runs.outcomes import Answer
from identity.resolver import Resolver
from messaging.records import RawRecord

MAX_RUNS = 200
"""Runs in a snapshot; the newest are shown."""

Now = Callable[[], datetime]

Ask = Callable[[Asked], Awaitable[Answer | None]]
"""Sends a command and returns its outcome, or None when that is late. Raises BrokerUnavailable."""

OnRecords = Callable[[Sequence[RawRecord]], Awaitable[None]]
"""Takes one batch of records, in the order of each partition."""


MAX_BYTES = 8 * 1024 * 1024
"""Bytes of a snapshot's views, about."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Views of runs, newest first: those that wait for a decision, and the other ones. `truncated` when there are more."""

    approvals: tuple[dict[str, Any], ...]
    runs: tuple[dict[str, Any], ...]
    truncated: bool

    @classmethod
    def of(cls, views: Iterable[dict[str, Any]], *, truncated: bool = False) -> Snapshot:
        """Make a snapshot of views as the gateway shows them; of two views of one run, the later one counts."""
        runs = sorted(
            {view["run_id"]: view for view in views}.values(), key=lambda view: str(view["created_at"]), reverse=True
        )
        shown = runs[:MAX_RUNS]
        # `GET /hitl/approvals` lists these very views; a second request could contradict the first.
        waiting = tuple(view for view in shown if view["checkpoint"] is not None)
        others = tuple(view for view in shown if view["checkpoint"] is None)
        return cls(waiting, others, truncated or len(runs) > MAX_RUNS)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each run."""
        return {view["run_id"]: view["version"] for view in (*self.approvals, *self.runs)}


class Gateway(Protocol):
    """The gateway's read model, which may be behind the log or ahead of this instance. Raises GatewayUnavailable."""

    async def snapshot(
        self, *, run_id: str | None, session_id: str | None, user_id: str | None, credential: str | None = None
    ) -> Snapshot:
        """Return the open runs that match every filter given, of those that may be seen with a credential.

        A run that is named by `run_id` is shown though it is over.
        """

    async def history(self, tenant: str, run_id: str) -> list[bytes] | None:
        """Return every event of a run, as values of `run.events`; None when there is no such run."""

    async def check(self) -> None:
        """Return if the gateway answers."""

    async def close(self) -> None:
        """Close the connections."""


class Identity(Protocol):
    """Who resolves the credentials of clients."""

    resolver: Resolver | None

    async def open(self) -> None:
        """Be ready to be asked."""

    def close(self) -> None:
        """Disconnect at once."""


class EventLog(Protocol):
    """`run.events` and `run.partials`, all of whose records every instance reads, and the topics of commands and outcomes."""

    async def connect(self) -> str:
        """Connect, as often as it takes; return the identity of the log."""

    async def read(self, on_events: OnRecords, on_partial_output: OnRecords) -> Mapping[int, range]:
        """Begin to hand over records; return the offsets of `run.events` to be read before clients are served, by partition.

        Earlier records may be handed over too. Of `run.partials`, only new records are.
        """

    async def ask(self, command: Asked) -> Answer | None:
        """Send a command and return its outcome, or None when that is late. Raises BrokerUnavailable."""

    async def check(self) -> None:
        """Return if the log can be read. Raises any error with the reason."""

    async def close(self) -> None:
        """Disconnect."""


class Adapters(NamedTuple):
    """The ports that a notifier stands on."""

    gateway: Gateway
    log: EventLog
    now: Now
    identity: Identity | None = None
    """None while authentication is off."""

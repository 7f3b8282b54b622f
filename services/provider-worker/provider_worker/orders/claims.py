"""Claims calls, however long the database is unavailable. A claimed call is this worker's to begin, and no other worker's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import uuid4

import structlog

from chassis.failpoints import Failpoints
from chassis.obstacle import Obstacle
from contracts.providers.orders import ExecuteOrder
from provider_worker.errors import DatabaseUnavailable, WorkerStopping
from provider_worker.messages.orders import Key
from provider_worker.orders.lease import Lease
from provider_worker.ports import CallOrder, Claims

_LONGEST_PAUSE = 5.0
RELEASE_SECONDS = 1.0
"""How long a worker that stops waits for the database to take its claims back. Beyond it, a person is asked about the calls."""

HANDED_BACK = "handed back"
"""Who has the claim of a call that was handed back: no worker begins it, and whichever gets its order again hands it back again."""

_log = structlog.get_logger(__name__)


class Claimer:
    """Claims calls until the worker stops. Retries by hand: its pause also ends with a stop, which a retry library's does not."""

    def __init__(self, claims: Claims, failpoints: Failpoints) -> None:
        self._claims = claims
        self._failpoints = failpoints
        self._stopping = asyncio.Event()
        self.obstacle = Obstacle()

    def stop(self) -> None:
        """Wait for the database no longer."""
        self._stopping.set()

    def of(self, order: CallOrder, lease: Lease) -> OrderClaim:
        """Return the claim of one call, not made yet."""
        return OrderClaim(self, order, lease)

    async def claim(self, orders: Sequence[CallOrder], token: str) -> set[Key]:
        """Return which calls are `token`'s to begin. Raises WorkerStopping when that is not known before a stop: none of them is then."""
        try:
            return await self._claim(orders, token)
        except WorkerStopping:
            # The statement may have taken effect without an answer.
            await self.release(orders, token)
            raise

    async def claim_to_hand_back(self, orders: Sequence[ExecuteOrder]) -> set[Key]:
        """Return which calls have not begun, and from now on can be begun by no worker. Raises WorkerStopping.

        It is never undone: another worker may have handed the same order back, and its run may have ordered the call anew.
        """
        return await self._claim(orders, HANDED_BACK)

    async def _claim(self, orders: Sequence[CallOrder], token: str) -> set[Key]:
        pause = 0.1
        while True:
            try:
                mine = await self._claims.claim(orders, token)
            except DatabaseUnavailable as error:
                self.obstacle.reason = f"calls are held: {error}"
                _log.warning("waiting for the database", reason=str(error), orders=len(orders))
            else:
                self.obstacle.reason = None
                self._failpoints.reached("work.claimed")
                return mine
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    raise WorkerStopping
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def release(self, orders: Sequence[CallOrder], token: str) -> None:
        """Give up claims on calls that did not begin, if the database takes it now: else no worker could begin them."""
        with contextlib.suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._claims.release(orders, token)


class OrderClaim:
    """The claim of one call, under a token of its own. Implements `rate_limits.admission.Claim`."""

    def __init__(self, claimer: Claimer, order: CallOrder, lease: Lease) -> None:
        self._claimer = claimer
        self._order = order
        self._lease = lease
        self._token = uuid4().hex
        self._taken = False

    def waits_for(self, what: str | None) -> None:
        """Say through the lease what the call waits for."""
        self._lease.waits_for(what)

    async def take(self) -> bool:
        """Claim the call; return whether it is ours. Raises WorkerStopping."""
        self._taken = bool(await self._claimer.claim([self._order], self._token))
        return self._taken

    async def release(self) -> bool:
        """Give the call up that did not begin, so that another worker may begin it. Return whether it was ours."""
        if self._taken:
            await self._claimer.release([self._order], self._token)
        return self._taken

    async def may_begin(self) -> bool:
        """Claim the call; return whether it is ours and its lease still holds. Raises WorkerStopping."""
        return await self.take() and not self._lease.has_run_out

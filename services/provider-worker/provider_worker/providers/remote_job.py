"""Polls a job that a vendor runs on its own time until it has ended, and classifies failures on the way. Starts no job; knows no vendor."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError

GROWTH = 1.5

_UNSURE = re.compile(r" ?The call may have happened\.")

Found = Mapping[str, Any]
Look = Callable[[], Awaitable[dict[str, Any]]]
"""Asks the vendor once. Raises ProviderError."""


async def ignore(_: Found) -> None:
    """Do nothing with a look."""


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """Seconds between two looks, growing from `first` to `longest`, and how long a job is polled in all.

    `patience` is less than a call may take, so that a job that hangs is known, and not a call that may have happened.
    After `misses` failed looks in a row the attempt is over.
    """

    first: float = 0.5
    longest: float = 5.0
    patience: float = 540.0
    misses: int = 5


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A kind of job at a vendor: its `noun`, its possible good end (`hope`), and its test for an end."""

    noun: str
    hope: str
    has_ended: Callable[[Found], bool]

    async def until_ended(
        self,
        found: Found,
        look: Look,
        schedule: PollSchedule,
        hear: Callable[[Found], Awaitable[None]] = ignore,
    ) -> dict[str, Any]:
        """Poll until the job has ended, and return it; `hear` gets the job after each look but the last. Raises ProviderError.

        A job without a status is asked about at once. A look that fails costs nothing and is repeated.
        """
        until = time.monotonic() + schedule.patience
        wait, misses = (schedule.first if "status" in found else 0.0), 0
        while not self.has_ended(found):
            if time.monotonic() + wait > until:
                raise ProviderError(self.overdue(schedule.patience))
            await asyncio.sleep(wait)
            wait = min(max(wait * GROWTH, schedule.first), schedule.longest)
            try:
                found, misses = await look(), 0
            except ProviderError as error:
                failure, misses = self.of_look(error.failure), misses + 1
                if not failure.retryable or misses >= schedule.misses:
                    raise ProviderError(failure) from error
                wait = max(wait, failure.retry_after or 0)
            else:
                if not self.has_ended(found):
                    await hear(found)
        return dict(found)

    def of_look(self, failure: Failure) -> Failure:
        """Return the failure of a look: the job goes on all the same, until the vendor forgets it."""
        match failure.code:
            case "not_found":
                message = f"The server does not know the {self.noun} any more that was begun. It may be paid for."
                return failure.changed({"code": "call_gone", "message": message, "uncertain": True})
            case "malformed_response":
                return failure.changed({"retryable": True})
            case "response_too_large":
                message = f"{failure.message} The {self.noun} was begun before; the server still has it."
                return failure.changed({"message": message, "uncertain": True})
            case "auth_failed" | "forbidden":
                message = f"{failure.message} The {self.noun} was begun before, and may {self.hope}."
                return failure.changed({"message": message, "uncertain": True})
        return failure

    def of_known(self, failure: Failure, name: str) -> Failure:
        """Return a failure during polling: the job's end is unknown, and the next attempt can ask about it."""
        if not failure.retryable:
            return failure
        begun = f"{self.noun.capitalize()} {name} was begun; the next attempt asks about it."
        return failure.changed({"message": f"{undoubted(failure.message)} {begun}", "uncertain": True})

    def overdue(self, seconds: float) -> Failure:
        """Return the failure of a job that did not end in time."""
        return Failure(code="timeout", message=f"The {self.noun} did not end within {seconds:g} s.", retryable=True)

    def nameless(self) -> Failure:
        """Return the failure of an answer that is no such job."""
        return Failure(code="malformed_response", message=f"The server's answer is JSON, but no {self.noun}.")


def undoubted(message: str) -> str:
    """Return a failure's message without the words that the call may have happened."""
    return _UNSURE.sub("", message)

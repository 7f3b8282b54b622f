"""What a failure means that came while a vendor was asked about work that it had begun, as `polling` asks. Knows no vendor, and no good end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts.providers.call import Failure

_UNSURE = re.compile(r" ?The call may have happened\.")


def undoubted(message: str) -> str:
    """Return a failure's message without the words that the call may have happened."""
    return _UNSURE.sub("", message)


@dataclass(frozen=True, slots=True)
class Work:
    """A vendor's work, as it is spoken of: by its `noun`, and by what it may still do, `hope`."""

    noun: str
    hope: str

    def of_look(self, failure: Failure) -> Failure:
        """Say what it means that the work could not be looked at: it goes on all the same, until the vendor forgets it."""
        match failure.code:
            case "not_found":
                message = f"The server does not know the {self.noun} any more that was begun. It may be paid for."
                return failure.changed({"code": "call_gone", "message": message, "uncertain": True})
            case "malformed_response":
                return failure.changed({"retryable": True})
            case "auth_failed" | "forbidden":
                message = f"{failure.message} The {self.noun} was begun before, and may {self.hope}."
                return failure.changed({"message": message, "uncertain": True})
        return failure

    def of_known(self, failure: Failure, name: str) -> Failure:
        """Say what a failure means that came while the work was watched: its end is not known, and can be asked about."""
        if not failure.retryable:
            return failure
        begun = f"{self.noun.capitalize()} {name} was begun; the next attempt asks about it."
        return failure.changed({"message": f"{undoubted(failure.message)} {begun}", "uncertain": True})

    def overdue(self, seconds: float) -> Failure:
        """Say what it means that the work did not end in time."""
        return Failure(code="timeout", message=f"The {self.noun} did not end within {seconds:g} s.", retryable=True)

    def nameless(self) -> Failure:
        """Say what an answer means that is no such work."""
        return Failure(code="malformed_response", message=f"The server's answer is JSON, but no {self.noun}.")

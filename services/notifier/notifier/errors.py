"""The notifier's errors: NotifierError at the base. An error's docstring is its message where no other is given.

MessageInvalid, which carries the faults of a message, stands with the messages.
"""

from __future__ import annotations

from typing import ClassVar


class NotifierError(Exception):
    """Base of the notifier's errors. `code` is its name in metrics."""

    code: ClassVar[str]

    def __str__(self) -> str:
        """Return the message."""
        return super().__str__() or str(type(self).__doc__)


class SnapshotTooOld(NotifierError):
    """Events between the snapshot and the event buffer are missing."""

    code = "snapshot_too_old"


class GatewayUnavailable(NotifierError):
    """The gateway does not answer, or not as it should."""

    code = "gateway_unavailable"


class BrokerUnavailable(NotifierError):
    """Kafka did not take the command."""

    code = "unavailable"


class ClientGone(NotifierError):
    """The client's connection is closed."""

    code = "client_gone"


class Unadmitted(NotifierError):
    """A client was not let in, and has been told why."""

    code = "unadmitted"


class LogReset(NotifierError):
    """The log was emptied while it was read: its offsets, and all cursors, are void."""

    code = "log_reset"

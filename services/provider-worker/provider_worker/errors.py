"""The worker's errors. Names no driver.

WorkerError
├── DatabaseUnavailable
├── CallStopped
├── NotAdmitted
│   └── WorkerStopping
├── ProviderError (`providers.base`)
├── ResponseTooLarge (`providers.http`), Refused (`providers.huggingface`): become a ProviderError
├── UnusableSchema, CannotInvent (`providers`): a ValueError too
└── UnusableOrder (`messages.orders`): a ValueError too
"""

from __future__ import annotations


class WorkerError(Exception):
    """Base of every error that the worker raises and catches itself."""


class DatabaseUnavailable(WorkerError):
    """The database does not answer."""


class CallStopped(WorkerError):
    """The run was cancelled before its call had an answer; the connection to the provider is closed."""


class NotAdmitted(WorkerError):
    """The call does not begin here: another worker owns it, or its lease ran out while it waited."""


class WorkerStopping(NotAdmitted):
    """The call does not begin here: this worker stops, and another one may begin it."""

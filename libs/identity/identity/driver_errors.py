"""The driver's errors become those of identity here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from chassis.postgres.driver_errors import NOT_MIGRATED, UNAVAILABLE, is_refusal_of_value, reason_of
from identity.errors import IdentityUnavailable, KeyExists

Check = Callable[[], None]
"""Returns while the database is believed to answer. Raises IdentityUnavailable."""


@contextmanager
def querying(check: Check) -> Iterator[None]:
    """Call `check`, then let a query run. Raises IdentityUnavailable, KeyExists."""
    check()
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise KeyExists(KeyExists.__doc__) from error
    except (*UNAVAILABLE, *NOT_MIGRATED) as error:
        if is_refusal_of_value(error):
            raise  # our own fault, which no other try mends
        raise IdentityUnavailable(reason_of(error)) from error

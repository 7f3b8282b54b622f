"""The driver's errors as the gateway's. Knows nothing of what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from chassis.postgres.connections import Connector
from chassis.postgres.driver_errors import NOT_MIGRATED, UNAVAILABLE, is_refusal_of_value, reason_of
from gateway.errors import DatabaseUnavailable, QueryTooSlow, SchemaMissing, ValuesRefused

ANSWER_SECONDS = 2.0
"""A server that is silent for longer counts as unavailable."""

QUERY_SECONDS = 10.0


def connector(url: str) -> Connector:
    """Return what makes the gateway's connections."""
    return Connector(url, "sayso-gateway", ANSWER_SECONDS)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn the driver's errors into DatabaseUnavailable and ValuesRefused. Others are bugs, and pass."""
    try:
        yield
    except _REFUSED as error:
        raise ValuesRefused(str(error)) from error
    except _SLOW as error:
        raise QueryTooSlow(QueryTooSlow.__doc__) from error
    except NOT_MIGRATED as error:
        raise SchemaMissing(str(error)) from error
    except UNAVAILABLE as error:
        if is_refusal_of_value(error):
            raise ValuesRefused(str(error)) from error
        raise DatabaseUnavailable(reason_of(error)) from error


_REFUSED = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.IntegrityConstraintViolationError)
_SLOW = (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)

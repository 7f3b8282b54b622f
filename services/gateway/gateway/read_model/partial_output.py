"""Partial output of running calls, from Kafka to the waiters of its run. Stored nowhere, and not parsed where no one waits."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts.providers.call_stream import PartialOutput
from contracts.validation.faults import explain
from gateway.read_model.waiters import Waiters
from messaging.records import RawRecord

_log = structlog.get_logger(__name__)


class PartialOutputReader:
    """Hands each piece of a call's text to the waiters of its run."""

    def __init__(self, waiters: Waiters) -> None:
        self._waiters = waiters

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take one batch. A malformed record is skipped."""
        for record in records:
            run_id = _run_id(record.key)
            if run_id is None or not self._waiters.has(run_id):
                continue
            try:
                partial = PartialOutput.model_validate_json(record.value or b"")
            except ValidationError as error:
                _log.warning("malformed partial output", offset=record.offset, reason=explain(error))
                continue
            self._waiters.heard(partial)


def _run_id(key: bytes | None) -> UUID | None:
    try:
        return UUID((key or b"").decode())
    except ValueError:
        return None

"""Partial output from Kafka to who follows its run here. It is kept nowhere, and costs nothing while nobody follows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts.message import explain
from contracts.providers.call_stream import PartialOutput
from gateway.read_model.waiters import Arrivals
from messaging.records import RawRecord

_log = structlog.get_logger(__name__)


class Partials:
    """Tells each piece of a running call's text to those who follow the run."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take one batch. A malformed record is passed over."""
        for record in records:
            run_id = _run_id(record.key)
            if run_id is None or not self._arrivals.is_awaited(run_id):
                continue
            try:
                partial = PartialOutput.model_validate_json(record.value or b"")
            except ValidationError as error:
                _log.warning("malformed partial output", offset=record.offset, reason=explain(error))
                continue
            self._arrivals.said(partial)


def _run_id(key: bytes | None) -> UUID | None:
    try:
        return UUID((key or b"").decode())
    except ValueError:
        return None

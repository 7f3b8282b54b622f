"""Partial output from Kafka to who listens now. It is kept nowhere: who comes later, or reads too slowly, waits for the answer."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from contracts.message import explain
from contracts.providers.call_stream import PartialOutput, PushedPartialOutput
from messaging.records import RawRecord
from notifier import metrics
from notifier.hub.event_buffer import Frame, Passing
from notifier.hub.hub import Hub

_TYPE = PushedPartialOutput.model_fields["type"].default

_log = structlog.get_logger(__name__)


class Partials:
    """Hands each piece of a running call's text to the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take one batch, then wake all who are concerned. A malformed record is passed over."""
        for record in records:
            try:
                partial = PartialOutput.model_validate_json(record.value or b"")
            except ValidationError as error:
                metrics.MALFORMED.inc()
                _log.warning("malformed partial output", offset=record.offset, reason=explain(error))
                continue
            self._hub.pass_on(_passing(partial))
        self._hub.rouse()


def _passing(partial: PartialOutput) -> Passing:
    return Passing(
        run_id=str(partial.run_id),
        tenant=partial.tenant,
        user_id=partial.user_id,
        session_id=partial.session_id,
        frames=(Frame(_TYPE, partial.to_push()),),
        size=len(partial.text),
    )

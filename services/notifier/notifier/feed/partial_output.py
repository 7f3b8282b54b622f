"""The feed of partial output: from records of `run.partials` to transient items on the hub. Nothing of it is kept.

A client that connects later, or reads too slowly, gets the answer as an event.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from contracts.providers.call_stream import PartialOutput, PushedPartialOutput
from contracts.validation.faults import explain
from messaging.records import RawRecord
from notifier import metrics
from notifier.hub.event_buffer import Frame, Transient
from notifier.hub.frames import MESSAGE_BYTES
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates, TrackedRun

_TYPE = PushedPartialOutput.model_fields["type"].default

_log = structlog.get_logger(__name__)


class PartialOutputFeed:
    """Publishes each piece of a running call's text on the hub."""

    def __init__(self, hub: Hub, run_states: RunStates) -> None:
        self._hub = hub
        self._run_states = run_states

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Publish one batch, then wake its clients. A malformed record is counted and skipped."""
        for record in records:
            try:
                partial = PartialOutput.model_validate_json(record.value or b"")
            except ValidationError as error:
                metrics.MALFORMED.inc()
                _log.warning("malformed partial output", offset=record.offset, reason=explain(error))
                continue
            transient = _transient(partial, self._run_states.find(str(partial.run_id)))
            # A piece may be lost; one that is larger than a message would cost its watchers their connection.
            if transient.size <= MESSAGE_BYTES:
                self._hub.publish_transient(transient)
        self._hub.wake_clients()


def _transient(partial: PartialOutput, run: TrackedRun | None) -> Transient:
    frame = Frame(_TYPE, partial.to_push())
    return Transient(
        run_id=str(partial.run_id),
        tenant=partial.tenant,
        user_id=partial.user_id,
        session_id=partial.session_id,
        frames=(frame,),
        size=len(frame.body),
        requester=run.requester if run else None,
        readers=run.readers if run else None,
    )

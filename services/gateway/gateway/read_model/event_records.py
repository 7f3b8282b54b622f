"""Records of `run.events`: the header of each event, or the dead letter of a record that holds none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from contracts.runs.event_header import EventHeader
from contracts.validation.faults import explain
from gateway import metrics
from messaging.dead_letters import dead_letter
from messaging.records import Outgoing, RawRecord

_log = structlog.get_logger(__name__)


class ParsedRecord(NamedTuple):
    """A record and the header of its event."""

    record: RawRecord
    header: EventHeader


def parse_events(records: Sequence[RawRecord]) -> tuple[list[ParsedRecord], list[Outgoing]]:
    """Return the records with an event that can be read, and the dead letters of the others."""
    parsed: list[ParsedRecord] = []
    letters: list[Outgoing] = []
    for record in records:
        try:
            parsed.append(ParsedRecord(record, EventHeader.parse_with_facts(record.value or b"")))
        except ValueError as error:
            letters.append(dead_event(record, error))
    return parsed, letters


def dead_event(record: RawRecord, error: Exception) -> Outgoing:
    """Count and log a record that cannot be projected; return its dead letter."""
    metrics.DEAD.labels(record.topic).inc()
    reason = explain(error) if isinstance(error, ValidationError) else str(error)
    _log.warning("not an event", partition=record.partition, offset=record.offset, reason=reason)
    return dead_letter(record, error)

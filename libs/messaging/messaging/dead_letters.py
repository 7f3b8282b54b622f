"""Dead letters: malformed records for `<topic>.dead`, with the reason in their headers."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.topics import MAX_RECORD_BYTES
from contracts.validation.faults import explain
from messaging.records import Outgoing, RawRecord

DEAD_BYTES = MAX_RECORD_BYTES - 32 * 1024
"""The most of a malformed record that is kept, so that the reason fits beside it."""


def dead_letter(record: RawRecord, error: Exception) -> Outgoing:
    """Wrap a malformed record for `<topic>.dead`: its bytes as they came, the reason and its place in headers.

    Of a record that is too large with these, only the beginning of its value is kept, and its size in a header.
    """
    reason = explain(error) if isinstance(error, ValidationError) else str(error)
    key, value, headers = record.key, record.value, list(record.headers)
    held = sum(len(part or b"") for part in (key, value, *(value for _, value in headers)))
    if held + sum(len(name) * 4 for name, _ in headers) > DEAD_BYTES:
        key, value, headers = None, (value or b"")[:DEAD_BYTES], [("cut-from-bytes", str(held).encode())]
    return Outgoing(
        topic=f"{record.topic}.dead",
        key=key,
        value=value,
        headers=[
            *headers,
            ("error", reason[:2000].encode(errors="replace")),
            ("error-type", type(error).__name__.encode()),
            ("source-topic", record.topic.encode()),
            ("source-partition", str(record.partition).encode()),
            ("source-offset", str(record.offset).encode()),
        ],
        partition=0,
    )

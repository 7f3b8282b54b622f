"""Server-Sent Events of a run, byte for byte: outsiders read them, and a client reconnects with an id from them."""

from __future__ import annotations

from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from gateway.api.run_events import frames
from gateway.ports import StepEvent

RUN_ID = UUID(int=7)


def test_an_event_has_its_version_as_the_id() -> None:
    """And the stored bytes as the data, each frame after the other in one piece."""
    due = [StepEvent(1, "run-started.v1", b'{"a":1}'), StepEvent(2, "run-paused.v1", b'{"b":2}')]
    assert frames(due) == b'id: 1\ndata: {"a":1}\n\nid: 2\ndata: {"b":2}\n\n'


def test_a_piece_of_text_has_a_type_and_no_id() -> None:
    """A client that reads events alone hears none of it, and reconnects behind the last event."""
    piece = PartialOutput(run_id=RUN_ID, tenant="t", work_id="w", attempt=1, offset=3, text="red\n")
    assert frames([piece]) == (
        b'event: HITL_PARTIAL_OUTPUT\ndata: {"type":"HITL_PARTIAL_OUTPUT","run_id":"00000000-0000-0000-0000-000000000007",'
        b'"work_id":"w","attempt":1,"offset":3,"text":"red\\n"}\n\n'
    )


def test_nothing_due_is_no_frame() -> None:
    """The stream then writes its heartbeat."""
    assert frames([]) == b""

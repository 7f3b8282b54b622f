"""From an event to the JSON that is pushed. It is made once and shared by all: nothing in it depends on who gets it.

The facts of an event go out as the bytes that came in wherever they can be cut out of them.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_core import from_json, to_json

from contracts.runs.event_effects import State
from contracts.runs.event_header import EventHeader
from contracts.runs.views import Checkpoint
from notifier.hub.event_buffer import Frame

_DATA = b',"data":'


def frames_of(header: EventHeader, value: bytes, state: State | None, cursor: str) -> tuple[Frame, ...]:
    """Return the one message about `header`, which came as `value` and led to `state`, with the cursor after it."""
    return (Frame("HITL_STATUS_UPDATE", _status_update(header, value, state, cursor)),)


def frames_with_request(
    header: EventHeader, value: bytes, state: State | None, checkpoint: Checkpoint, before: str, after: str
) -> tuple[Frame, ...]:
    """Return the status update of `header` and the request to decide on `checkpoint`, with the cursors around the event.

    Who came only as far as the first of the two returns with its cursor and must get the second: so it has the one before.
    """
    request = Frame("HITL_APPROVAL_REQUEST", _approval_request(header, checkpoint, after))
    return (*frames_of(header, value, state, before), request)


def _status_update(header: EventHeader, value: bytes, state: State | None, cursor: str) -> bytes:
    # Written out by hand, as `StatusUpdate` would be, and `ApprovalRequest` below: through a model it costs five times as much.
    now = "null" if state is None else f'"{state}"'
    run = f'"run_id":"{header.run_id}","version":{header.version},"state":{now}'
    begin = f'{{"type":"HITL_STATUS_UPDATE","cursor":"{cursor}",{run},"event":{{"kind":{_quoted(header.kind)},"at":"{header.at}","data":'
    return b"%b%b}}" % (begin.encode(), _facts(value))


@lru_cache(maxsize=1024)
def _quoted(name: str | None) -> str:
    # The same few names come again and again.
    return to_json(name).decode()


def _facts(value: bytes) -> bytes:
    # In a string a quote is escaped, so the separator can only stand between two members; before it no bracket may be
    # open but the first. Members that a later writer adds behind `data` become members of the pushed event.
    value = value.strip()
    start = value.find(_DATA)
    if start > 0 and value.find(b"{", 1, start) < 0 and value.find(b"[", 1, start) < 0:
        return value[start + len(_DATA) : -1]
    return to_json(from_json(value)["data"])


def _approval_request(header: EventHeader, checkpoint: Checkpoint, cursor: str) -> bytes:
    session, user = _quoted(header.session_id), _quoted(header.user_id)
    run = f'"run_id":"{header.run_id}","version":{header.version},"session_id":{session},"user_id":{user}'
    begin = f'{{"type":"HITL_APPROVAL_REQUEST","cursor":"{cursor}",{run},"checkpoint":'
    return b"%b%b}" % (begin.encode(), to_json(checkpoint))

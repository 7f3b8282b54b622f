"""The JSON messages of an event. They are made once and shared: nothing in them depends on the client.

An event's data goes out as the bytes that came in, wherever it can be cut out of the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from contracts.runs.event_header import EventHeader, State
from contracts.runs.views import Checkpoint
from notifier.hub.event_buffer import Frame

MESSAGE_BYTES = 512 * 1024
"""Bytes of a message: clients refuse larger ones, ordinary ones from 1 MiB on. What is larger is sent by reference."""

_DATA = b',"data":'


def frames_of(header: EventHeader, value: bytes, state: State | None, cursor: str) -> tuple[Frame, ...]:
    """Return the status update of an event: its header, its record's value, the run's state after it, the cursor after it."""
    return (Frame("HITL_STATUS_UPDATE", _status_update(header, value, state, cursor)),)


def frames_with_request(
    header: EventHeader, value: bytes, state: State | None, checkpoint: Checkpoint, before: str, after: str
) -> tuple[Frame, ...]:
    """Return the status update of an event and the request to decide on `checkpoint`.

    The update carries the cursor `before` the event: a client that is cut off between the two returns and gets both.
    """
    request = Frame("HITL_APPROVAL_REQUEST", _approval_request(header, checkpoint, after))
    return (*frames_of(header, value, state, before), request)


def _status_update(header: EventHeader, value: bytes, state: State | None, cursor: str) -> bytes:
    # Written by hand, as `StatusUpdate` would be, and `ApprovalRequest` below: a model takes five times as long (measured).
    now = "null" if state is None else f'"{state}"'
    run = f'"run_id":"{header.run_id}","version":{header.version},"state":{now}'
    event = f'"kind":{_quoted(header.kind)},"at":"{header.at}","actor":{_quoted(header.actor)}'
    begin = f'{{"type":"HITL_STATUS_UPDATE","cursor":"{cursor}",{run},"event":{{{event},"data":'
    data = _data_of(value)
    if len(data) > MESSAGE_BYTES:
        where = f"/hitl/runs/{header.run_id}/history?after={header.version - 1}&limit=1"
        data = b'{},"truncated":true,"url":%b' % to_json(where)
    return b"%b%b}}" % (begin.encode(), data)


@lru_cache(maxsize=1024)
def _quoted(name: str | None) -> str:
    # Few names, and each comes many times.
    return to_json(name).decode()


def _data_of(value: bytes) -> bytes:
    # A quote in a string is escaped, so the separator stands between two members; it must stand in the outermost object.
    # Members that a later writer adds behind `data` become members of the pushed event.
    value = value.strip()
    start = value.find(_DATA)
    if start > 0 and value.find(b"{", 1, start) < 0 and value.find(b"[", 1, start) < 0:
        return value[start + len(_DATA) : -1]
    return to_json(from_json(value)["data"])


def _approval_request(header: EventHeader, checkpoint: Checkpoint, cursor: str) -> bytes:
    session, user = _quoted(header.session_id), _quoted(header.user_id)
    run = f'"run_id":"{header.run_id}","version":{header.version},"session_id":{session},"user_id":{user}'
    begin = f'{{"type":"HITL_APPROVAL_REQUEST","cursor":"{cursor}",{run},"checkpoint":'
    body = to_json(checkpoint)
    if len(body) > MESSAGE_BYTES:
        body = to_json(checkpoint_reference(checkpoint.model_dump(mode="json"), header.run_id))
    return b"%b%b}" % (begin.encode(), body)


_SMALL = ("checkpoint_id", "step", "subject_sha256", "opened_at", "expires_at", "assignee", "approvals_required")


def checkpoint_reference(checkpoint: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return what stands for a checkpoint that is too large for a message. What a person decides on is left out, not emptied."""
    small = {name: checkpoint[name] for name in _SMALL if name in checkpoint}
    return {**small, "truncated": True, "url": f"/hitl/runs/{run_id}"}

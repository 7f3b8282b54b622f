"""From an event to the text that is pushed. It is made once and shared by all: nothing in it depends on who gets it.

The facts of an event go out as the bytes that came in wherever they can be cut out of them.
"""

from __future__ import annotations

from pydantic_core import from_json, to_json

from contracts.runs.events import CheckpointEscalated, CheckpointOpened, RunEvent
from contracts.runs.views import Checkpoint, RunView, State, project
from notifier.messages import ApprovalRequest
from notifier.ring import Frame

_DATA = b',"data":'


def frames_of(event: RunEvent, value: bytes, state: State | None, cursor: str) -> tuple[Frame, ...]:
    """Return the one message about `event`, which came as `value` and led to `state`, with the cursor after it."""
    return (Frame("HITL_STATUS_UPDATE", _status_update(event, value, state, cursor)),)


def frames_with_request(
    event: RunEvent, value: bytes, state: State | None, checkpoint: Checkpoint, before: str, after: str
) -> tuple[Frame, ...]:
    """Return the status update of `event` and the request to decide on `checkpoint`, with the cursors around the event.

    Who came only as far as the first of the two returns with its cursor and must get the second: so it has the one before.
    """
    request = Frame("HITL_APPROVAL_REQUEST", _approval_request(event, checkpoint, after))
    return (*frames_of(event, value, state, before), request)


def to_decide(event: RunEvent, view: RunView | None) -> Checkpoint | None:
    """Return the checkpoint that `event` asks people to decide on, if it does; `view` is the run's after it, where known."""
    match event.data:
        case CheckpointOpened():
            return (view or project(None, event)).checkpoint
        case CheckpointEscalated():
            return view.checkpoint if view else None
    return None


def _status_update(event: RunEvent, value: bytes, state: State | None, cursor: str) -> str:
    # Written out by hand, as `StatusUpdate` would be: through the model it costs five times as much.
    kind, at = to_json(event.kind).decode(), event.at.isoformat().replace("+00:00", "Z")
    shown = f'{{"kind":{kind},"at":"{at}","data":{_facts(value)}}}'
    now = "null" if state is None else f'"{state.value}"'
    run = f'"run_id":"{event.run_id}","version":{event.version},"state":{now}'
    return f'{{"type":"HITL_STATUS_UPDATE","cursor":"{cursor}",{run},"event":{shown}}}'


def _facts(value: bytes) -> str:
    # In a string a quote is escaped, so the separator can only stand between two members; before it no bracket may be
    # open but the first. Members that a later writer adds behind `data` become members of the pushed event.
    value = value.strip()
    start = value.find(_DATA)
    if start > 0 and value.find(b"{", 1, start) < 0 and value.find(b"[", 1, start) < 0:
        return value[start + len(_DATA) : -1].decode()
    return to_json(from_json(value)["data"]).decode()


def _approval_request(event: RunEvent, checkpoint: Checkpoint, cursor: str) -> str:
    return ApprovalRequest.model_construct(
        cursor=cursor,
        run_id=event.run_id,
        version=event.version,
        session_id=event.session_id,
        user_id=event.user_id,
        checkpoint=checkpoint,
    ).model_dump_json()

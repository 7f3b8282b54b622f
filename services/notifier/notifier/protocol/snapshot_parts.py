"""A snapshot as messages: each run once, in as many messages as its bytes need. Made once for all clients that get it; no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from notifier.hub.cursor import Cursor, encode
from notifier.hub.frames import MESSAGE_BYTES, checkpoint_reference
from notifier.ports import Snapshot

UNFINISHED = encode(Cursor("an unfinished snapshot", ()))
"""The cursor of all messages but the last: a client that was cut off in between, and returns with it, gets a snapshot anew."""

_HEAD_BYTES = 8 * 1024
"""What a message has beside its views, the cursor above all."""

_LARGE = ("checkpoint", "checkpoint_context", "last_approval", "result", "error", "labels", "callback_url")


class SnapshotParts:
    """The messages of a snapshot, which lack only the cursor of the last one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.truncated = snapshot.truncated
        self.versions = snapshot.versions
        self._parts = list(_parts(snapshot))

    def messages(self, cursor: str) -> Iterator[bytes]:
        """Yield the messages, in order; the last carries `cursor`."""
        last = len(self._parts) - 1
        for at, (approvals, runs) in enumerate(self._parts):
            shown = cursor if at == last else UNFINISHED
            flags = b'"truncated":%b,"more":%b' % (to_json(self.truncated), to_json(at < last))
            yield b'{"type":"SNAPSHOT","cursor":%b,"approvals":[%b],"runs":[%b],%b}' % (
                to_json(shown),
                b",".join(approvals),
                b",".join(runs),
                flags,
            )


def _parts(snapshot: Snapshot) -> Iterator[tuple[list[bytes], list[bytes]]]:
    part: tuple[list[bytes], list[bytes]] = ([], [])
    size = 0
    for kind, view in _views(snapshot.approvals, snapshot.runs):
        if size and size + len(view) > MESSAGE_BYTES - _HEAD_BYTES:
            yield part
            part, size = ([], []), 0
        part[kind].append(view)
        size += len(view) + 1
    yield part


def _views(*kinds: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    for kind, views in enumerate(kinds):
        for view in views:
            body = to_json(view)
            yield kind, body if len(body) <= MESSAGE_BYTES - _HEAD_BYTES else to_json(_reference(view))


def _reference(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands for a run whose view is larger than a message."""
    small = {name: value for name, value in view.items() if name not in _LARGE}
    if view["checkpoint"] is not None:
        small["checkpoint"] = checkpoint_reference(view["checkpoint"], view["run_id"])
    return {**small, "truncated": True, "url": f"/hitl/runs/{view['run_id']}"}

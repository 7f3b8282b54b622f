"""Open streams kept in memory between batches, so that most commands load nothing. The ledger is the truth: a loss costs one query."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple
from uuid import UUID

from orchestrator.aggregate import S
from orchestrator.ports import StoredEvent, StoredRefusal

MOST_STREAMS = 5_000
MOST_BYTES = 32 * 1024 * 1024
"""Of the events that the states were folded from: a state holds parts of them, and few hold more than some kilobytes."""

_NONE: Mapping[UUID, StoredRefusal] = {}
_BESIDE_BYTES = 300
"""What a stream or a refusal weighs beside its bytes: identifiers, a digest, its place in the maps."""


class CachedState(NamedTuple, Generic[S]):
    """The state of an open stream, its refusals by command, and the weight of both in bytes."""

    state: S
    refused: Mapping[UUID, StoredRefusal]
    weight: int


class StateCache(Generic[S]):
    """The open streams that were used last, as many as the bounds allow.

    Not cachetools: an entry grows with each batch, two bounds hold at once, and what is over is not kept at all.
    """

    def __init__(self, most_streams: int = MOST_STREAMS, most_bytes: int = MOST_BYTES) -> None:
        self._most_streams = most_streams
        self._most_bytes = most_bytes
        self._states: OrderedDict[UUID, CachedState[S]] = OrderedDict()
        self._weight = 0

    def find(self, stream_ids: Iterable[UUID]) -> dict[UUID, CachedState[S]]:
        """Return the cached ones of these streams."""
        return {stream_id: cached for stream_id in stream_ids if (cached := self._states.get(stream_id)) is not None}

    def put(
        self, states: Mapping[UUID, S], folded: Iterable[StoredEvent], refused: Iterable[StoredRefusal] = ()
    ) -> None:
        """Keep open streams as they are now, and evict those that were not used for the longest.

        `folded` are the events and `refused` the refusals that are new in them.
        """
        weights: defaultdict[UUID, int] = defaultdict(int)
        for stored in folded:
            weights[stored.stream_id] += len(stored.body)
        refusals: defaultdict[UUID, dict[UUID, StoredRefusal]] = defaultdict(dict)
        for refusal in refused:
            weights[refusal.stream_id] += len(refusal.outcome) + _BESIDE_BYTES
            refusals[refusal.stream_id][refusal.command_id] = refusal
        for stream_id, state in states.items():
            before = self._states.pop(stream_id, None)
            known, weight = (before.refused, before.weight) if before else (_NONE, 0)
            self._weight -= weight
            if state.is_over:
                continue
            if stream_id in refusals:
                known = {**known, **refusals[stream_id]}
            weight += weights[stream_id]
            self._states[stream_id] = CachedState(state, known, weight)
            self._weight += weight
        while self._states and (len(self._states) > self._most_streams or self._weight > self._most_bytes):
            _, evicted = self._states.popitem(last=False)
            self._weight -= evicted.weight

    def clear(self) -> None:
        """Evict all."""
        self._states.clear()
        self._weight = 0

"""The read model's fold: a batch of events in, what to write out. Pure: knows no Kafka, no PostgreSQL and no clock.

A view is the fold of an unbroken row of events, 1 to its version. Events at or below the version are skipped, so that
any batch can come again. An event that comes before its turn is parked: written down as it came, and folded when the
missing ones arrive. A gap is never papered over, and holds up no other run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from contracts.runs.events import RunEvent
from contracts.runs.views import Approval, Checkpoint, RunView, project


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event, and the text it was recorded as: stored and shown unchanged."""

    event: RunEvent
    text: str

    @classmethod
    def parse(cls, value: bytes | None) -> Self:
        """Read one record of `run.events`. Raises ValueError."""
        if value is None:
            raise ValueError("a record without a value")
        event = RunEvent.parse(value)
        if event.version < 1:
            raise ValueError(f"version {event.version}: versions begin with 1")
        return cls(event, value.decode())


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run before a batch: its view, and the events that were parked."""

    view: RunView | None = None
    parked: tuple[Recorded, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """A run that a batch moved on, from the view that it found."""

    tenant: str
    view: RunView
    found: RunView | None

    @property
    def found_version(self) -> int:
        """The version that was found, 0 for none: what is stored must still be that."""
        return self.found.version if self.found else 0

    @property
    def closed(self) -> Checkpoint | None:
        """The checkpoint that waited before and waits no longer."""
        waited, waits = self.found.checkpoint if self.found else None, self.view.checkpoint
        return None if waited is None or (waits and waits.checkpoint_id == waited.checkpoint_id) else waited

    @property
    def opened(self) -> Checkpoint | None:
        """The checkpoint that waits now, if it did not wait just so before."""
        waited, waits = self.found.checkpoint if self.found else None, self.view.checkpoint
        return None if waits == waited else waits


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that a batch recorded, in its place."""

    tenant: str
    run_id: UUID
    version: int
    approval: Approval


@dataclass(frozen=True, slots=True)
class Gap:
    """A run whose next event is missing: `reached` is the version of its view, `waiting` the first that was parked."""

    reached: int
    waiting: int


@dataclass(slots=True)
class Changes:
    """What a batch changes in the tables."""

    moved: dict[UUID, Moved] = field(default_factory=dict)
    events: list[Recorded] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    gaps: dict[UUID, Gap] = field(default_factory=dict)


def project_batch(known: Mapping[UUID, Known], batch: Sequence[Recorded]) -> Changes:
    """Fold `batch` onto what is known of its runs. Runs that are not known begin with nothing."""
    arrived: dict[UUID, dict[int, Recorded]] = {run_id: {} for run_id in known}
    for recorded in batch:
        arrived.setdefault(recorded.event.run_id, {}).setdefault(recorded.event.version, recorded)
    changes = Changes()
    for run_id, by_version in arrived.items():
        _project_run(run_id, known.get(run_id, _NOTHING), by_version, changes)
    return changes


_NOTHING = Known()


def _project_run(run_id: UUID, known: Known, arrived: Mapping[int, Recorded], changes: Changes) -> None:
    view, reached = known.view, known.view.version if known.view else 0
    changes.events += [recorded for version, recorded in arrived.items() if version > reached]
    for recorded in _in_order({**{r.event.version: r for r in known.parked}, **arrived}):
        event = recorded.event
        if event.version <= reached:
            continue
        if event.version > reached + 1:
            changes.gaps[run_id] = Gap(reached, event.version)
            break
        decided = view.last_approval if view else None
        view, reached = project(view, event), event.version
        changes.moved[run_id] = Moved(event.tenant, view, known.view)
        if view.last_approval is not None and view.last_approval is not decided:
            changes.decisions.append(Decision(event.tenant, run_id, event.version, view.last_approval))


def _in_order(by_version: Mapping[int, Recorded]) -> Iterable[Recorded]:
    return (by_version[version] for version in sorted(by_version))

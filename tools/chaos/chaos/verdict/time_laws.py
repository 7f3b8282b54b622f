"""The law of a task's times, over a run's history alone: each comes once, and not before. Pure; yields breaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaos.verdict.task_laws import CLOSING
from contracts.runs import events as e
from contracts.runs.commands import SYSTEM
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.rules import ReviewRules

_OF_CLOCK = (e.TaskReminded, e.TaskEscalated, e.ClaimEnding, e.ClaimEnded, e.CheckpointExpired, e.CheckpointEscalated)
"""What the clock says of an open checkpoint."""


@dataclass
class _Times:
    """The times that a checkpoint has yet to come to, by what they are of."""

    reminders: list[datetime] = field(default_factory=list)
    once: dict[str, datetime] = field(default_factory=dict)
    due_at: datetime | None = None
    """The due date, whether it has come or not."""
    due_set_at: datetime | None = None
    """When a person set it."""

    @classmethod
    def of(cls, rules: ReviewRules, at: datetime) -> _Times:
        """Return the times of a checkpoint that opens at `at`."""
        named = {
            "start_by": rules.start_by_seconds,
            "due_at": rules.due_seconds,
            "escalation": rules.escalate_after_seconds,
        }
        once = {what: at + timedelta(seconds=seconds) for what, seconds in named.items() if seconds is not None}
        if rules.follow_up_at is not None:
            once["follow_up_at"] = rules.follow_up_at
        reminders = sorted({at + timedelta(seconds=seconds) for seconds in rules.reminders_seconds})
        return cls(reminders, once, once.get("due_at"))

    def move(self, due_at: datetime | None, follow_up_at: datetime | None, at: datetime) -> None:
        """Take the dates that a person set in place of those before. A due date that stays does not come a second time."""
        self._set("follow_up_at", follow_up_at)
        if due_at != self.due_at:
            self._set("due_at", due_at)
            self.due_at, self.due_set_at = due_at, at

    def give_back(self, since: datetime, at: datetime) -> None:
        """Put off what is to come by the time of a pause; a due date that was set meanwhile by the rest of it.

        A follow-up date goes by the clock alone.
        """
        waited = at - since
        rest = waited if self.due_set_at is None else min(waited, at - self.due_set_at)
        self.reminders = [time + waited for time in self.reminders]
        later = {"start_by": waited, "due_at": rest, "escalation": waited}
        self.once = {what: time + later.get(what, timedelta()) for what, time in self.once.items()}
        self.due_at = self.due_at and self.due_at + rest

    def _set(self, what: str, time: datetime | None) -> None:
        self.once.pop(what, None)
        if time is not None:
            self.once[what] = time

    def take(self, what: str) -> datetime | None:
        """Return the time that comes, once; None if there is none to come."""
        if what == "reminder":
            return self.reminders.pop(0) if self.reminders else None
        return self.once.pop(what, None)

    def before(self, at: datetime) -> list[str]:
        """Return which of them were before `at`."""
        named = [("reminder", time) for time in self.reminders] + list(self.once.items())
        return [what for what, time in named if time < at]


def timely(history: Sequence[RunEvent]) -> Iterator[str]:
    """Check that each time that was due while a checkpoint was open came once, not before, and not while the run was held."""
    times = _Times()
    held_since: datetime | None = None
    for record in history:
        where = f"version {record.version}"
        if held_since is not None and record.actor == SYSTEM and isinstance(record.data, _OF_CLOCK):
            yield f"{where}: {record.kind} came while the run was held"
        match record.data:
            case e.CheckpointOpened(rules=rules):
                times = _Times.of(rules or ReviewRules(), record.at)
            case e.RunPaused():
                held_since = record.at
            case e.RunResumed():
                times.give_back(held_since or record.at, record.at)
                held_since = None
            case e.TaskRescheduled(due_at=due_at, follow_up_at=follow_up_at):
                times.move(due_at, follow_up_at, record.at)
            case e.TaskReminded(what=what):
                yield from (f"{where}: {wrong}" for wrong in _came(what, times, record.at))
            case e.TaskEscalated() if record.actor == SYSTEM:
                yield from (f"{where}: {wrong}" for wrong in _came("escalation", times, record.at))
            case e.TaskEscalated() | e.CheckpointEscalated():
                times.take("escalation")
            case e.TaskClaimed() | e.VoteCast():
                times.take("start_by")
            case event if isinstance(event, CLOSING):
                yield from (f"{where}: the {what} never came" for what in times.before(held_since or record.at))
                times, held_since = _Times(), None


def _came(what: str, times: _Times, at: datetime) -> Iterator[str]:
    due = times.take(what)
    if due is None:
        yield f"a further {what}, and none was due"
    elif at < due:
        yield f"the {what} came at {at}, and was due at {due}"

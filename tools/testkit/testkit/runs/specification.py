"""Given, when, then for the core of the run: given earlier commands, when this command, then these events or a refusal.

A history is made by deciding real commands as the intake does, never forged. Every command and event passes through its
bytes, and every step is held to `testkit.runs.invariants`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from contracts.providers.call_stream import AnyStop, HoldCall, ReleaseBudget, StopCall
from contracts.providers.orders import Order
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView
from orchestrator.aggregate import Facts
from orchestrator.runs import Deadline, Refusal, Run, command_of, decide, react
from orchestrator.runs.state import Attempt
from testkit.runs import invariants

RUN_ID = UUID(int=0xC0)
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Ask:
    """A command yet to be made: its members may depend on the run's state at that time."""

    kind: type[c.Command]
    about: Callable[[Story], dict[str, Any]]

    def but(self, **members: Any) -> Ask:
        """Return the same command with other members."""
        return Ask(self.kind, lambda story: {**self.about(story), **members})

    def to(self, story: Story) -> c.AnyCommand:
        """Return the command as it arrives, read from its bytes."""
        members = {
            "command_id": UUID(int=0xA000 + story.asked),
            "run_id": RUN_ID,
            "at": story.at,
            "actor": "ann",
            **self.about(story),
        }
        return c.parse_command(self.kind(**members).model_dump_json().encode())


@dataclass(frozen=True)
class Story:
    """A run with its history. `view` is the read model's, folded from the bytes alone."""

    run: Run | None = None
    history: tuple[RunEvent, ...] = ()
    view: RunView | None = None
    at: datetime = MORNING
    asked: int = 0
    known: Facts = field(default_factory=dict)
    """What is known of voters at the moment."""

    checked: bool = True
    """Whether the run is held to the invariants; False where a test forges a state that no command leads to."""

    @property
    def now(self) -> Run:
        """The run, which has begun."""
        assert self.run is not None, "nothing has started"
        return self.run

    @property
    def attempt(self) -> Attempt:
        """The attempt that the run waits for."""
        assert self.now.attempt is not None, f"no attempt is awaited: {self.now.view.state}"
        return self.now.attempt

    @property
    def checkpoint_id(self) -> UUID:
        """The id of the open checkpoint."""
        assert self.now.view.checkpoint is not None, f"nothing waits for a person: {self.now.view.state}"
        return self.now.view.checkpoint.checkpoint_id

    @property
    def due(self) -> c.FromClock | None:
        """The command that the run's deadline sends, as the ledger stores it."""
        deadlines = [message for message in self.reactions() if isinstance(message, Deadline)]
        due = deadlines[-1].due if deadlines else None
        return command_of(self.now.run_id, due) if due else None

    def reactions(self, *, since: int = 0) -> list[Order | AnyStop | Deadline]:
        """Return what follows from the events after version `since`, published now."""
        return [message for record in self.history[since:] for message in react(record.data, self.now)]

    def orders(self, *, since: int = 0) -> list[Order]:
        """Return the orders of work among the reactions."""
        return [message for message in self.reactions(since=since) if isinstance(message, Order)]

    def holds(self, *, since: int = 0) -> list[HoldCall]:
        """Return the orders to hold a call among the reactions."""
        return [message for message in self.reactions(since=since) if isinstance(message, HoldCall)]

    def stops(self, *, since: int = 0) -> list[StopCall]:
        """Return the orders to stop a call among the reactions."""
        return [message for message in self.reactions(since=since) if isinstance(message, StopCall)]

    def releases(self, *, since: int = 0) -> list[ReleaseBudget]:
        """Return the orders to hold nothing more among the reactions."""
        return [message for message in self.reactions(since=since) if isinstance(message, ReleaseBudget)]

    def later(self, seconds: float) -> Story:
        """Return the same story `seconds` later."""
        return replace(self, at=self.at + timedelta(seconds=seconds))

    def given(self, *asks: Ask) -> Story:
        """Return the story after commands that take effect."""
        story = self
        for ask in asks:
            outcome = story.when(ask)
            assert outcome.refusal is None, f"{ask.kind.__name__} was refused: {outcome.refusal!r}"
            story = outcome.story
        return story

    def when(self, ask: Ask) -> Outcome:
        """Decide a command and hold the run to what must always be true."""
        command = ask.to(self)
        asked = replace(self, asked=self.asked + 1, at=max(self.at, command.at) + timedelta(seconds=1))
        try:
            events = decide(command, self.run, self.known)
        except Refusal as refusal:
            invariants.check_refusal(command, refusal)
            return Outcome(asked, command, (), refusal)
        return Outcome(asked._after(command, events), command, events, None)

    def _after(self, command: c.AnyCommand, events: tuple[RunEvent, ...]) -> Story:
        run, view = invariants.carry(self.run, self.view, events)
        story = replace(self, run=run, view=view, history=self.history + events)
        if self.checked:
            invariants.check_run(run, view)
            invariants.check_history(story.history, run)
        assert decide(command, run) == (), "decided twice is decided once"
        return story


def given(*asks: Ask) -> Story:
    """Return the story of commands that take effect, from nothing."""
    return Story().given(*asks)


@dataclass(frozen=True)
class Outcome:
    """The result of a command: its events, or a refusal."""

    story: Story
    command: c.AnyCommand
    events: tuple[RunEvent, ...]
    refusal: Refusal | None

    def then(self, *expected: type[e.Event] | Like) -> Self:
        """Expect exactly these events, in this order."""
        assert self.refusal is None, f"refused with {self.refusal!r}, {self.refusal.details}"
        assert [record.data for record in self.events] == [
            item if isinstance(item, Like) else like(item) for item in expected
        ]
        return self

    def refused_with(self, code: str, **details: Any) -> Self:
        """Expect a refusal, and at least these details of it."""
        assert self.refusal is not None, f"accepted: {[record.kind for record in self.events]}"
        assert (self.refusal.code, {name: self.refusal.details.get(name) for name in details}) == (code, details)
        return self

    @property
    def details(self) -> dict[str, Any]:
        """The refusal's details."""
        assert self.refusal is not None, f"accepted: {[record.kind for record in self.events]}"
        return self.refusal.details

    def leaves(self, **members: Any) -> Self:
        """Expect these members of the run's view afterwards; `checkpoint__step` looks into one."""
        view = self.story.now.view
        assert {name: _look(view, name) for name in members} == members
        return self

    def data(self, kind: type[e.Event]) -> Any:
        """Return the one event of this kind."""
        (found,) = [record.data for record in self.events if isinstance(record.data, kind)]
        return found


@dataclass(frozen=True, eq=False)
class Like:
    """Equal to any event of a kind that has these members."""

    kind: type[e.Event]
    members: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        """Compare only what is named."""
        return type(other) is self.kind and all(_look(other, name) == value for name, value in self.members.items())

    __hash__ = None  # type: ignore[assignment]


def like(kind: type[e.Event], **members: Any) -> Like:
    """Expect an event of this kind; `error__code` looks into a member, `reasons__code` into each of several."""
    return Like(kind, members)


def _look(value: Any, name: str) -> Any:
    for part in name.split("__"):
        value = tuple(getattr(item, part) for item in value) if isinstance(value, tuple) else getattr(value, part)
    return value

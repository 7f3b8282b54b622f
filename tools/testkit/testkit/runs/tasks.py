"""The commands about a task, for specifications, and stories whose reviews have rules."""

from __future__ import annotations

from typing import Any

from contracts.identity import Principal
from contracts.runs import commands as c
from contracts.runs.tasks.rules import ReviewRules
from contracts.runs.tasks.task import Task
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import Ask, Story, given


def under(rules: dict[str, Any], *, by: Principal = RITA, **hitl: Any) -> Story:
    """Return a run that waits at its payload review under these rules, asked for by `by`."""
    config = {"allowed_steps": ("payload_review",), "timeout_seconds": 86_400, **hitl}
    asked = start(review=ReviewRules.model_validate(rules), **config).but(principal=by, actor=by.subject)
    return given(asked, prepared())


def task_of(story: Story) -> Task:
    """Return the task at the open checkpoint."""
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None, f"nothing waits for a person: {story.now.view.state}"
    return checkpoint.task


def by(person: Principal, ask: Ask) -> Ask:
    """Let a person ask."""
    return ask.but(principal=person, actor=person.subject)


def claim(**members: Any) -> Ask:
    """Claim the task."""
    return Ask(c.ClaimTask, lambda _: members)


def release(**members: Any) -> Ask:
    """Give the claim up."""
    return Ask(c.ReleaseTask, lambda _: members)


def assign(user: str | None = None, group: str | None = None, **members: Any) -> Ask:
    """Hand the task to a person or a group."""
    return Ask(c.AssignTask, lambda _: {"user": user, "group": group, **members})


def delegate(user: str, **members: Any) -> Ask:
    """Ask another person."""
    return Ask(c.DelegateTask, lambda _: {"user": user, **members})


def give_back(**members: Any) -> Ask:
    """Give a delegated task back."""
    return Ask(c.ReturnTask, lambda _: members)


def escalate(**members: Any) -> Ask:
    """Ask others."""
    return Ask(c.EscalateTask, lambda _: members)


def reschedule(**members: Any) -> Ask:
    """Change priority and dates."""
    return Ask(c.RescheduleTask, lambda _: members)


def keep_draft(**members: Any) -> Ask:
    """Have a draft."""
    return Ask(c.KeepDraft, lambda _: members)


def drop_draft(**members: Any) -> Ask:
    """Have no draft any more."""
    return Ask(c.DropDraft, lambda _: members)


def comment(text: str = "why?", **members: Any) -> Ask:
    """Comment on what waits."""
    return Ask(c.AddComment, lambda _: {"text": text, **members})


def time_comes() -> Ask:
    """Let the next time of the task come."""

    def due(story: Story) -> dict[str, Any]:
        command = story.due
        assert isinstance(command, c.PassTaskTime), f"the clock knows of {command!r}"
        return dict(command)

    return Ask(c.PassTaskTime, due)

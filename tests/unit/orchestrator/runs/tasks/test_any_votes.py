"""No sequence of claims, votes, edits, absences, times and crashes reaches a decision that the rules do not allow.

`testkit.runs.approval_oracle` judges each history apart from the core. `Story.when` holds the run to its invariants besides.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from contracts.identity import Principal, Role
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.rules import Candidates, ReviewRules
from contracts.runs.views import project
from orchestrator.runs import fold
from orchestrator.runs.state import OrderKind
from orchestrator.runs.tasks.membership import Membership, Person
from testkit.messages import strategies
from testkit.messages.strategies import GROUPS, PERSONS
from testkit.runs.approval_oracle.decisions import check_decisions
from testkit.runs.commands import (
    again,
    approve,
    checked,
    edit,
    executed,
    failed,
    pause,
    prepared,
    reject,
    resume,
    retry,
    start,
)
from testkit.runs.people import principal
from testkit.runs.specification import Ask, Outcome, Story, given
from testkit.runs.tasks import (
    assign,
    by,
    claim,
    comment,
    delegate,
    drop_draft,
    escalate,
    give_back,
    keep_draft,
    release,
    reschedule,
)

ENOUGH = 60
"""Times after which an untouched run has ended: reminders, escalations, retries and time limits together."""


class AnyVotes(RuleBasedStateMachine):
    """One run under rules, and all who may have to do with it."""

    story: Story

    @initialize(
        rules=strategies.review_rules,
        step=st.sampled_from(["payload_review", "payload_review", "response_review", "error_review"]),
        on_timeout=st.sampled_from(["fail", "approve", "escalate", "cancel"]),
        requester=st.sampled_from(PERSONS),
        timeout=st.sampled_from([30, 3600, 86_400]),
    )
    def waiting(self, rules: ReviewRules, step: str, on_timeout: str, requester: str, timeout: float) -> None:
        """Begin at a review."""
        self.groups: dict[str, set[str]] = {
            person: {"legal"} if person in ("bo", "di") else set() for person in PERSONS
        }
        self.said: list[c.AnyCommand] = []
        self.dues: list[c.AnyCommand] = []
        hitl: dict[str, Any] = {"review": rules, "timeout_seconds": timeout, "on_timeout": on_timeout}
        config: dict[str, Any] = (
            {"policy": "auto", "on_error": "review"} if step == "error_review" else {"allowed_steps": (step,)}
        )
        asker = self._credential(requester, "key", ())
        story = given(start(**config, **hitl).but(principal=asker, actor=requester), prepared())
        if step == "response_review":
            story = story.given(executed())
        elif step == "error_review":
            story = story.given(failed(received={"response": {"text": "half"}}))
        self.story = story
        assert self.story.now.view.checkpoint is not None

    def _credential(self, person: str, kind: str, absent: tuple[str, ...]) -> Principal:
        roles = (Role.ADMIN,) if person == "adam" else (Role.REVIEWER, Role.REQUESTER)
        about = {"groups": tuple(sorted(self.groups[person])), "on_behalf_of": absent, "credential": f"{kind}:{person}"}
        if kind == "bot":
            return principal(f"{person}s-bot", *roles, kind="service", owner=person, **about)
        return principal(person, *roles, **about)

    def _say(self, ask: Ask) -> Outcome:
        before = self.story.history
        roles = {person: "admin" if person == "adam" else "reviewer" for person in PERSONS}
        known: dict[Hashable, Any] = {
            Person("default", person): Membership(frozenset({role}), frozenset(self.groups[person]))
            for person, role in roles.items()
        }
        self.story = replace(self.story, known=known)
        outcome = self.story.when(ask)
        assert outcome.refusal is None or outcome.story.history == before, "a refusal leaves no event"
        self.story = outcome.story
        self.said.append(outcome.command)
        if self.story.due is not None:
            self.dues.append(self.story.due)
        return outcome

    # ---- people

    def _waits(self) -> bool:
        return self.story.now.view.checkpoint is not None

    @precondition(_waits)
    @rule(
        person=st.sampled_from(PERSONS),
        kind=st.sampled_from(["key", "jwt", "bot"]),
        absent=st.lists(st.sampled_from(PERSONS), max_size=2, unique=True),
        is_absent=st.booleans(),
        what=st.sampled_from(["agree"] * 6 + ["edit", "edit", "reject"]),
        edits=st.sampled_from([{"temperature": 1}, {"temperature": 0.5}, {"text": "by hand"}, {"size": 3}, {}]),
        seen=st.sampled_from(["none", "now", "first"]),
    )
    def a_person_votes(
        self, person: str, kind: str, absent: list[str], what: str, edits: Any, seen: str, *, is_absent: bool
    ) -> None:
        """Let a person approve, ask for another call, edit or reject, by any credential, for itself or for others."""
        stands_in = tuple(one for one in absent if one != person) if is_absent else ()
        ask = {"agree": self._agree(), "edit": edit(edits), "reject": reject()}[what]
        first = next(r.data for r in reversed(self.story.history) if isinstance(r.data, e.CheckpointOpened))
        view = self.story.now.view
        shas = {"now": view.checkpoint and view.checkpoint.subject_sha256, "first": first.subject_sha256}
        if shas.get(seen) is not None:
            ask = ask.but(subject_sha256=shas[seen])
        self._say(by(self._credential(person, kind, stands_in), ask))

    @precondition(_waits)
    @rule(
        persons=st.lists(st.sampled_from(PERSONS), min_size=2, max_size=8),
        absent=st.sampled_from([(), ("ann",), ("bo", "cy")]),
        editor=st.none() | st.sampled_from(PERSONS),
        temperature=st.sampled_from([0.1, 0.2, 0.3]),
    )
    def several_agree(
        self, persons: list[str], absent: tuple[str, ...], editor: str | None, temperature: float
    ) -> None:
        """Let several approve, one after the other, as far as they may; perhaps what one of them edits first."""
        if editor is not None:
            self._say(by(self._credential(editor, "key", absent), edit({"temperature": temperature})))
        for person in persons:
            others = tuple(one for one in absent if one != person)
            self._say(by(self._credential(person, "key", others), self._agree()))

    def _agree(self) -> Ask:
        return retry() if "retry" in self.story.now.view.pending_actions else approve()

    @precondition(_waits)
    @rule(
        person=st.sampled_from(PERSONS),
        absent=st.sampled_from([(), (), ("ann",), ("bo", "cy")]),
        to=st.sampled_from(PERSONS),
        group=st.sampled_from(GROUPS),
        what=st.integers(0, 11),
        override=st.booleans(),
        reason=st.sampled_from([None, "because"]),
    )
    def a_person_moves_the_task(
        self,
        person: str,
        absent: tuple[str, ...],
        to: str,
        group: str,
        what: int,
        reason: str | None,
        *,
        override: bool,
    ) -> None:
        """Let a person claim, release, assign, delegate, return, escalate, reschedule, draft or comment."""
        asks = (
            claim(),
            claim(),
            release(),
            assign(to),
            assign(group=group),
            delegate(to),
            give_back(comment="done"),
            escalate(),
            escalate(to=Candidates(users=(to,))),
            reschedule(due_at=self.story.at + timedelta(seconds=30)),
            keep_draft() if override else drop_draft(),
            comment(),
        )
        ask = asks[what]
        if issubclass(ask.kind, c.OfTask):
            ask = ask.but(override=override, reason=reason)
        self._say(by(self._credential(person, "key", absent), ask))

    @rule(person=st.sampled_from(PERSONS), group=st.sampled_from(GROUPS))
    def a_person_joins_or_leaves_a_group(self, person: str, group: str) -> None:
        """Let the next credential of a person say something else."""
        self.groups[person] ^= {group}

    @precondition(lambda self: not self.story.now.view.is_over)
    @rule(is_long=st.booleans())
    def it_is_paused_and_goes_on(self, *, is_long: bool) -> None:
        """Let an administrator hold the run, people move its task meanwhile, and the run go on."""
        adam = self._credential("adam", "key", ())
        self._say(by(adam, pause()))
        self._say(by(self._credential("ann", "key", ()), claim()))
        self._say(by(adam, self._agree())).refused_with("not_allowed")
        self.the_clock_jumps(3600 if is_long else 1)
        self._say(by(adam, resume()))

    @precondition(lambda self: not self._waits() and not self.story.now.view.paused)
    @rule(fails=st.booleans())
    def it_goes_on_to_the_next_review(self, *, fails: bool) -> None:
        """Let workers answer, and an administrator try again what is over."""
        view, attempt = self.story.now.view, self.story.now.attempt
        if view.is_over:
            self._say(by(self._credential("adam", "key", ()), retry()))
        elif attempt is not None and attempt.lease_until is not None:
            answers = {OrderKind.PREPARE: prepared(), OrderKind.CHECK: checked(), OrderKind.CALL: executed()}
            self._say(failed() if fails else answers[attempt.kind])

    # ---- the clock

    def _has_deadline(self) -> bool:
        return self.story.due is not None

    @precondition(_has_deadline)
    @rule()
    def what_is_due_falls_due(self) -> None:
        """Let the deadline fire."""
        assert self._say(again(self.story.due)).refusal is None, "a deadline that is kept is one that is honoured"

    @precondition(lambda self: bool(self.dues))
    @rule(which=st.integers(0, 50), fresh=st.booleans())
    def a_deadline_of_before_falls_due(self, which: int, *, fresh: bool) -> None:
        """Let a late, doubled or stale command of the clock come, under its own id or another."""
        ask = again(self.dues[which % len(self.dues)])
        self._say(ask.but(command_id=self.story.history[-1].cause.__class__(int=len(self.said))) if fresh else ask)

    @rule(seconds=st.sampled_from([1, 59, 3600]))
    def the_clock_jumps(self, seconds: int) -> None:
        """Let time pass without a command."""
        self.story = self.story.later(seconds)

    # ---- accidents

    @precondition(lambda self: bool(self.said))
    @rule(which=st.integers(0, 50))
    def a_command_comes_again(self, which: int) -> None:
        """Deliver a command twice."""
        command = self.said[which % len(self.said)]
        known = command.command_id in self.story.now.answered
        outcome = self._say(again(command))
        assert not known or outcome.events == (), "what took effect takes effect once"

    @rule()
    def the_orchestrator_crashes(self) -> None:
        """Go on with the run and the view that the ledger's bytes lead to."""
        history = tuple(RunEvent.parse(record.to_bytes()) for record in self.story.history)
        run, view = fold(history), None
        for record in history:
            view = project(view, record)
        assert run == self.story.run
        assert view == self.story.view
        self.story = replace(self.story, run=run, view=view, history=history)

    # ---- at the end

    def teardown(self) -> None:
        """Every decision was allowed, and an untouched run ends by itself."""
        if not hasattr(self, "story"):
            return
        check_decisions(self.story.history)
        story = self.story.given(resume()) if self.story.now.view.paused else self.story
        for _ in range(ENOUGH):
            if story.now.view.is_over:
                return
            story = story.given(again(story.due))
        pytest.fail(f"still {story.now.view.state} after {ENOUGH} times")


AnyVotes.TestCase.settings = settings(
    max_examples=80, stateful_step_count=25, suppress_health_check=list(HealthCheck), deadline=None
)
TestAnyVotes = AnyVotes.TestCase

"""No sequence of commands leads a run to an undefined state, be they stale, doubled or astray.

`Story.when` decides each command as the intake would and holds the run to `testkit.runs.invariants`; here are the commands,
in any order, and the promises that hold at the end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from contracts.providers.call import Checked, Ending, Execution, Failure, Preparation
from contracts.runs import commands as c
from contracts.runs.config import HitlConfig, Step
from contracts.runs.requests import RunRequest
from orchestrator.runs import fold
from orchestrator.runs.state import OrderKind
from testkit.messages import strategies
from testkit.runs.commands import (
    again,
    approve,
    checked,
    edit,
    executed,
    failed,
    handed_back,
    held,
    prepared,
    reject,
    resume,
    retry,
)
from testkit.runs.specification import RUN_ID, Ask, Outcome, Story, given

ELSEWHERE = UUID(int=0xDEAD)
DIGEST = "0" * 64
PEOPLE = (c.ApproveCheckpoint, c.EditCheckpoint, c.RejectCheckpoint)
CONTROLS = (c.PauseRun, c.PauseRun, c.ResumeRun, c.RetryRun, c.RetryRun, c.CancelRun)
ANSWERS: list[type[c.Command]] = [
    c.RecordPreparation,
    c.RecordCheck,
    c.RecordExecution,
    c.RecordFailure,
    c.ExtendLease,
    c.NoteCall,
    c.RecordStop,
]
ENOUGH = 100
"""Deadlines after which an untouched run must have ended: far more than attempts and reviews add up to."""


class AnySequence(RuleBasedStateMachine):
    """One run, and every sender of commands to it."""

    story: Story

    @initialize(
        config=strategies.configs,
        parameters=strategies.json_objects,
        moves=st.lists(strategies.moves, max_size=8),
    )
    def started(self, config: HitlConfig, parameters: dict[str, Any], moves: list[strategies.Move]) -> None:
        """Begin in any state, so that stray commands meet every state."""
        request = RunRequest(prompt="p", parameters=parameters, hitl_config=config)
        start = Ask(c.StartRun, lambda _: {"request": request})
        self.story = given(start)
        self.said: list[c.AnyCommand] = [start.to(Story())]
        self.story.when(start).refused_with("run_already_exists")
        self.it_goes_on(moves)

    def _say(self, ask: Ask) -> Outcome:
        outcome = self.story.when(ask)
        self.story = outcome.story
        self.said.append(outcome.command)
        return outcome

    # ---- the sender that the run waits for

    @rule(moves=st.lists(strategies.moves, min_size=1, max_size=3))
    def it_goes_on(self, moves: list[strategies.Move]) -> None:
        """Let the awaited sender answer: a worker, a person, the clock."""
        for move in moves:
            ask = _awaited(self.story, move)
            if ask is None:
                return
            outcome = self._say(ask)
            assert outcome.refusal is None or outcome.refusal.code == "validation_failed", "what is awaited is taken"

    # ---- workers

    def _has_work(self) -> bool:
        attempt = self.story.now.attempt
        return attempt is not None and attempt.lease_until is not None

    @precondition(_has_work)
    @rule()
    def the_lease_is_extended(self) -> None:
        """Let a worker report that it is still at it."""
        about = {"work_id": self.story.attempt.work_id, "attempt": self.story.attempt.number}
        assert self._say(Ask(c.ExtendLease, lambda _: about)).refusal is None

    def _holds(self) -> bool:
        return bool(self.story.holds()) and self._has_work()

    @precondition(_holds)
    @rule()
    def the_call_of_a_paused_run_is_given_back(self) -> None:
        """Let a worker give the order back that it has not begun."""
        assert self._say(held()).refusal is None
        assert self.story.now.attempt is None

    def _calls(self) -> bool:
        return self._has_work() and self.story.attempt.kind is OrderKind.CALL

    @precondition(_calls)
    @rule(seconds=st.sampled_from([0.5, 8.0, 3600.0]))
    def a_worker_has_no_room(self, seconds: float) -> None:
        """Let a worker hand the order back that it has not begun: it is ordered again later, under another id."""
        before = self.story.attempt
        assert self._say(handed_back(seconds)).refusal is None
        after = self.story.attempt
        assert (after.kind, after.number, after.lease_until) == (before.kind, before.number, None)
        assert after.work_id != before.work_id

    @precondition(_calls)
    @rule(call_id=st.sampled_from(["p1", "p2"]))
    def the_call_is_noted(self, call_id: str) -> None:
        """Let a worker report the provider's id of the call."""
        about = {
            "work_id": self.story.attempt.work_id,
            "attempt": self.story.attempt.number,
            "provider_call_id": call_id,
        }
        assert self._say(Ask(c.NoteCall, lambda _: about)).refusal is None
        assert self.story.now.resumable == call_id

    @rule(
        version=st.integers(1, 12),
        attempt=st.integers(1, 4),
        kind=st.sampled_from(ANSWERS),
        ending=st.sampled_from([Ending.STOPPED, Ending.NOT_BEGUN]),
        in_one=st.booleans(),
        preparation=strategies.preparations,
        checked=strategies.checks,
        execution=strategies.executions,
        failure=strategies.failures,
    )
    def a_worker_says_something_astray(
        self,
        version: int,
        attempt: int,
        kind: type[c.Command],
        ending: Ending,
        *,
        in_one: bool,
        **facts: Preparation | Checked | Execution | Failure,
    ) -> None:
        """Let a worker answer an attempt that may be answered, given up or unknown."""
        self._say(
            Ask(
                kind,
                lambda _: {
                    "work_id": f"{RUN_ID}.{version}",
                    "attempt": attempt,
                    "provider_call_id": "p3",
                    "ending": ending,
                    "in_one": in_one,
                    **facts,
                },
            )
        )

    def _has_call_to_stop(self) -> bool:
        return self.story.now.stopping is not None

    @precondition(_has_call_to_stop)
    @rule(
        kind=st.sampled_from([kind for kind in ANSWERS if kind not in (c.RecordPreparation, c.RecordCheck)]),
        execution=strategies.executions,
        failure=strategies.failures,
    )
    def the_call_of_a_cancelled_run_is_heard_of(self, kind: type[c.Command], **facts: Execution | Failure) -> None:
        """Let the worker stop it, answer it, or report before the order to stop arrives."""
        call = self.story.now.stopping
        assert call is not None
        about = {"work_id": call.work_id, "attempt": call.number, "provider_call_id": "p4", "ending": Ending.STOPPED}
        assert self._say(Ask(kind, lambda _: about | facts)).refusal is None

    # ---- people

    @rule(
        kind=st.sampled_from(PEOPLE),
        named=st.sampled_from(["none", "open", "open", "earlier", "elsewhere"]),
        sha=st.sampled_from(["none", "right", "right", "wrong"]),
        edits=strategies.edits,
        version=st.just(None) | st.integers(1, 12),
    )
    def decided(self, kind: type[c.Command], named: str, sha: str, edits: dict[str, Any], version: int | None) -> None:
        """Decide, on a checkpoint and bytes that may not be the open ones."""
        checkpoint, decided = self.story.now.view.checkpoint, list(self.story.now.decided)
        ids = {
            "open": checkpoint.checkpoint_id if checkpoint else None,
            "earlier": decided[0] if decided else None,
            "elsewhere": ELSEWHERE,
        }
        digests = {"right": checkpoint.subject_sha256 if checkpoint else None, "wrong": DIGEST}
        said = {"checkpoint_id": ids.get(named), "subject_sha256": digests.get(sha), "expected_version": version}
        outcome = self._say(Ask(kind, lambda _: {**said, "edits": edits}))
        if named == "elsewhere" or (sha == "wrong" and outcome.refusal is None):
            assert outcome.refusal is not None, "nothing is decided that was not seen"

    @rule(kind=st.sampled_from(CONTROLS))
    def controlled(self, kind: type[c.Command]) -> None:
        """Pause, resume, retry or cancel, in any state."""
        self._say(Ask(kind, lambda _: {}))

    # ---- the clock

    def _has_deadline(self) -> bool:
        return self.story.due is not None

    @precondition(_has_deadline)
    @rule()
    def what_is_due_falls_due(self) -> None:
        """Let the deadline fire at its time."""
        assert self._say(_due(self.story)).refusal is None, "a deadline that is kept is one that is honoured"

    @precondition(_has_deadline)
    @rule()
    def the_clock_is_early(self) -> None:
        """Let the clock of another orchestrator be a little ahead."""
        due = self.story.due
        assert due is not None
        if self.story.at < due.at:
            self._say(_due(self.story).but(at=due.at - timedelta(microseconds=1))).refused_with("not_allowed")

    @rule(seconds=st.sampled_from([1, 59, 4000]))
    def time_passes(self, seconds: int) -> None:
        """Let time pass without a command."""
        self.story = self.story.later(seconds)

    # ---- commands that come again, or from another tenant

    @rule(which=st.integers(0, 30), other_body=st.booleans())
    def said_again(self, which: int, *, other_body: bool) -> None:
        """Deliver a command twice, or use its id for another request."""
        command = self.said[which % len(self.said)]
        known = self.story.now.answered.get(command.command_id)
        sha = DIGEST if other_body else command.request_sha256
        outcome = self._say(again(command).but(request_sha256=sha))
        if known is not None and known.request_sha256 != sha:
            outcome.refused_with("idempotency_key_reused")
        elif known is not None:
            outcome.then()

    @rule(which=st.integers(0, 30), fresh=st.booleans())
    def another_tenant_says_it(self, which: int, *, fresh: bool) -> None:
        """Send a command again from another tenant."""
        command = self.said[which % len(self.said)]
        ask = again(command).but(tenant="other")
        if fresh:
            ask = ask.but(command_id=uuid5(ELSEWHERE, str(len(self.said))))
        code = "run_already_exists" if isinstance(command, c.StartRun) else "run_not_found"
        assert self.story.when(ask).refused_with(code).events == ()

    # ---- at the end

    def teardown(self) -> None:
        """Every prefix of the history folds, every offered action is allowed, and an untouched run ends."""
        if not hasattr(self, "story"):
            return
        self._every_prefix_folds()
        _what_is_offered_is_allowed(self.story)
        _ends_by_itself(self.story)

    def _every_prefix_folds(self) -> None:
        history, run = self.story.history, None
        for count, record in enumerate(history, 1):
            run = fold([record], run)
            if count % 5 == 0 or count == len(history):
                assert fold(history[:count]) == run
        assert run == self.story.run


def _due(story: Story) -> Ask:
    return again(story.due)


def _awaited(story: Story, move: strategies.Move) -> Ask | None:
    """Return the command that the run waits for, or None if it waits for none."""
    view, attempt = story.now.view, story.now.attempt
    if view.paused:
        return resume()
    if view.checkpoint is not None and move.how != "due":
        return edit(move.edits) if move.how == "edit" or view.checkpoint.step is Step.ERROR_REVIEW else approve()
    if attempt is not None and attempt.lease_until is not None and move.how != "due":
        if move.how == "fail":
            return failed(**dict(move.failure))
        match attempt.kind:
            case OrderKind.PREPARE:
                in_one = attempt.in_one and not move.preparation.is_in_question
                return prepared(in_one=in_one, **dict(move.preparation))
            case OrderKind.CHECK:
                return checked(**dict(move.checked))
            case OrderKind.CALL:
                return executed(**dict(move.execution))
    if view.is_over:
        return retry() if "retry" in view.pending_actions else None
    return _due(story)


def _what_is_offered_is_allowed(story: Story) -> None:
    """`pending_actions` holds exactly the actions that are not refused as not allowed."""
    asks = {"approve": approve(), "edit": edit({"x": 1}), "reject": reject(), "retry": retry(), "resume": resume()}
    for action, ask in asks.items():
        refusal = story.when(ask).refusal
        refused = refusal is not None and refusal.code == "not_allowed"
        assert refused == (action not in story.now.view.pending_actions), action


def _ends_by_itself(story: Story) -> None:
    """Silent workers and silent people hold no run for ever."""
    if story.now.view.paused:
        story = story.given(resume())
    for _ in range(ENOUGH):
        if story.now.view.is_over:
            return
        story = story.given(_due(story))
    raise AssertionError(f"still {story.now.view.state} after {ENOUGH} deadlines")


AnySequence.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
TestAnySequence = AnySequence.TestCase

"""Whether a history's decisions were allowed: judged over the history alone, apart from the core's code, by plain bookkeeping.

It knows what the rules of the checkpoint said, and what each record says of its actor. It asks neither the run nor its task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.identity import Principal, Role
from contracts.json_values import digest
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from orchestrator.runs.checkpoints.json_patch import merge_patch
from testkit.runs.approval_oracle.desk import ANYONE, Desk, Said

_AGREE = ("approve", "edit")

_DECISIONS = (
    *(e.VoteCast, e.SubjectRevised, e.RunRetried),
    *(e.CheckpointApproved, e.CheckpointEdited, e.CheckpointRejected, e.CheckpointExpired, e.CheckpointEscalated),
)


def check_decisions(history: Sequence[RunEvent]) -> None:
    """Check that each claim, vote and decision of a history was its actor's to make, and that decisions have their votes."""
    desk: Desk | None = None
    requester: str | None = None
    is_paused = False
    editors: dict[str, str] = {}
    for record in history:
        _note_editor(editors, desk, record)
        match record.data:
            case e.RunStarted(request=request):
                # A start names no actor: while authentication is off, it is the user on whose behalf it came.
                requester = _person(record) if record.principal is not None else request.user_id
            case e.RunPaused() | e.RunResumed():
                is_paused = isinstance(record.data, e.RunPaused)
            case e.CheckpointOpened():
                desk = _opened(record.data)
                desk.editor = editors.get(_WHAT[record.data.step]) if desk.rules["four_eyes"] else None
            case event if desk is not None and hasattr(event, "checkpoint_id"):
                assert not (is_paused and isinstance(event, _DECISIONS)), "no decision is made while the run is paused"
                _on_claim(desk, event, record)
                _on_change(desk, event, record)
                _on_vote(desk, event, record, requester)
                if _ends(desk, event, record):
                    desk = None


_WHAT = {
    "information_review": "intent",
    "payload_review": "payload",
    "response_review": "response",
    "error_review": "failure",
}


def _note_editor(editors: dict[str, str], desk: Desk | None, record: RunEvent) -> None:
    """Note whose edit each subject is; a worker's answer is no person's."""
    match record.data:
        case e.RunPrepared():
            editors.pop("payload", None)
        case e.CallSucceeded():
            editors.pop("response", None)
        case e.CheckpointEdited(step=step):
            revised = desk is not None and digest(desk.subject) != digest(desk.first)
            what = "response" if step == "error_review" else _WHAT[step]
            editors[what] = (desk.editor if desk is not None and revised else None) or _person(record)


def _opened(event: e.CheckpointOpened) -> Desk:
    rules = event.rules.model_dump(mode="json") if event.rules is not None else {}
    rules = {"candidates": ANYONE, "approvals_required": 1, "on_reject": "veto", "four_eyes": False, **rules}
    stages = rules.get("stages") or [{"candidates": None, "approvals_required": rules["approvals_required"]}]
    asked = [stage["candidates"] or rules["candidates"] for stage in stages]
    needed = [stage["approvals_required"] for stage in stages]
    return Desk(rules, event.subject, event.subject, asked, needed, escalation=rules.get("escalate_to"))


def _person(record: RunEvent) -> str:
    who = record.principal
    if who is None:
        return record.actor
    return who.owner if who.kind == "service" and who.owner else who.subject


def _is_admin(who: Principal | None) -> bool:
    return who is None or Role.ADMIN in who.roles


def _places(desk: Desk, record: RunEvent) -> set[str]:
    """Return the places from which the actor may speak: its own, or those of absent candidates."""
    asked, person, who = desk.asked[desk.stage], _person(record), record.principal
    if who is None:  # its groups are not known
        return {person} if asked["groups"] or asked == ANYONE or person in asked["users"] else set()
    if asked == ANYONE or person in asked["users"] or set(who.groups) & set(asked["groups"]):
        return {person}
    absent = set(who.on_behalf_of) & set(asked["users"])
    return absent | ({person} if _is_admin(who) else set())


def _on_claim(desk: Desk, event: Any, record: RunEvent) -> None:
    person = _person(record)
    held = desk.holder if desk.until is not None and record.at < desk.until else None
    acting = {person, *(record.principal.on_behalf_of if record.principal else ())}
    is_asked = bool(_places(desk, record) or acting & {desk.assignee, desk.owner})
    match event:
        case e.TaskClaimed(lease_until=until, reason=reason):
            overrides = bool(reason) and _is_admin(record.principal)
            assert held is None or overrides, "one holder at a time"
            assert overrides or is_asked, "who holds it is asked"
            desk.holder, desk.until = person, until
        case e.ClaimRenewed(lease_until=until):
            assert held == person, "a lease is renewed by its holder, while it runs"
            assert is_asked, "and while it is asked"
            desk.until = until
        case e.ClaimEnded(claimant=claimant, why=why):
            assert claimant == desk.holder, "a claim that ends was there"
            assert (held is None) == (why == "expired"), "it expires after its lease, and is released before"
            desk.holder = desk.until = None


def _on_change(desk: Desk, event: Any, record: RunEvent) -> None:
    match event:
        case e.TaskAssigned(assignee=assignee, candidates=candidates, reason=reason):
            before, after = desk.asked[desk.stage], candidates.model_dump(mode="json")
            narrowed = not after["users"] and (before == ANYONE or set(after["groups"]) <= set(before["groups"]))
            assert after == before or narrowed or (reason and _is_admin(record.principal)), "only an override widens"
            desk.ask(after)
            desk.assignee = desk.owner = assignee
            desk.is_asked_for_help = False
            if desk.holder != assignee:
                desk.holder = desk.until = None
        case e.TaskDelegated(delegate=delegate, owner=owner):
            desk.assignee, desk.owner, desk.is_asked_for_help = delegate, owner, True
            desk.holder = desk.until = None
        case e.TaskReturned(owner=owner):
            assert desk.is_asked_for_help, "what is returned was asked for"
            assert owner == desk.owner, "and goes to its owner"
            desk.assignee, desk.is_asked_for_help = owner, False
            desk.holder = desk.until = None
        case e.TaskEscalated(candidates=candidates):
            after = candidates.model_dump(mode="json")
            same = after == (desk.escalation or desk.asked[desk.stage])
            assert same or _is_admin(record.principal), "an administrator alone names others than the rules"
            _asked_anew(desk, after)
        case e.CheckpointEscalated():
            _asked_anew(desk, desk.escalation or desk.asked[desk.stage])
        case e.StageApproved():
            assert not desk.is_last, "a stage follows"
            assert desk.is_enough(*_AGREE) or desk.is_enough("retry"), "a stage has its approvals"
            desk.stage += 1
            _free(desk)


def _asked_anew(desk: Desk, asked: dict[str, Any]) -> None:
    desk.ask(asked)
    _free(desk)


def _free(desk: Desk) -> None:
    desk.assignee = desk.owner = desk.holder = desk.until = None
    desk.is_asked_for_help = False


def _on_vote(desk: Desk, event: Any, record: RunEvent, requester: str | None) -> None:
    person = _person(record)
    match event:
        case e.SubjectRevised(edits=edits, subject=subject, subject_sha256=sha):
            _check_may_decide(desk, record)
            assert merge_patch(desk.first, edits) == subject, "the edits of all lead from what was shown first"
            assert sha == digest(subject)
            if desk.stage > 0:
                _free(desk)
            desk.subject, desk.editor, desk.said, desk.stage = subject, person, [], 0
        case e.VoteCast(action=action, counts=counts, subject_sha256=sha):
            assert sha == digest(desk.subject), "a vote is about the bytes that are shown"
            desk.said = [one for one in desk.said if one.stage != desk.stage or one.person not in event.left]
            if action != "edit":
                _check_may_decide(desk, record)
            if counts:
                place = event.on_behalf_of or person
                assert place in _places(desk, record), "it is from a place that is asked"
                assert not {person, place} & {who for one in desk.now for who in (one.person, one.place)}, (
                    "and the first"
                )
                if desk.rules["four_eyes"] and action != "reject":
                    before = {one.person for one in desk.said if one.stage != desk.stage and one.action != "reject"}
                    assert person not in {requester, desk.editor, *before}, "four eyes"
                desk.said.append(Said(person, place, action, desk.stage))
            if desk.holder == person:
                desk.holder = desk.until = None


def _check_may_decide(desk: Desk, record: RunEvent) -> None:
    person, who = _person(record), record.principal
    assert who is None or {Role.REVIEWER, Role.ADMIN} & set(who.roles), "a reviewer decides"
    assert _places(desk, record), "who decides is asked"
    assert not desk.is_asked_for_help, "no decision is made while another is asked for help"
    held = desk.holder if desk.until is not None and record.at < desk.until else None
    assert held in (None, person), "who decides holds it, or no one does"
    assert held == person or desk.rules.get("claim") != "required", "and has claimed it where that is asked for"


def _ends(desk: Desk, event: Any, record: RunEvent) -> bool:
    votes = len(desk.said) > 0
    match event:
        case e.CheckpointApproved(subject_sha256=sha) | e.CheckpointEdited(subject_sha256=sha):
            if record.actor == "system":
                assert desk.asked == [ANYONE], "no clock approves where persons are asked"
                assert (desk.needed, desk.rules["four_eyes"]) == ([1], False)
                return True
            _is_by_one(desk, record) if not votes else _has_all(desk, *_AGREE)
            own = event.subject if isinstance(event, e.CheckpointEdited) and not votes else desk.subject
            assert sha == digest(own), "of the bytes that were shown"
            return True
        case e.RunRetried(checkpoint_id=checkpoint_id) if checkpoint_id is not None:
            _is_by_one(desk, record) if not votes else _has_all(desk, "retry")
            return True
        case e.CheckpointRejected():
            _is_by_one(desk, record) if not votes else None
            assert not votes or desk.is_rejected(), "the rejections suffice"
            return True
    return isinstance(event, e.CheckpointExpired)


def _is_by_one(desk: Desk, record: RunEvent) -> None:
    _check_may_decide(desk, record)
    alone = (desk.needed, desk.rules["four_eyes"], desk.rules["on_reject"], desk.editor)
    assert alone == ([1], False, "veto", None), "one person decides"


def _has_all(desk: Desk, *actions: str) -> None:
    assert desk.is_last, "all stages are through"
    assert desk.is_enough(*actions), "each has its approvals"
    against = [one for one in desk.said if one.action == "reject"]
    assert not against or desk.rules["on_reject"] == "majority", "and no veto"

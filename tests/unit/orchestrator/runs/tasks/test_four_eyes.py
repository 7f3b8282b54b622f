"""Four eyes: neither who asked nor who edited last approves, and each stage has another person. The person who acts is looked at."""

from __future__ import annotations

from contracts.providers.signals import Finding
from contracts.runs import events as e
from testkit.runs.commands import GOOD, approve, checked, edit, executed, prepared, reject, retry, start
from testkit.runs.people import ADAM, ANN, ANNS_BOT, BO, CY, DI, RITA, principal
from testkit.runs.specification import given, like
from testkit.runs.tasks import by, delegate, give_back, task_of, under

RULES = {"four_eyes": True}
OPEN = under(RULES, by=DI)
DIS_BOT = principal("bot", *DI.roles, kind="service", owner="di")


def test_who_asked_does_not_approve() -> None:
    """The refusal leaves no event; another approves."""
    assert OPEN.when(by(DI, approve())).refused_with("four_eyes").events == ()
    OPEN.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_nor_does_the_requesters_service() -> None:
    """And the person does not approve what the person's service asked for."""
    OPEN.when(by(DIS_BOT, approve())).refused_with("four_eyes")
    under(RULES, by=DIS_BOT).when(by(DI, approve())).refused_with("four_eyes")


def test_nor_does_a_second_key_of_the_requester() -> None:
    """Persons are compared, not credentials."""
    second = DI.model_copy(update={"credential": "jwt:di"})
    OPEN.when(by(second, approve())).refused_with("four_eyes")


def test_nor_does_the_requester_as_an_administrator() -> None:
    """A role takes no eye's place."""
    under(RULES, by=ADAM).when(by(ADAM, approve())).refused_with("four_eyes")


def test_nor_does_the_requester_for_an_absent_candidate() -> None:
    """The person who acts is looked at, not the one who is stood in for."""
    story = under({**RULES, "candidates": {"users": ["ann"]}}, by=DI)
    story.when(by(DI.model_copy(update={"on_behalf_of": ("ann",)}), approve())).refused_with("four_eyes")


def test_another_who_stands_in_for_the_requester_approves() -> None:
    """It is another pair of eyes."""
    story = under({**RULES, "candidates": {"users": ["di"]}}, by=DI)
    substitute = ANN.model_copy(update={"on_behalf_of": ("di",)})
    story.when(by(substitute, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_a_delegation_does_not_lead_round_it() -> None:
    """Asked for help and answered: the requester is still who asked."""
    story = OPEN.given(by(ANN, delegate("di")), by(DI, give_back()))
    story.when(by(DI, approve())).refused_with("four_eyes")
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_who_asked_may_reject() -> None:
    """To stop needs no second person."""
    OPEN.when(by(DI, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_who_edited_last_does_not_approve() -> None:
    """The editor's own vote does not count, by whichever key; another's does."""
    outcome = OPEN.when(by(ANN, edit({"temperature": 1})))
    outcome.then(e.SubjectRevised, like(e.VoteCast, action="edit", counts=False)).leaves(checkpoint__approvals=())
    for same in (ANN, ANNS_BOT):
        outcome.story.when(by(same, approve())).refused_with("four_eyes")
        outcome.story.when(by(same, edit({}))).refused_with("four_eyes")
    final = outcome.story.when(by(BO, approve()))
    final.then(e.VoteCast, like(e.CheckpointEdited, edits={"temperature": 1}), e.CheckOrdered)


def test_an_earlier_editor_approves_what_another_made_of_it() -> None:
    """The last editor is the one whose bytes they are."""
    story = OPEN.given(by(ANN, edit({"temperature": 1})), by(BO, edit({"temperature": 0.7})))
    story.when(by(BO, approve())).refused_with("four_eyes")
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)


def test_with_two_of_them_the_editor_is_neither() -> None:
    """The editor cannot be the second of four eyes."""
    story = under({**RULES, "approvals_required": 2}, by=RITA).given(by(ANN, edit({"temperature": 1})))
    story = story.given(by(BO, approve()))
    story.when(by(ANN, approve())).refused_with("four_eyes")
    story.when(by(CY, approve())).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)


def test_who_asked_does_not_edit() -> None:
    """An edit is a decision too."""
    OPEN.when(by(DI, edit({"temperature": 1}))).refused_with("four_eyes")


def test_each_stage_has_another_person() -> None:
    """Who approved an earlier one approves no later one."""
    story = under({**RULES, "stages": [{"name": "a"}, {"name": "b"}]}, by=RITA).given(by(ANN, approve()))
    for same in (ANN, ANNS_BOT):
        story.when(by(same, approve())).refused_with("four_eyes")
    story.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_an_edit_frees_who_approved_an_earlier_stage() -> None:
    """All stages begin anew, so their approvers do too."""
    story = under({**RULES, "stages": [{"name": "a"}, {"name": "b"}]}, by=RITA)
    story = story.given(by(ANN, approve()), by(BO, edit({"temperature": 1})), by(CY, approve()))
    story.when(by(BO, approve())).refused_with("four_eyes")
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)


def test_who_was_outvoted_at_an_earlier_stage_may_approve_a_later_one() -> None:
    """That person approved nothing yet."""
    rules = {**RULES, "on_reject": "majority", "candidates": {"users": ["ann", "bo", "cy"]}}
    story = under({**rules, "stages": [{"name": "a"}, {"name": "b"}]}, by=RITA)
    story = story.given(by(ANN, reject()), by(BO, approve()))
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_while_authentication_is_off_who_asked_is_the_user_that_the_request_names() -> None:
    """Each caller of loopback is trusted to say who it is."""
    story = given(start(review=RULES, allowed_steps=("payload_review",)), prepared())
    story.when(approve(actor="u1")).refused_with("four_eyes")
    story.when(approve(actor="ann")).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


FOUND = checked(
    signals=GOOD.model_copy(update={"findings": (Finding(check="pii", code="pii_found", message="x", force=True),)})
)


def test_nor_does_the_editor_approve_its_edit_where_the_check_asks_again() -> None:
    """The checkpoint says who edited, and another approves; who approved the edit then is not its editor."""
    story = under(RULES).given(by(ANN, edit({"temperature": 1})), by(BO, approve()), FOUND)
    assert task_of(story).revised_by == "ann"
    story.when(by(ANN, approve())).refused_with("four_eyes")
    story.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    again = story.given(by(BO, edit({"temperature": 0.7})), by(CY, approve()), FOUND)
    again.when(by(BO, approve())).refused_with("four_eyes")
    again.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_who_edited_a_payload_approves_one_that_a_worker_prepared_anew() -> None:
    """It is no longer what the person wrote."""
    story = under(RULES).given(by(ANN, edit({"temperature": 1})), by(BO, approve()), FOUND)
    anew = story.given(by(CY, reject()), by(ADAM, retry()), prepared())
    assert task_of(anew).revised_by is None
    assert anew.when(by(ANN, approve())).refusal is None


def test_a_response_is_followed_too() -> None:
    """Its editor does not approve it where the check of the edit asks again."""
    story = under(RULES, allowed_steps=("response_review",)).given(executed(checks=("pii",)))
    edited = story.given(by(ANN, edit({"text": "mine"})), by(BO, approve()), FOUND)
    assert edited.now.view.state == "response_review"
    edited.when(by(ANN, approve())).refused_with("four_eyes")
    assert edited.when(by(CY, approve())).refusal is None


def test_without_four_eyes_no_editor_is_handed_on() -> None:
    """A checkpoint that reopens without them is decided by any one, the editor too."""
    story = under({}).given(by(ANN, edit({"temperature": 1})), FOUND)
    assert task_of(story).revised_by is None
    story.when(by(ANN, approve())).then(e.CheckpointApproved, e.CallOrdered)

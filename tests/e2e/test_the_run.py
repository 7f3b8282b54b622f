"""The run from start to end: stages, reviews, policies, decisions and time limits."""

from __future__ import annotations

import pytest

from contracts.json_values import digest
from testkit.stack.user import User

ALL = {"policy": "require_human"}
TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}
RESPONSE = {"policy": "require_human", "allowed_steps": ["response_review"]}
PAYLOAD = {"policy": "require_human", "allowed_steps": ["payload_review"]}


async def test_a_run_stops_at_each_of_the_three_reviews_and_completes(ann: User) -> None:
    """Information, payload and response are decided by a person, then the result is read."""
    run_id = (await ann.start(hitl=ALL))["run_id"]
    information = await ann.until(run_id, "information_review")
    assert information["checkpoint_context"]["capabilities"]["provider"] == "sandbox"
    assert information["checkpoint"]["subject"]["provider"] == "sandbox"
    assert (await ann.decide(information, "approve")).status_code == 200
    payload = await ann.until(run_id, "payload_review")
    assert payload["cost"]["estimated"] is not None
    assert payload["checkpoint"]["subject_schema"]["type"] == "object"
    assert (await ann.decide(payload, "approve")).status_code == 200
    response = await ann.until(run_id, "response_review")
    assert response["checkpoint_context"]["raw"] is not None
    assert response["checkpoint_context"]["signals"]["response_quality"] is not None
    done = (await ann.decide(response, "approve", comment="good")).json()
    assert (done["state"], done["result"]) == ("completed", response["checkpoint"]["subject"])
    assert done["last_approval"]["actor"] == "ann"
    assert done["cost"]["actual"] is not None


async def test_a_change_at_information_review_prepares_again(ann: User) -> None:
    """A person chooses another operation, and the payload is built anew for it."""
    run_id = (await ann.start(hitl=ALL))["run_id"]
    information = await ann.until(run_id, "information_review")
    edited = await ann.decide(information, "edit", edits={"prompt": "a green boat", "operation": "text"})
    assert edited.status_code == 200, edited.text
    payload = await ann.until(run_id, "payload_review")
    assert "a green boat" in str(payload["checkpoint"]["subject"])
    assert (await ann.kinds(run_id)).count("run-prepared") == 2


async def test_an_unknown_provider_at_information_review_names_the_field(ann: User) -> None:
    """An edit is validated."""
    run_id = (await ann.start(hitl=ALL))["run_id"]
    information = await ann.until(run_id, "information_review")
    refused = await ann.decide(information, "edit", edits={"provider": "nobody"})
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert refused.json()["issues"][0]["path"] == "/provider"


async def test_an_edited_payload_is_validated_hashed_and_sent(ann: User) -> None:
    """The edit is a merge patch, its diff is kept, and what is called is the edited payload."""
    run_id = (await ann.start(hitl=TWO, parameters={"temperature": 0.2}))["run_id"]
    payload = await ann.until(run_id, "payload_review")
    broken = await ann.decide(payload, "edit", edits={"parameters": {"temperature": "hot"}})
    assert (broken.status_code, broken.json()["issues"][0]["path"]) == (422, "/parameters/temperature")
    edited = await ann.decide(payload, "edit", edits={"parameters": {"temperature": 0.9}})
    assert edited.status_code == 200, edited.text
    diff = edited.json()["last_approval"]["diff"]
    assert [(change["path"], change["before"], change["after"]) for change in diff] == [
        ("/parameters/temperature", 0.2, 0.9)
    ]
    await ann.until(run_id, "response_review")
    events = {event["kind"]: event["data"] for event in await ann.history(run_id)}
    subject = events["checkpoint-edited.v1"]["subject"]
    assert subject["parameters"]["temperature"] == 0.9
    assert events["call-ordered.v1"]["payload_sha256"] == digest(subject)


async def test_an_edited_response_is_the_result(ann: User) -> None:
    """A person rewrites the answer."""
    run_id = (await ann.start(hitl=RESPONSE))["run_id"]
    response = await ann.until(run_id, "response_review")
    done = await ann.decide(response, "edit", edits={"text": "rewritten"})
    assert (done.json()["state"], done.json()["result"]["text"]) == ("completed", "rewritten")


async def test_an_integer_beyond_2_53_arrives_as_it_was(ann: User) -> None:
    """In the answer, the view, the push, the history and the result, though a person edits the member beside it."""
    number = 1497549923779084388
    person = {"id": {"type": "integer", "const": number}, "name": {"type": "string"}}
    schema = {"type": "object", "properties": person, "required": ["id", "name"]}
    async with ann.watch(session_id="exact") as socket:
        started = await ann.start(hitl=RESPONSE, operation="json", parameters={"schema": schema}, session_id="exact")
        pushed = await socket.until("HITL_APPROVAL_REQUEST", run_id=started["run_id"])
        response = await ann.until(started["run_id"], "response_review")
        assert response["checkpoint"]["subject"]["json"]["id"] == number
        assert pushed["checkpoint"]["subject"] == response["checkpoint"]["subject"]
        assert pushed["checkpoint"]["subject_sha256"] == digest(response["checkpoint"]["subject"])
        result = await socket.decide(pushed, "edit", edits={"json": {"name": "Anna"}})
    assert result["ok"], result
    done = await ann.until(started["run_id"], "completed")
    assert done["result"]["json"] == {"id": number, "name": "Anna"}
    (edited,) = [event for event in await ann.history(started["run_id"]) if event["kind"] == "checkpoint-edited.v1"]
    assert edited["data"]["subject"]["json"]["id"] == number
    assert [change["path"] for change in edited["data"]["diff"]] == ["/json/name"]


async def test_a_rejected_run_is_cancelled_with_the_reason_and_can_be_tried_again(ann: User) -> None:
    """Reject carries who and why; retry after a failure begins anew."""
    run_id = (await ann.start(hitl=PAYLOAD))["run_id"]
    payload = await ann.until(run_id, "payload_review")
    rejected = (await ann.decide(payload, "reject", reason="wrong customer")).json()
    assert (rejected["state"], rejected["error"]["code"]) == ("cancelled", "rejected")
    assert rejected["last_approval"]["reason"] == "wrong customer"
    assert rejected["pending_actions"] == ["retry"]
    assert (await ann.post(run_id, "retry", reason="it was the right one")).status_code == 200
    again = await ann.until(run_id, "payload_review")
    assert again["checkpoint"]["checkpoint_id"] != payload["checkpoint"]["checkpoint_id"]


async def test_auto_completes_without_a_review(ann: User) -> None:
    """No checkpoint opens, and the history has the reasons."""
    run_id = (await ann.start(hitl={"policy": "auto"}))["run_id"]
    done = await ann.until(run_id, "completed")
    assert done["result"]["text"]
    assert (await ann.kinds(run_id)).count("step-passed") == 3


async def test_auto_fixes_what_can_be_fixed(ann: User) -> None:
    """An out-of-range value that the provider can mend is mended, and the diff recorded."""
    run_id = (await ann.start(parameters={"temperature": 9}))["run_id"]
    await ann.until(run_id, "completed")
    fixed = next(event for event in await ann.history(run_id) if event["kind"] == "payload-fixed.v1")
    assert fixed["data"]["diff"][0]["path"] == "/parameters/temperature"


async def test_auto_fails_on_what_cannot_be_fixed_with_the_issues(ann: User) -> None:
    """The error carries what is wrong."""
    run_id = (await ann.start(operation="json", parameters={"schema": 5}))["run_id"]
    failed = await ann.until(run_id, "failed")
    assert failed["error"]["code"] == "validation_failed"
    assert failed["error"]["issues"][0]["path"].startswith("/parameters/schema")


@pytest.mark.parametrize(
    ("fault", "thresholds", "code"),
    [
        ("low_confidence", {"confidence_min": 0.8}, "confidence_below_min"),
        ("unsafe", {"safety_flags": ["nsfw"]}, "safety_flagged"),
        ("low_quality", {"response_quality_min": 0.7}, "response_quality_below_min"),
    ],
)
async def test_a_response_outside_a_threshold_stops_for_a_person(
    ann: User, fault: str, thresholds: dict[str, object], code: str
) -> None:
    """The thresholds of `auto_with_thresholds`, each by the signal that crosses it."""
    hitl = {"policy": "auto_with_thresholds", "review_thresholds": thresholds}
    run_id = (await ann.start(hitl=hitl, parameters={"fault": fault}))["run_id"]
    response = await ann.until(run_id, "response_review")
    assert code in [reason["code"] for reason in response["checkpoint"]["reasons"]]


async def test_too_many_changes_to_the_payload_stop_for_a_person(ann: User) -> None:
    """`payload_changes_max`."""
    hitl = {"policy": "auto_with_thresholds", "review_thresholds": {"payload_changes_max": 0}}
    run_id = (await ann.start(hitl=hitl, parameters={"temperature": 9}))["run_id"]
    payload = await ann.until(run_id, "payload_review")
    assert "payload_changes_above_max" in [reason["code"] for reason in payload["checkpoint"]["reasons"]]


async def test_a_run_within_its_thresholds_has_no_review(ann: User) -> None:
    """No threshold is crossed, so no checkpoint opens."""
    run_id = (await ann.start(hitl={"policy": "auto_with_thresholds"}))["run_id"]
    assert (await ann.until(run_id, "completed"))["last_approval"] is None


async def test_pause_holds_a_run_and_resume_lets_it_go_on(ann: User) -> None:
    """A paused run cannot be decided; afterwards the same checkpoint is open."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    payload = await ann.until(run_id, "payload_review")
    paused = (await ann.post(run_id, "pause", reason="lunch")).json()
    assert (paused["paused"], paused["pending_actions"]) == (True, ["resume"])
    refused = await ann.decide(payload, "approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_allowed")
    assert refused.json()["pending_actions"] == ["resume"]
    resumed = (await ann.post(run_id, "resume")).json()
    assert resumed["checkpoint"]["checkpoint_id"] == payload["checkpoint"]["checkpoint_id"]
    assert (await ann.decide(payload, "approve")).status_code == 200


async def test_a_cancelled_run_takes_no_decision(ann: User) -> None:
    """Cancel ends a run for good."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    await ann.until(run_id, "payload_review")
    assert (await ann.post(run_id, "cancel", reason="no longer needed")).json()["state"] == "cancelled"
    refused = await ann.post(run_id, "approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_allowed")
    assert (refused.json()["state"], refused.json()["pending_actions"]) == ("cancelled", [])


@pytest.mark.parametrize(("then", "state"), [("fail", "failed"), ("cancel", "cancelled"), ("approve", "completed")])
async def test_a_time_limit_that_passes_is_answered_as_configured(ann: User, then: str, state: str) -> None:
    """Fail, cancel and approve, by a deadline that really fires."""
    hitl = {**PAYLOAD, "timeout_seconds": 0.5, "on_timeout": then}
    run_id = (await ann.start(hitl=hitl))["run_id"]
    view = await ann.until(run_id, state)
    if then == "fail":
        assert view["error"]["code"] == "checkpoint_timeout"
    if then == "approve":
        assert view["last_approval"]["actor"] == "system"


async def test_a_time_limit_can_escalate(ann: User) -> None:
    """The request goes out once more before the run fails."""
    hitl = {**PAYLOAD, "timeout_seconds": 0.5, "on_timeout": "escalate"}
    run_id = (await ann.start(hitl=hitl))["run_id"]
    await ann.until(run_id, "failed")
    kinds = await ann.kinds(run_id)
    assert kinds.index("checkpoint-escalated") < kinds.index("checkpoint-expired")


async def test_a_retryable_error_is_tried_again(ann: User) -> None:
    """Two answered refusals, then the answer; each attempt is in the history."""
    run_id = (await ann.start(parameters={"fault": "429", "fault_attempts": 1}))["run_id"]
    await ann.until(run_id, "completed")
    kinds = await ann.kinds(run_id)
    assert (kinds.count("call-ordered"), kinds.count("call-failed"), kinds.count("retry-scheduled")) == (2, 1, 1)


async def test_exhausted_retries_open_an_error_review_where_a_person_enters_the_result(ann: User) -> None:
    """`on_error: review`: the run's state stays `api_call`; `edit` enters the result."""
    hitl = {"on_error": "review", "max_attempts": 1}
    run_id = (await ann.start(hitl=hitl, parameters={"fault": "500"}))["run_id"]
    waiting = await ann.until(run_id, "api_call")
    assert waiting["checkpoint"]["step"] == "error_review"
    assert waiting["pending_actions"] == ["retry", "edit", "reject"]
    done = await ann.decide(waiting, "edit", edits={"text": "entered by hand"})
    assert (done.json()["state"], done.json()["result"]) == ("completed", {"text": "entered by hand"})


async def test_every_event_of_a_run_is_readable_in_order(ann: User) -> None:
    """The history is gapless, and says who did what and why."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    await ann.decide(await ann.until(run_id, "payload_review"), "approve", comment="fine")
    await ann.decide(await ann.until(run_id, "response_review"), "approve")
    await ann.until(run_id, "completed")
    events = await ann.history(run_id)
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    approved = next(event for event in events if event["kind"] == "checkpoint-approved.v1")
    assert (approved["actor"], approved["data"]["comment"]) == ("ann", "fine")
    members = {"kind", "run_id", "version", "at", "tenant", "user_id", "session_id", "actor", "cause", "data"}
    assert all(members <= event.keys() for event in events)

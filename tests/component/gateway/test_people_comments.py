"""Comments over HTTP: threads, changes and deletions with their trace; text stays text."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit.runs.people import ADAM, ANN, AUDREY, BO, RITA, ROBERT
from testkit.runs.tasks import under

from .over_http import problem
from .people_site import People, people_at


async def test_a_thread_is_read_in_order_with_its_trace(people: People) -> None:
    """An edit says when; a deleted comment keeps its place and has no text."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    first = await people.ask(ANN, "POST", path, {"text": "why so warm?"})
    assert first.status_code == 201
    answer = await people.ask(
        RITA, "POST", path, {"text": "the customer asked", "reply_to": first.json()["comment_id"]}
    )
    assert answer.json()["reply_to"] == first.json()["comment_id"]
    edited = await people.ask(ANN, "PUT", f"{path}/{first.json()['comment_id']}", {"text": "why?"})
    assert (edited.status_code, edited.json()["text"]) == (200, "why?")
    assert edited.json()["edited_at"] is not None
    deleted = await people.ask(RITA, "DELETE", f"{path}/{answer.json()['comment_id']}")
    assert (deleted.status_code, deleted.json()["text"], deleted.json()["deleted_by"]) == (200, None, "rita")
    listed = (await people.ask(AUDREY, "GET", path)).json()
    assert listed == {"items": [edited.json(), deleted.json()], "next_cursor": None}


async def test_only_its_author_changes_a_comment_and_an_administrator_deletes_it(people: People) -> None:
    """What another said stays as it was said."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    said = (await people.ask(ANN, "POST", path, {"text": "no"})).json()
    one = f"{path}/{said['comment_id']}"
    problem(await people.ask(BO, "PUT", one, {"text": "yes"}), 403, "forbidden")
    problem(await people.ask(BO, "DELETE", one), 403, "forbidden")
    problem(await people.ask(ADAM, "PUT", one, {"text": "yes"}), 403, "forbidden")
    assert (await people.ask(ADAM, "DELETE", one)).status_code == 200
    problem(await people.ask(ANN, "PUT", one, {"text": "again"}), 404, "comment_not_found")


async def test_another_requester_comments_on_no_foreign_run(people: People) -> None:
    """Its own it may."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    problem(await people.ask(ROBERT, "POST", path, {"text": "hm"}), 403, "forbidden")
    problem(await people.ask(ROBERT, "GET", path), 403, "forbidden")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\x00b", "\u202egnihtemos", "x" * 20_000, "🙂"])
async def test_text_comes_back_as_it_was_said(people: People, text: str) -> None:
    """What shows it escapes it; nothing is cut off or taken out on the way."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    assert (await people.ask(ANN, "POST", path, {"text": text})).json()["text"] == text
    assert (await people.ask(ANN, "GET", path)).json()["items"][0]["text"] == text


async def test_a_comment_that_is_none_is_refused(people: People) -> None:
    """Empty, of blanks alone, too long, of ten megabytes, of a wrong type, answering one that is not there."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    for body in ({"text": ""}, {"text": " \n\u3000"}, {"text": "x" * 20_001}, {"text": 1}, {}):
        told = problem(await people.ask(ANN, "POST", path, body), 422, "validation_failed")
        assert told["issues"][0]["path"] == "/text"
    problem(await people.ask(ANN, "POST", path, {"text": "x" * 10_000_000}), 413, "payload_too_large")
    nowhere = "00000000-0000-4000-8000-000000000001"
    problem(await people.ask(ANN, "POST", path, {"text": "x", "reply_to": nowhere}), 404, "comment_not_found")
    problem(await people.ask(ANN, "PUT", f"{path}/{nowhere}", {"text": "x"}), 404, "comment_not_found")
    problem(await people.ask(ANN, "PUT", f"{path}/{nowhere}", {"text": "  "}), 422, "validation_failed")
    problem(await people.ask(ANN, "DELETE", f"{path}/none"), 404, "comment_not_found")
    assert (await people.ask(ANN, "GET", path)).json()["items"] == []


async def test_the_same_key_adds_one_comment(people: People) -> None:
    """A client that repeats what it did not hear an answer to says nothing twice."""
    path = f"/hitl/runs/{await people.tell(under({}))}/comments"
    for _ in range(2):
        said = await people.ask(ANN, "POST", path, {"text": "once"}, **{"Idempotency-Key": "k"})
        assert said.status_code in (200, 201)
    assert len((await people.ask(ANN, "GET", path)).json()["items"]) == 1


async def test_a_comment_that_the_read_model_does_not_show_in_time_is_accepted_and_not_missing(tmp_path: Path) -> None:
    """It was carried out: the answer is 202, for an edit and a deletion too, and the same request again shows the comment."""
    async with people_at(tmp_path, outcome_wait_seconds=0.1) as people:
        orchestrator = people.site.orchestrator
        path = f"/hitl/runs/{await people.tell(under({}))}/comments"
        for method, body, key in (
            ("POST", {"text": "once"}, "a"),
            ("PUT", {"text": "twice"}, "b"),
            ("DELETE", None, "c"),
        ):
            orchestrator.holds_events_back = True
            late = await people.ask(ANN, method, path, body, **{"Idempotency-Key": key})
            assert (late.status_code, late.json()["state"]) == (202, "accepted")
            await orchestrator.hand_over()
            said = await people.ask(ANN, method, path, body, **{"Idempotency-Key": key})
            assert (said.status_code, said.json()["text"]) == (201 if method == "POST" else 200, body and body["text"])
            path = path if method != "POST" else f"{path}/{said.json()['comment_id']}"

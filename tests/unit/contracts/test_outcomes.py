"""An accepted outcome is handed on as the bytes that came, and read in full where anything about it is unusual."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.runs.outcomes import Accepted, Refused, read_answer
from contracts.runs.views import RenderedView, render
from testkit.runs.commands import at_payload_review

VIEW = at_payload_review().now.view
OUTCOME = Accepted(command_id=UUID(int=1), run_id=VIEW.run_id, view=VIEW)
BODY, HEADERS = OUTCOME.to_record()[0], dict(OUTCOME.to_record()[1])
UNREAD = BODY.replace(b'"provider":', b'"Provider":')
"""No view that could be read; its bytes are handed on all the same."""


def test_a_view_is_handed_on_as_it_came() -> None:
    """With its version, state and time from the header, and nothing read of its bytes."""
    assert read_answer(BODY, HEADERS) == render(VIEW)
    handed_on = read_answer(UNREAD, HEADERS)
    assert isinstance(handed_on, RenderedView)
    assert handed_on.json == render(VIEW).json.replace(b'"provider":', b'"Provider":')


def test_members_of_our_name_inside_the_view_are_no_end_of_it() -> None:
    """A person's text may look like our envelope."""
    nested = VIEW.model_copy(update={"labels": {"view": 'a,"view":{', "x": ',"view":'}, "user_id": ',"view":{"'})
    outcome = Accepted(command_id=UUID(int=1), run_id=VIEW.run_id, view=nested)
    body, headers = outcome.to_record()
    assert read_answer(body, dict(headers)) == render(nested)


VERSION, STATE, AT, END, SIZE = HEADERS["view"].split(b" ")


@pytest.mark.parametrize(
    "facts",
    [
        b"",
        VERSION,
        HEADERS["view"] + b" more",
        b" ".join((b"x", STATE, AT, END, SIZE)),
        b" ".join((VERSION, b"\xff", AT, END, SIZE)),
        b" ".join((VERSION, STATE, b"yesterday", END, SIZE)),
        b" ".join((VERSION, STATE, AT, END, b"-1")),
        b" ".join((VERSION, STATE, AT, END, b"9" * 5000)),
        b" ".join((VERSION, STATE, AT, END, b"%d" % (int(SIZE) - 1))),
    ],
)
def test_a_header_that_says_nothing_costs_a_reading(facts: bytes) -> None:
    """The same answer comes, or the same error of a body that is none."""
    assert read_answer(BODY, {"view": facts}) == render(VIEW)
    with pytest.raises(ValidationError):
        read_answer(UNREAD, {"view": facts})


@pytest.mark.parametrize(
    "body", [b"", b"{}", BODY[:-1], BODY[1:], BODY.replace(b',"view":', b',"seen":'), b" " + UNREAD]
)
def test_what_is_no_outcome_is_none_whatever_its_header_says(body: bytes) -> None:
    """A cut that would not end at the view's end is never made."""
    with pytest.raises(ValidationError):
        read_answer(body, HEADERS)


def test_a_body_that_is_written_otherwise_is_read() -> None:
    """Another writer's spaces and order, and a refusal under our header."""
    assert read_answer(b" " + BODY, HEADERS) == render(VIEW)
    refusal = Refused(command_id=UUID(int=1), run_id=VIEW.run_id, code="not_allowed", message="no")
    assert read_answer(to_json(refusal), HEADERS) == refusal

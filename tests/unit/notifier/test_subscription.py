"""The query of the socket's address."""

from __future__ import annotations

from uuid import uuid4

import pytest

from notifier.protocol.caller import Caller
from notifier.protocol.messages import MessageInvalid
from notifier.protocol.subscription import read_subscription


def test_a_run_is_watched_however_its_id_is_written() -> None:
    """Events hold it in one form."""
    run_id = str(uuid4())
    for written in (run_id, run_id.upper(), run_id.replace("-", ""), f"{{{run_id}}}"):
        assert read_subscription([("run_id", written)]).filters(Caller()).run_id == run_id


@pytest.mark.parametrize("query", [[("user_id", "ann"), ("user_id", "bob")], [("run_id", ""), ("run_id", "")]])
def test_a_parameter_that_is_given_twice_is_refused(query: list[tuple[str, str]]) -> None:
    """Readers differ on which of the two counts."""
    with pytest.raises(MessageInvalid) as refused:
        read_subscription(query)
    assert [(fault.path, fault.code) for fault in refused.value.faults] == [(f"/{query[0][0]}", "repeated")]


@pytest.mark.parametrize("name", ["a\u202eb", "a\u2028b", "a\x85b", "a\u200bb", "a\nb"])
def test_a_name_with_a_mark_that_is_not_seen_is_refused(name: str) -> None:
    """It would be shown as another name."""
    for member in ("user_id", "session_id"):
        with pytest.raises(MessageInvalid):
            read_subscription([(member, name)])

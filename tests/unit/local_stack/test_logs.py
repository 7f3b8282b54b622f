"""The services' logs on the terminal: what matters and nothing else, and files that do not grow for ever."""

from __future__ import annotations

from pathlib import Path

from local_stack.logs import Follower, set_aside

QUIET = "2026-11-21T01:41:30.1Z [info     ] taking orders [provider_worker.service] at_once=32\n"
SERIOUS = "2026-11-21T01:41:31.2Z [warning  ] Kafka does not answer [gateway.service] service=gateway\n"
AS_JSON = '{"event": "no connection", "level": "error", "service": "gateway"}\n'


def test_warnings_and_errors_are_shown_once_and_without_their_time(tmp_path: Path) -> None:
    """Whoever looks at the terminal sees trouble, and no news."""
    log = tmp_path / "gateway.log"
    log.write_text(SERIOUS)
    follower = Follower(log)
    with log.open("a") as writing:
        writing.write(QUIET + SERIOUS + AS_JSON)
    assert list(follower.serious()) == [
        "[warning  ] Kafka does not answer [gateway.service] service=gateway",
        AS_JSON.strip(),
    ]
    assert list(follower.serious()) == []


def test_a_line_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    """Half a line tells nobody anything."""
    log = tmp_path / "gateway.log"
    log.touch()
    follower = Follower(log)
    log.write_text(SERIOUS[:40])
    assert list(follower.serious()) == []
    log.write_text(SERIOUS)
    assert len(list(follower.serious())) == 1


def test_a_log_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Keeping files small hides nothing."""
    log = tmp_path / "gateway.log"
    log.write_text(QUIET * 10)
    follower = Follower(log)
    set_aside(log)
    assert log.read_text() == ""
    assert (tmp_path / "gateway.log.1").read_text() == QUIET * 10
    log.write_text(SERIOUS)
    assert len(list(follower.serious())) == 1


def test_a_log_below_its_bound_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is set aside before it is large."""
    log = tmp_path / "gateway.log"
    log.write_text(QUIET)
    set_aside(log, at_least=len(QUIET) + 1)
    assert log.read_text() == QUIET

"""The services' logs: warnings reach the terminal, and files stay below a bound."""

from __future__ import annotations

from pathlib import Path

from local_stack.processes.logs import KEPT, LogFollower, rotate

QUIET = "2026-11-21T01:41:30.1Z [info     ] taking orders [provider_worker.service] at_once=32\n"
SERIOUS = "2026-11-21T01:41:31.2Z [warning  ] Kafka does not answer [gateway.service] service=gateway\n"
AS_JSON = '{"event": "no connection", "level": "error", "service": "gateway"}\n'


def test_warnings_and_errors_are_shown_once_and_without_their_time(tmp_path: Path) -> None:
    """The terminal shows trouble and no news."""
    log = tmp_path / "gateway.log"
    log.write_text(SERIOUS)
    follower = LogFollower(log)
    with log.open("a") as writing:
        writing.write(QUIET + SERIOUS + AS_JSON)
    assert list(follower.warnings()) == [
        "[warning  ] Kafka does not answer [gateway.service] service=gateway",
        AS_JSON.strip(),
    ]
    assert list(follower.warnings()) == []


def test_a_line_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    """An incomplete line waits for its end."""
    log = tmp_path / "gateway.log"
    log.touch()
    follower = LogFollower(log)
    log.write_text(SERIOUS[:40])
    assert list(follower.warnings()) == []
    log.write_text(SERIOUS)
    assert len(list(follower.warnings())) == 1


def test_a_log_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Rotation hides no warning."""
    log = tmp_path / "gateway.log"
    log.write_text(QUIET * 10)
    follower = LogFollower(log)
    rotate(log)
    assert log.read_text() == ""
    assert (tmp_path / "gateway.log.1").read_text() == QUIET * 10
    log.write_text(SERIOUS)
    assert len(list(follower.warnings())) == 1


def test_a_log_below_its_bound_stays_as_it_is(tmp_path: Path) -> None:
    """A small log is not rotated."""
    log = tmp_path / "gateway.log"
    log.write_text(QUIET)
    rotate(log, at_least=len(QUIET) + 1)
    assert log.read_text() == QUIET


def test_logs_of_earlier_starts_are_kept_up_to_a_number(tmp_path: Path) -> None:
    """The newest has the number 1, and the oldest goes."""
    log = tmp_path / "gateway.log"
    for start in range(KEPT + 3):
        log.write_text(f"start {start}\n")
        rotate(log)
    earlier = [log.with_name(f"gateway.log.{number}") for number in range(1, KEPT + 1)]
    assert [path.read_text() for path in earlier] == [f"start {KEPT + 2 - number}\n" for number in range(KEPT)]
    assert len(list(tmp_path.iterdir())) == KEPT + 1

"""Failpoints: where a test lets a process die. Off, they are nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis.failpoints import OFF, VARIABLE, load_failpoints, nothing, utc_now
from chassis.settings import Settings, SettingsError, load_settings
from support.readme import README


def test_unset_they_are_an_empty_function_and_the_clock_of_the_machine() -> None:
    """Nothing is looked up at a place that is passed a thousand times a second."""
    assert load_failpoints({}) == load_failpoints({VARIABLE: ""}) == OFF
    assert OFF.reached is nothing
    assert OFF.now is utc_now


def test_a_process_dies_at_the_passing_that_was_asked_for() -> None:
    """At the third passing of that place, not before, and not at others."""
    program = f"""
from chassis.failpoints import load_failpoints
reached = load_failpoints({{"{VARIABLE}": "here=kill@3"}}).reached
for number in range(9):
    reached("there")
    print(number, flush=True)
    reached("here")
"""
    ended = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout.split()) == (-signal.SIGKILL, ["0", "1", "2"])


def test_the_clock_goes_wrong_by_what_stands_in_the_file(tmp_path: Path) -> None:
    """It may be turned at any time while the process runs."""
    skew = tmp_path / "skew"
    now = load_failpoints({VARIABLE: f"clock={skew}"}).now
    for seconds in (3600, -3600):
        skew.write_text(str(seconds))
        wrong_by = now() - datetime.now(UTC) - timedelta(seconds=seconds)
        assert abs(wrong_by) < timedelta(minutes=1)


@pytest.mark.parametrize("malformed", ["here", "here=explode", "here=kill@0", "here=kill@3;there=kill", "clock"])
def test_what_is_malformed_stops_the_start_with_one_line(malformed: str) -> None:
    """A failpoint that is not where one believes it to be would prove nothing."""
    with pytest.raises(SystemExit, match=f"^countersign: {VARIABLE}: "):
        load_failpoints({VARIABLE: malformed})


def test_it_is_no_setting_of_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Services start with it, and neither the README nor the list of known settings speaks of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "here=kill")
    assert isinstance(load_settings(), Settings)
    assert VARIABLE not in README.read_text()
    monkeypatch.setenv("COUNTERSIGN_NO_SUCH", "1")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert VARIABLE not in str(refused.value)

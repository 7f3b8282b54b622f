"""Failpoints: where a test lets a process die. Off, they are nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis.failpoints import OFF, VARIABLE, each_await, load_failpoints, nothing, utc_now
from chassis.settings import Settings, SettingsError, load_settings
from testkit.readme import pages


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
    with pytest.raises(SystemExit, match=f"^sayso: {VARIABLE}: "):
        load_failpoints({VARIABLE: malformed})


def test_it_is_no_setting_of_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Services start with it, and neither a page nor the list of known settings speaks of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "here=kill")
    assert isinstance(load_settings(), Settings)
    assert [page for page in pages() if VARIABLE in page.read_text()] == []
    monkeypatch.setenv("SAYSO_NO_SUCH", "1")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert VARIABLE not in str(refused.value)


async def _waits(times: int) -> str:
    for _ in range(times):
        await asyncio.sleep(0)
    return "done"


async def test_each_await_is_a_place() -> None:
    """As often as the work waits; its result is its own."""
    passed: list[str] = []
    assert await each_await(_waits(3), "here", passed.append) == "done"
    assert passed == ["here"] * 3


async def test_where_nothing_is_asked_for_the_work_is_left_as_it_is() -> None:
    """It costs nothing."""
    work = _waits(1)
    assert each_await(work, "here", nothing) is work
    await work


async def test_what_is_thrown_into_a_wait_arrives_there() -> None:
    """A limit of time still ends the work, and the work may still clean up or go on."""
    ended = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await each_await(stubborn(), "here", lambda _: None)
    assert ended.is_set()


async def test_an_error_of_the_work_is_its_own() -> None:
    """Nothing is added to it."""

    async def breaks() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await each_await(breaks(), "here", lambda _: None)

"""The stage that a group of faults shares, and the table that is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from apache_kafka.artifacts import Unavailable
from chaos import results
from chaos.counting import Count
from chaos.faults import Fault
from chaos.faults.all import NAMES
from chaos.stage import RATE, Stage, real_stage

_lines = pytest.StashKey[dict[str, str]]()
_stages: list[Stage] = []


@pytest_asyncio.fixture(scope="session")
async def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Give the stage of a group of faults, by the group's name: new for each, and standing until its last fault is done."""
    async with _standing(tmp_path_factory.mktemp(request.param)) as stage:
        yield stage


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage of the test's own."""
    async with _standing(tmp_path) as standing:
        yield standing


@contextlib.asynccontextmanager
async def _standing(folder: Path) -> AsyncIterator[Stage]:
    try:
        async with real_stage(folder) as stage:
            _stages.append(stage)
            yield stage
            _stages.remove(stage)
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and Apache Kafka cannot be run here: {missing}", pytrace=False)
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")


@pytest.fixture
def note(pytestconfig: pytest.Config) -> results.Note:
    """Give what a count is noted with, for the table."""
    lines = pytestconfig.stash.setdefault(_lines, {})

    def take(fault: Fault, count: Count) -> None:
        lines[fault.name] = results.line(fault.name, count)
        results.write(lines, NAMES, RATE)

    return take


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of every service's log beside a failed test."""
    report = yield
    if report.failed and item.path.is_relative_to(Path(__file__).parent):
        for instance in (instance for stage in _stages for instance in stage.fleet):
            report.sections.append((f"log of {instance.name}", instance.process.last_lines(40)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the lines of the table that are new."""
    if lines := config.stash.get(_lines, None):
        terminalreporter.write_line("\n".join([results.TITLES, *lines.values()]))

"""The stage that a group of faults shares, and the table of results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from apache_kafka.artifacts import Unavailable
from chaos import results
from chaos.faults import Fault
from chaos.faults.groups import BY_KEY, NAMES
from chaos.system.stage import RATE, Stage, real_stage
from chaos.verdict.count import Count

_lines = pytest.StashKey[dict[str, str]]()
_stages: list[Stage] = []


@pytest_asyncio.fixture(scope="session")
async def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Give the stage of a group of faults, by the group's name, until its last fault is over."""
    async with _running_stage(tmp_path_factory.mktemp(request.param), by_key=request.param in BY_KEY) as stage:
        yield stage


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage of the test's own, with authentication on."""
    async with _running_stage(tmp_path, by_key=True) as running:
        yield running


@contextlib.asynccontextmanager
async def _running_stage(folder: Path, *, by_key: bool) -> AsyncIterator[Stage]:
    try:
        async with real_stage(folder, by_key=by_key) as stage:
            _stages.append(stage)
            yield stage
            _stages.remove(stage)
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and Apache Kafka cannot be run here: {missing}", pytrace=False)
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")


@pytest.fixture
def note(pytestconfig: pytest.Config) -> results.Note:
    """Give the function that writes a count into the table."""
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
    """Show the new lines of the table."""
    if lines := config.stash.get(_lines, None):
        terminalreporter.write_line("\n".join([results.TITLES, *lines.values()]))

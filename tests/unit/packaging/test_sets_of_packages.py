"""`make run` and the images install what they run: no testkit, no chaos, no bench."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEST_TOOLS = {"tools/testkit", "tools/chaos", "tools/bench"}


def installed_by(target: str) -> set[str]:
    """Return the folders that a target of the Makefile installs, when nothing is installed yet."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(  # noqa: S603 - our own targets
        ["make", "--dry-run", "--always-make", target],  # noqa: S607 - found on PATH everywhere
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in planned.stdout.splitlines() if "setup.sh install" in line]
    return {word for word in line.split() if (ROOT / word / "pyproject.toml").exists()}


@pytest.mark.parametrize("target", ["run", "demo", "kafka", "topics"])
def test_what_users_start_installs_no_tool_of_the_tests(target: str) -> None:
    """A user's environment has the services, the local stack and the fake vendors."""
    installed = installed_by(target)
    assert {"services/gateway", "deploy", "tools/fake_vendors"} <= installed
    assert not installed & TEST_TOOLS


def test_what_developers_start_installs_every_package() -> None:
    """The tests find all tools."""
    projects = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("[!.]*/*/pyproject.toml")} | {"deploy"}
    assert installed_by("test") == {folder for folder in projects if not folder.startswith("examples/")}


def test_images_hold_libraries_and_services_alone() -> None:
    """The build context lets nothing else in."""
    allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert allowed == ["!requirements.txt", "!libs", "!services"]

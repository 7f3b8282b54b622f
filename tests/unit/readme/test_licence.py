"""Every package says the same licence and version, and refuses to be uploaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROJECTS = sorted(
    path
    for path in (*ROOT.glob("*/*/pyproject.toml"), ROOT / "deploy" / "pyproject.toml")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def _project(path: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(path.read_text())["project"]
    return project


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_a_package_names_the_licence_and_refuses_an_upload(path: Path) -> None:
    """An index refuses a package with the classifier `Private`."""
    project = _project(path)
    assert project["license"] == "Apache-2.0"
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_every_package_has_the_newest_version_of_the_changelog() -> None:
    """A release cuts the changelog and all packages together."""
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert {_project(path)["version"] for path in PROJECTS} == {released[0]}


def test_the_licence_is_the_full_text() -> None:
    """Apache-2.0, from its title to the note on how to apply it."""
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "APPENDIX: How to apply the Apache License to your work." in text

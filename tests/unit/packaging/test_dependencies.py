"""Every package names the libraries that it imports, so that it can be installed alone."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECTS = [
    path
    for pattern in ("libs/*", "services/*", "tools/*", "deploy")
    for path in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
]
DISTRIBUTIONS: dict[str, list[str]] = {
    **packages_distributions(),
    **{
        Path(package).name: [table["project"]["name"]]
        for table in (tomllib.loads(project.read_text()) for project in PROJECTS)
        for package in table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    },
}
"""The distributions of each module; the map of the installed ones knows no editable packages, such as ours."""


def normal(name: str) -> str:
    """Return a distribution's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(project: Path) -> set[str]:
    """Return the distributions that a project names: itself, ours in their group, and its extras among them."""
    file = tomllib.loads(project.read_text())
    table = file["project"]
    extras = [one for several in table.get("optional-dependencies", {}).values() for one in several]
    wanted = [
        table["name"],
        *table.get("dependencies", []),
        *extras,
        *file.get("dependency-groups", {}).get("ours", []),
    ]
    names = {normal(re.split(r"[\s\[<>=!~;]", one)[0]) for one in wanted}
    return names | ({"pydantic-core"} if "pydantic" in names else set())  # one product in two distributions


def imported(project: Path) -> dict[str, str]:
    """Return the top-level modules that a project's files import, each with a file that does."""
    found: dict[str, str] = {}
    for file in project.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = [node.module]
            found |= {module.split(".")[0]: str(file.relative_to(ROOT)) for module in modules}
    return found


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.parent.name)
def test_a_package_names_what_it_imports(project: Path) -> None:
    """A module that is there by luck, since something else needs it too, is shown with its file."""
    known = named(project)
    missing = {
        module: file
        for module, file in imported(project).items()
        if module not in sys.stdlib_module_names and not known & {normal(of) for of in DISTRIBUTIONS.get(module, ())}
    }
    assert missing == {}

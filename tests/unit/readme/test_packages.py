"""Every package has a page, and every page names files, modules and metrics that exist."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from testkit.readme import ROOT, packages, pages

PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]
"""The changelog names what was."""

FOLDERS = ("libs", "services", "tools", "deploy", "docs", "examples", "tests")
SPAN = re.compile(r"`(?P<path>[\w.-]+(?:/[\w.-]+)*/?)(?:::\w+| -k \w+)?`")
FILE = re.compile(r"\w\.(py|sql|md|toml|json|yaml|xml|sh|svg)$")
MODULE = re.compile(r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)")
METRIC = re.compile(r"`(sayso_[a-z_]+)")


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.name)
def test_every_package_has_a_page(package: Path) -> None:
    """It says what the package is, and what it must not do."""
    page = package / "README.md"
    assert page.exists(), f"write {page.relative_to(ROOT)}: what it is, what it must not do, its rooms"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """In backticks: a path from the root, or the end of the path of one file or folder; a module may lack its `.py`."""
    named = {
        match["path"].rstrip("/") for match in SPAN.finditer(_prose(page)) if _looks_like_a_file(page, match["path"])
    }
    assert sorted(path for path in named if not _exists(path)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_runs_exists(page: Path) -> None:
    """`python -m module`, in prose or on a command line."""
    assert sorted(name for name in set(MODULE.findall(page.read_text())) if find_spec(name) is None) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    """A counter is declared without `_total`."""
    metrics = {name.removesuffix("_total") for name in METRIC.findall(page.read_text())}
    assert sorted(name for name in metrics if f'"{name}' not in _sources()) == []


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _looks_like_a_file(page: Path, path: str) -> bool:
    first, slash, _ = path.partition("/")
    of_a_package = page.parent in packages()
    return FILE.search(path) is not None or (slash == "/" and (first in _folders() or of_a_package))


def _exists(path: str) -> bool:
    if path.split("/", maxsplit=1)[0] in FOLDERS:
        return (ROOT / path).exists()
    ending = f"/{path}"
    return any(one.endswith((ending, f"{ending}.py")) for one in _paths())


@cache
def _paths() -> frozenset[str]:
    """Return every file and folder of the repository, with a slash before it."""
    found = [ROOT, *(child for name in FOLDERS for child in _below(ROOT / name)), *ROOT.glob("*.*")]
    return frozenset(f"/{path.relative_to(ROOT)}" for path in found)


def _below(folder: Path) -> list[Path]:
    return [folder, *(path for path in folder.rglob("*") if not {"__pycache__", "target"} & set(path.parts))]


@cache
def _folders() -> frozenset[str]:
    return frozenset(Path(path).name for path in _paths() if (ROOT / path[1:]).is_dir())


@cache
def _sources() -> str:
    return "".join(path.read_text() for part in ("libs", "services") for path in (ROOT / part).rglob("*.py"))

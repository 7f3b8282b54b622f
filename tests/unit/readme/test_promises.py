"""docs/promises.md names tests that exist, and every test file that a promise must name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from testkit.readme import DOCS, ROOT, pages, rows

PROMISES = DOCS / "promises.md"
SECTIONS = (
    "The run",
    "Decisions",
    "The ledger and the read model",
    "People",
    "Who acts",
    "Tasks",
    "Providers",
    "Operating",
)
SUITES = ("tests/e2e", "tests/integration", "tests/component", "tests/chaos", "tests/unit/orchestrator")
REFERENCE = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<test>\w+)| -k (?P<word>\w+))?`")


class Reference(NamedTuple):
    """What a row names: a file, one test in it, or the tests whose names have a word."""

    file: str
    test: str | None
    word: str | None

    def is_missing(self) -> bool:
        """Say whether the suite has no such test."""
        tests = _tests_in(ROOT / self.file)
        if self.test is not None:
            return self.test not in tests
        if self.word is not None:
            return not any(self.word in test for test in tests)
        return not (ROOT / self.file).exists()

    def candidates(self) -> list[str]:
        """Return the files that have the name of the file, or the test, now."""
        name = Path(self.file).name
        files = (ROOT / "tests").rglob("test_*.py")
        found = [path for path in files if path.name == name or self.test in _tests_in(path)]
        return sorted(str(path.relative_to(ROOT)) for path in found)


def _references(text: str) -> list[Reference]:
    return [Reference(match["file"], match["test"], match["word"]) for match in REFERENCE.finditer(text)]


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text()))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """A missing one is shown with the files that may have it now: correct the page, or drop the promise."""
    missing = [reference for reference in _references(page.read_text()) if reference.is_missing()]
    hints = {"::".join(filter(None, reference)): reference.candidates() for reference in missing}
    assert hints == {}, f"{page.name} names tests that do not exist; they may be in: {hints}"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_promise_names_its_tests(section: str) -> None:
    """A promise that nothing holds is none."""
    table = rows(PROMISES, section)
    assert table, f"docs/promises.md has no table under the heading {section!r}"
    assert [promise for promise, tests in table if not _references(tests)] == []


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_file_holds_a_promise(suite: str) -> None:
    """A file that no row names is shown: add it to the row of its promise in docs/promises.md, or write the promise."""
    named = {reference.file for reference in _references(PROMISES.read_text())}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / suite).rglob("test_*.py")}
    assert files, f"there is no suite {suite}"
    assert sorted(files - named) == [], f"docs/promises.md names these files of {suite} in no row"


def test_every_table_of_the_page_is_checked() -> None:
    """A new section of the page has to be named here."""
    assert re.findall(r"^## (.+)$", PROMISES.read_text(), re.MULTILINE) == list(SECTIONS)

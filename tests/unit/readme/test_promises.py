"""docs/promises.md names tests that exist, and every test file that a promise must name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from testkit.readme import DOCS, ROOT, rows

PROMISES = DOCS / "promises.md"
SECTIONS = ("The run", "Decisions", "The ledger and the read model", "People", "Providers", "Operating")
SUITES = ("tests/e2e", "tests/integration", "tests/component", "tests/chaos", "tests/unit/orchestrator")
REFERENCE = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<test>\w+)| -k (?P<word>\w+))?`")


class Reference(NamedTuple):
    """What a row names: a file, one test in it, or the tests whose names have a word."""

    file: str
    test: str | None
    word: str | None

    def is_missing(self) -> bool:
        """Say whether the suite has no such test."""
        if self.test is None and self.word is None:
            return not (ROOT / self.file).exists()
        tests = _tests_in(ROOT / self.file)
        return self.test not in tests if self.word is None else not any(self.word in test for test in tests)


def _references(cell: str) -> list[Reference]:
    return [Reference(match["file"], match["test"], match["word"]) for match in REFERENCE.finditer(cell)]


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text()))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_promise_names_tests_that_exist(section: str) -> None:
    """A row whose test was renamed or removed is shown: write its new name into docs/promises.md, or drop the promise."""
    table = rows(PROMISES, section)
    assert table, f"docs/promises.md has no table under the heading {section!r}"
    wrong = [
        (promise, reference) for promise, tests in table for reference in _references(tests) if reference.is_missing()
    ]
    assert wrong == []
    assert [promise for promise, tests in table if not _references(tests)] == []


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_file_holds_a_promise(suite: str) -> None:
    """A file that no row names is shown: add it to the row of its promise in docs/promises.md, or write the promise."""
    named = {reference.file for reference in _references(PROMISES.read_text())}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / suite).rglob("test_*.py")}
    assert files, f"there is no suite {suite}"
    assert sorted(files - named) == []


def test_every_table_of_the_page_is_checked() -> None:
    """A new section of the page has to be named here."""
    assert re.findall(r"^## (.+)$", PROMISES.read_text(), re.MULTILINE) == list(SECTIONS)

"""The README and the pages of docs/ are true: links lead somewhere, examples work, tables are complete."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chassis.settings import Settings, load_settings
from contracts.json_values import digest
from contracts.providers.call import CallIntent
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from gateway.http.problems import STATUS
from orchestrator.intake.republish import LAST_COMMITS
from provider_worker.app import create_app
from provider_worker.execution.execute import execute
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.registry import Registry
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.readme import DOCS, README, ROOT, code_blocks, pages, rows, settings_table

SETTINGS = DOCS / "settings.md"
EXTENDING = DOCS / "extending.md"
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
NAMES = {str(field.alias or name.upper()) for name, field in Settings.model_fields.items()}


def test_every_setting_stands_on_its_page() -> None:
    """The table is the settings' own description; on failure, this is what to paste into docs/settings.md."""
    table = settings_table()
    assert table in SETTINGS.read_text(), f"\n{table}\n"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    """To a file that exists and, behind a `#`, to a heading in it."""
    broken = [link for link in _links(page) if not _leads_somewhere(page, link)]
    assert broken == []


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    """Page by page, as a reader would follow the links."""
    reached, waiting = {README}, [README]
    while waiting:
        page = waiting.pop()
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in _links(page)}
        new = {target for target in targets if target.suffix == ".md"} - reached
        reached |= new
        waiting += new
    assert sorted(str(page.relative_to(ROOT)) for page in set(pages()) - reached) == []


def test_the_readme_is_a_screen_and_a_half() -> None:
    """Longer explanations have pages of their own."""
    assert len(README.read_text().splitlines()) <= 100


def test_every_target_of_make_that_a_page_names_exists() -> None:
    """`make x` in prose or on a command line."""
    targets = set(
        re.findall(
            r"[\w-]+", " ".join(re.findall(r"^([a-z0-9 -]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
        )
    )
    named = {
        target
        for page in pages()
        for target in re.findall(r"(?:`|^\$ )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    }
    assert named - targets == set()


def test_the_pages_say_how_many_commands_are_published_again() -> None:
    """The number that the code has, wherever a page names it."""
    named = {number for page in pages() for number in re.findall(r"last ([\d,]+) commands", page.read_text())}
    assert named == {f"{LAST_COMMITS:,}"}


def test_every_error_code_stands_on_the_api_page_with_its_status() -> None:
    """A code without a row, or with another status, is shown: correct the table in docs/api.md."""
    table = rows(DOCS / "api.md", "Errors")
    shown = {code: int(status) for codes, status, _ in table for code in re.findall(r"`(\w+)`", codes)}
    assert shown == STATUS


@pytest.mark.parametrize("example", code_blocks(SETTINGS, "shell"), ids=lambda example: example.partition("=")[0])
def test_a_worker_takes_the_settings_as_they_are_shown(example: str) -> None:
    """Wired as at its start, which stops at a value that it does not understand."""
    name, _, value = example.strip().partition("=")
    assert name in NAMES
    create_app(load_settings(**{name: value.strip("'"), "OPENAI_API_KEY": "sk-none"}))


def test_a_worker_takes_the_prices_as_they_are_shown(tmp_path: Path) -> None:
    """As the file that `SAYSO_PRICES` names."""
    prices = tmp_path / "prices.json"
    prices.write_text(code_blocks(SETTINGS, "json")[0])
    create_app(load_settings(SAYSO_PRICES=str(prices)))


async def test_the_provider_that_is_shown_is_complete() -> None:
    """It prepares a payload and carries out the call, as it stands there."""
    shown = code_blocks(EXTENDING, "python")[0]
    example = ROOT / "examples" / "reverse-provider"
    assert shown == (example / "reverse_provider.py").read_text(), "docs/extending.md shows the example as it is"
    assert code_blocks(EXTENDING, "toml")[0] in (example / "pyproject.toml").read_text()
    scope: dict[str, Any] = {"__name__": "reverse_provider"}
    exec(shown, scope)  # noqa: S102 - our own page
    reverse = scope["Reverse"].from_settings(Settings(_env_file=None))
    registry, artifacts, sanitizer = Registry([reverse]), MemoryArtifacts(), Sanitizer([])
    order: dict[str, Any] = {
        "run_id": uuid4(),
        "work_id": "w",
        "attempt": 1,
        "tenant": "default",
        "deadline": datetime.now(UTC) + timedelta(minutes=1),
        "lease_seconds": 60,
    }
    intent = CallIntent(provider="reverse", prompt="stressed")
    prepared = await Preparer(registry, artifacts, sanitizer).prepare(PrepareOrder(**order, intent=intent))
    assert (prepared.payload, prepared.issues) == ({"text": "stressed"}, ())
    call = ExecuteOrder(
        **order,
        provider="reverse",
        model=None,
        operation="text",
        payload=prepared.payload,
        payload_sha256=digest(prepared.payload),
    )
    execution = await execute(call, reverse, artifacts.of("default"), sanitizer)
    assert execution.response == {"text": "desserts"}


def test_the_check_that_is_shown_is_the_examples() -> None:
    """The entry point on the page is the one in the package."""
    project = (ROOT / "examples" / "secret-scan-check" / "pyproject.toml").read_text()
    assert code_blocks(EXTENDING, "toml")[1] in project


def _links(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = [link or image for link, image in LINK.findall(prose)]
    return [link for link in found if "://" not in link]


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not heading or heading in _headings(target))


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

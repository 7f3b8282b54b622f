"""What the README says is true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from chassis.settings import Settings
from contracts.json_values import digest
from contracts.providers.call import CallIntent
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from provider_worker.execution.execute import execute
from provider_worker.preparation.prepare import Preparing
from provider_worker.providers.registry import Registry
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryShelves
from testkit.readme import README, code_blocks, settings_table


def test_every_setting_stands_in_the_readme() -> None:
    """The table is the settings' own description; on failure, this is what to paste."""
    table = settings_table()
    assert table in README.read_text(), f"\n{table}\n"


def test_every_path_that_the_readme_links_exists() -> None:
    """Links within the repository lead somewhere."""
    root = README.parent
    for path in ("docs/asyncapi.json", "CHANGELOG.md", "deploy/compose.yaml", "deploy/Dockerfile"):
        assert path in README.read_text()
        assert Path(root, path).exists(), path


async def test_the_provider_in_the_readme_is_complete() -> None:
    """It prepares a payload and carries out the call, as it stands there."""
    shown = code_blocks("python")[0]
    example = README.parent / "examples" / "reverse-provider"
    assert shown == (example / "reverse_provider.py").read_text(), "the README shows the example as it is"
    assert code_blocks("toml")[0] in (example / "pyproject.toml").read_text()
    scope: dict[str, Any] = {"__name__": "reverse_provider"}
    exec(shown, scope)  # noqa: S102 - our own README
    reverse = scope["Reverse"].from_settings(Settings(_env_file=None))
    registry, shelves, sanitizer = Registry([reverse]), MemoryShelves(), Sanitizer([])
    order: dict[str, Any] = {
        "run_id": uuid4(),
        "work_id": "w",
        "attempt": 1,
        "tenant": "default",
        "deadline": datetime.now(UTC) + timedelta(minutes=1),
        "lease_seconds": 60,
    }
    intent = CallIntent(provider="reverse", prompt="stressed")
    prepared = await Preparing(registry, shelves, sanitizer).prepare(PrepareOrder(**order, intent=intent))
    assert (prepared.payload, prepared.issues) == ({"text": "stressed"}, ())
    call = ExecuteOrder(
        **order,
        provider="reverse",
        model=None,
        operation="text",
        payload=prepared.payload,
        payload_sha256=digest(prepared.payload),
    )
    execution = await execute(call, reverse, shelves.of("default"), sanitizer)
    assert execution.response == {"text": "desserts"}

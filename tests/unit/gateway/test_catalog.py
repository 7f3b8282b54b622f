"""The catalog: what providers have announced, and which of them a name stands for."""

from __future__ import annotations

import pytest

from contracts.providers.capabilities import Capabilities
from gateway.catalog import Catalog
from gateway.errors import CatalogIncomplete, NoProviders
from testkit.kafka.records import Record
from testkit.runs.histories import DeadLetters


def offer(provider: str, *tool_names: str) -> bytes:
    """Return an announcement."""
    offered = Capabilities(provider=provider, tool_names=tool_names, operations=("text",), default_operation="text")
    return offered.model_dump_json().encode()


async def catalog_of(*values: tuple[bytes, bytes | None]) -> tuple[Catalog, DeadLetters]:
    """Return a catalog that has read these records, and the dead letters it wrote."""
    letters = DeadLetters()
    catalog = Catalog(letters.send_all)
    await catalog.on_records([Record(value, key=key, topic="provider.catalog") for key, value in values])
    return catalog, letters


async def test_a_provider_is_found_by_its_name_and_by_its_tools_names() -> None:
    """An agent's tool name stands for the provider that claims it."""
    catalog, _ = await catalog_of((b"replicate", offer("replicate", "flux", "painter")), (b"openai", offer("openai")))
    assert [catalog.find(name) and catalog.find(name).provider for name in ("replicate", "flux", "openai", "x")] == [  # type: ignore[union-attr]
        "replicate",
        "replicate",
        "openai",
        None,
    ]
    assert [capabilities.provider for capabilities in catalog.all()] == ["openai", "replicate"]


async def test_a_providers_own_name_comes_before_anybodys_tool() -> None:
    """No provider takes another's name by giving it to a tool."""
    catalog, _ = await catalog_of((b"a", offer("a", "b")), (b"b", offer("b")))
    found = catalog.find("b")
    assert found is not None
    assert found.provider == "b"


async def test_the_newest_word_of_a_provider_counts() -> None:
    """An announcement replaces the one before, and a record without a value takes it back."""
    catalog, _ = await catalog_of(
        (b"a", offer("a", "old")), (b"a", offer("a", "new")), (b"b", offer("b")), (b"b", None)
    )
    assert catalog.find("old") is None
    assert catalog.find("new") is not None
    assert catalog.find("b") is None


async def test_while_the_announcements_come_in_an_unknown_name_may_be_among_them() -> None:
    """Each names all that its worker announces: who has read one of two cannot say yet that there is no other."""
    catalog = Catalog(DeadLetters().send_all)
    header = [("providers", b"a,b")]
    await catalog.on_records([Record(offer("a"), key=b"a", topic="provider.catalog", headers=header)])
    with pytest.raises(CatalogIncomplete):
        catalog.check_complete()
    await catalog.on_records([Record(offer("b"), key=b"b", topic="provider.catalog", headers=header)])
    catalog.check_complete()
    await catalog.on_records([Record(None, key=b"b", topic="provider.catalog")])
    catalog.check_complete()


async def test_an_announcement_that_says_nothing_is_a_dead_letter() -> None:
    """The others around it count."""
    catalog, letters = await catalog_of((b"a", b"{}"), (b"b", offer("b")), (b"\xff", None))
    assert [capabilities.provider for capabilities in catalog.all()] == ["b"]
    assert [letter.topic for letter in letters.sent] == ["provider.catalog.dead"] * 2


async def test_an_empty_catalog_is_not_ready() -> None:
    """Nothing can be started before some worker has announced itself."""
    catalog, _ = await catalog_of()
    with pytest.raises(NoProviders):
        await catalog.check()
    catalog, _ = await catalog_of((b"a", offer("a")))
    await catalog.check()

"""The first key: made once, for its owner's eyes, and never without a place where it lies."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from chassis.settings import Settings
from gateway.errors import DatabaseUnavailable
from gateway.identity.first_key import DataFolderUnusable, FirstKey
from gateway.ports import Adapters
from gateway.testing.adapters import memory_adapters
from gateway.testing.memory import MemoryTables
from identity.keys.record import digest_of
from identity.testing.memory import MemoryKeys

from .credentials import bearer
from .memory_orchestrator import MemoryOrchestrator
from .memory_site import NOW, memory_site

TENANT = "default"


@pytest.fixture
def adapters() -> Adapters:
    """Give a gateway's surroundings, without any key."""
    tables = MemoryTables()
    return memory_adapters(MemoryOrchestrator(tables).broker, tables, lambda: NOW)


def settings(folder: Path, auth: str = "on") -> Settings:
    """Return settings with a data folder."""
    return Settings.model_validate({"data_dir": folder, "auth": auth})


def files_in(folder: Path) -> list[str]:
    """Return the names of a folder's files."""
    return [path.name for path in folder.iterdir()]


async def keys_of(adapters: Adapters) -> list[str]:
    """Return the names of the keys that are kept."""
    return [key.name for key in await adapters.keys.page(TENANT, 10)]


async def test_it_lies_in_a_file_that_its_owner_alone_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It opens every door of its tenant; what the gateway says names the file, and never the key."""
    async with memory_site(auth="on", data_dir=tmp_path / "data") as site:
        async with asyncio.timeout(10):
            while (await site.http.get("/health/ready")).json()["checks"]["postgresql"] != "ok":  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.01)
        file = tmp_path / "data" / "admin.key"
        text = file.read_text().strip()
        me = (await site.http.get("/me", headers=bearer(text))).json()
    assert (me["subject"], me["tenant"], me["roles"]) == ("admin", TENANT, ["admin"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert files_in(file.parent) == ["admin.key"]
    said = capsys.readouterr()
    assert str(file) in said.out + said.err
    assert text[6:] not in said.out + said.err


async def test_it_is_made_once(adapters: Adapters, tmp_path: Path) -> None:
    """A later start changes neither the key nor the file, nor brings back a file that its owner took away."""
    file = settings(tmp_path).admin_key_file
    await FirstKey(adapters, settings(tmp_path)).keep()
    text = file.read_text()
    await FirstKey(adapters, settings(tmp_path)).keep()
    assert file.read_text() == text
    file.unlink()
    again = FirstKey(adapters, settings(tmp_path))
    await again.keep()
    await again.check()
    assert (await keys_of(adapters), files_in(tmp_path)) == (["the first key"], [])


async def test_of_several_gateways_at_once_one_makes_it(adapters: Adapters, tmp_path: Path) -> None:
    """The file has the key that is kept, and nothing else lies beside it."""
    await asyncio.gather(*(FirstKey(adapters, settings(tmp_path)).keep() for _ in range(5)))
    assert await keys_of(adapters) == ["the first key"]
    assert files_in(tmp_path) == ["admin.key"]
    text = settings(tmp_path).admin_key_file.read_text().strip()
    assert await adapters.keys.find(digest_of(text)) is not None


async def test_a_key_that_can_be_written_nowhere_is_not_kept(adapters: Adapters, tmp_path: Path) -> None:
    """It would be the only one, and open nothing: the gateway says which folder it cannot write, and ends."""
    place = tmp_path / "data"
    place.write_text("a file where the folder should be")
    with pytest.raises(DataFolderUnusable, match=f"SAYSO_DATA_DIR: {place} cannot be written"):
        await FirstKey(adapters, settings(place)).keep()
    assert await keys_of(adapters) == []


async def test_until_there_is_a_key_the_gateway_is_not_ready(adapters: Adapters, tmp_path: Path) -> None:
    """It waits for the database, and leaves nothing behind meanwhile."""
    assert isinstance(adapters.keys, MemoryKeys)
    adapters.keys.unavailable = True
    first = FirstKey(adapters, settings(tmp_path))
    keeping = asyncio.create_task(first.keep())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await first.check()
    adapters.keys.unavailable = False
    await keeping
    await first.check()
    assert await keys_of(adapters) == ["the first key"]


async def test_without_authentication_there_is_none(adapters: Adapters, tmp_path: Path) -> None:
    """Nor does the gateway's readiness wait for one."""
    for auth in ("off", "insecure"):
        first = FirstKey(adapters, settings(tmp_path, auth))
        await first.check()
        await first.keep()
    assert (await keys_of(adapters), files_in(tmp_path)) == ([], [])

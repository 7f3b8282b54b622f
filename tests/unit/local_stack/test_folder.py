"""The data folder belongs to one stack, and what an earlier one left running is found."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_stack.folder import FolderBusy, end_leftovers, owned, remember


@pytest.fixture
def process() -> Iterator[psutil.Popen]:
    """Run a process that waits for its end."""
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running
        with contextlib.suppress(psutil.NoSuchProcess):
            running.kill()


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """Two stacks never write one data folder, and the next one may."""
    with (
        owned(tmp_path / "data"),
        pytest.raises(FolderBusy, match=r"is running on .*data already"),
        owned(tmp_path / "data"),
    ):
        pass
    with owned(tmp_path / "data"):
        pass


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(FolderBusy, match="COUNTERSIGN_DATA_DIR"), owned(tmp_path / "file" / "data"):
        pass


def test_a_process_that_an_earlier_stack_left_is_ended(tmp_path: Path, process: psutil.Popen) -> None:
    """Where the kernel does not end orphans, the next start does."""
    remember(tmp_path, [process.pid])
    assert end_leftovers(tmp_path) == 1
    assert process.wait() != 0


def test_a_stranger_with_the_same_process_id_is_left_alone(tmp_path: Path, process: psutil.Popen) -> None:
    """Process ids come round again."""
    (tmp_path / "processes.json").write_text(json.dumps([[process.pid, process.create_time() - 3600]]))
    assert end_leftovers(tmp_path) == 0
    assert process.is_running()


@pytest.mark.parametrize("written", ["", "{", "[[1]]", "null", '[["x", 0]]'])
def test_a_damaged_note_of_processes_is_no_obstacle(tmp_path: Path, written: str) -> None:
    """A stack that was ended while it wrote can be started again."""
    (tmp_path / "processes.json").write_text(written)
    assert end_leftovers(tmp_path) == 0

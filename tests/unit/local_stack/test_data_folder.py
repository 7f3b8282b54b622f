"""The data folder belongs to one stack, and processes of an earlier stack are ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_stack.processes.data_folder import (
    FORMER,
    FolderBusy,
    end_leftovers,
    folder_lock,
    save_processes,
    take_over_former,
)


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
        folder_lock(tmp_path / "data"),
        pytest.raises(FolderBusy, match=r"is running on .*data already"),
        folder_lock(tmp_path / "data"),
    ):
        pass
    with folder_lock(tmp_path / "data"):
        pass


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(FolderBusy, match="SAYSO_DATA_DIR"), folder_lock(tmp_path / "file" / "data"):
        pass


def test_a_process_that_an_earlier_stack_left_is_ended(tmp_path: Path, process: psutil.Popen) -> None:
    """Where the kernel does not end orphans, the next start does."""
    save_processes(tmp_path, [process.pid])
    assert end_leftovers(tmp_path) == 1
    assert process.wait() != 0


def test_another_process_with_a_saved_id_is_left_alone(tmp_path: Path, process: psutil.Popen) -> None:
    """The system uses process ids again; the start time tells them apart."""
    (tmp_path / "processes.json").write_text(json.dumps([[process.pid, process.create_time() - 3600]]))
    assert end_leftovers(tmp_path) == 0
    assert process.is_running()


@pytest.mark.parametrize("written", ["", "{", "[[1]]", "null", '[["x", 0]]'])
def test_a_damaged_list_of_processes_does_not_stop_a_start(tmp_path: Path, written: str) -> None:
    """A stack that was ended while it wrote can be started again."""
    (tmp_path / "processes.json").write_text(written)
    assert end_leftovers(tmp_path) == 0


def test_data_of_the_first_name_are_moved(tmp_path: Path) -> None:
    """The runs of the product's first name are found again; data already in the new folder stay as they are."""
    former, folder = tmp_path / FORMER, tmp_path / ".sayso"
    assert take_over_former(folder) is None
    (former / "postgres").mkdir(parents=True)
    (former / "postgres" / "PG_VERSION").write_text("18")
    assert take_over_former(folder) == former
    assert (folder / "postgres" / "PG_VERSION").read_text() == "18"
    (former / "postgres").mkdir(parents=True)
    (former / "postgres" / "PG_VERSION").write_text("17")
    assert take_over_former(folder) is None
    assert (folder / "postgres" / "PG_VERSION").read_text() == "18"


def test_data_of_the_first_name_that_a_stack_holds_are_left(tmp_path: Path) -> None:
    """They are not moved away under a stack that runs on them."""
    former = tmp_path / FORMER
    (former / "postgres").mkdir(parents=True)
    (former / "postgres" / "PG_VERSION").write_text("18")
    with folder_lock(former), pytest.raises(FolderBusy, match="is running on"):
        take_over_former(tmp_path / ".sayso")

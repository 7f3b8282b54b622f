"""`make forget` deletes what `make run` wrote, where it wrote it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.processes.data_folder import LOCK, folder_lock


def forget(folder: Path, **settings: str) -> tuple[int, str]:
    """Run it in `folder`; return its exit code and what it said."""
    made = subprocess.run(
        [sys.executable, "-m", "local_stack.forget"],
        check=False,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return made.returncode, made.stdout


def data(folder: Path) -> Path:
    """Make a folder as a stack leaves it."""
    (folder / "postgres" / "base").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("18")
    (folder / "logs").mkdir()
    (folder / "logs" / "gateway.log.1").write_text("news")
    (folder / LOCK).write_text("1")
    return folder


@pytest.mark.parametrize("where", [".sayso", "elsewhere", "a b"])
@pytest.mark.parametrize("by", ["environment", "file"])
def test_the_data_folder_of_the_settings_is_deleted(tmp_path: Path, where: str, by: str) -> None:
    """The default one, the one of SAYSO_DATA_DIR, and the one of `.env`; another one stays."""
    other = data(tmp_path / "other")
    folder = data(tmp_path / where)
    if by == "file":
        (tmp_path / ".env").write_text(f'SAYSO_DATA_DIR="{where}"\n')
    code, said = forget(tmp_path, **({"SAYSO_DATA_DIR": where} if by == "environment" else {}))
    assert (code, said) == (0, f"the data in {folder} are deleted\n")
    assert not folder.exists()
    assert (other / LOCK).exists()


def test_a_folder_that_a_stack_runs_on_is_left(tmp_path: Path) -> None:
    """One line says so, and nothing was deleted."""
    folder = data(tmp_path / ".sayso")
    with folder_lock(folder):
        code, said = forget(tmp_path)
    assert code == 1
    assert said.startswith(f"sayso: a stack is running on {folder} already (process ")
    assert len(said.splitlines()) == 1
    assert (folder / "postgres" / "PG_VERSION").exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    """A folder that holds more than the stack's files is kept with them, and they are named."""
    folder = data(tmp_path / "home")
    (folder / "thesis.txt").write_text("ten years")
    code, said = forget(tmp_path, SAYSO_DATA_DIR="home")
    assert (code, said) == (0, f"the data in {folder} are deleted; files that are not the stack's stay: thesis.txt\n")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_folder_that_never_was_a_stacks_is_left(tmp_path: Path) -> None:
    """A mistyped SAYSO_DATA_DIR costs nothing."""
    (tmp_path / "logs").mkdir()
    code, said = forget(tmp_path, SAYSO_DATA_DIR=".")
    assert (code, said) == (0, f"no stack has data in {tmp_path}\n")
    assert (tmp_path / "logs").exists()


def test_a_link_is_deleted_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Data on another disk are the user's to delete."""
    folder, target = data(tmp_path / ".sayso"), tmp_path / "disk"
    target.mkdir()
    (target / "kept").touch()
    (folder / "broker.address").symlink_to(target)
    assert forget(tmp_path)[0] == 0
    assert (target / "kept").exists()

"""`make forget`: delete the local stack's data, and nothing else that lies in the data folder."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from chassis.settings import Settings, SettingsError, exit_with, load_settings
from local_stack.postgres.server import Postgres
from local_stack.processes.data_folder import LOCK, FolderBusy, end_leftovers, folder_lock

OURS = (
    "postgres",
    "postgres.new",
    "postgres.password",
    "logs",
    "broker.address",
    "broker.new",
    "processes.json",
    "admin.key",
    LOCK,
)
"""What `make run` writes into its data folder."""


def forget(folder: Path) -> list[str]:
    """Delete what the stack wrote into `folder`, and the folder once it is empty; return what was left. Raises FolderBusy."""
    with folder_lock(folder):
        end_leftovers(folder)
        asyncio.run(Postgres(folder).end_leftover())
        for path in (folder / name for name in OURS):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def main() -> None:
    """Delete the data; exit with 1 and one line where a stack runs on them."""
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    folder = settings.data_dir.absolute()
    if not (folder / LOCK).exists():
        print(f"no stack has data in {folder}")
        return
    try:
        left = forget(folder)
    except (FolderBusy, OSError) as error:
        raise SystemExit(f"sayso: {error}") from None
    print(f"the data in {folder} are deleted{_except(settings, left)}")


def _except(settings: Settings, left: list[str]) -> str:
    foreign = [f"files that are not the stack's stay: {', '.join(left)}"] if left else []
    given = "database_url" in settings.model_fields_set
    return "".join(f"; {what}" for what in (*foreign, *(["the database of DATABASE_URL stays"] if given else [])))


if __name__ == "__main__":
    main()

"""`make run`: start the local stack, show its addresses, supervise it until Ctrl-C."""

from __future__ import annotations

import signal

# Until the loop takes Ctrl-C itself, nothing was started, and it ends this process without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# ruff: noqa: E402
import asyncio
import contextlib
import subprocess
import sys
import time
from typing import Any, NoReturn

from chassis.settings import SettingsError, doubts, exit_with, load_settings
from local_stack.broker.embedded import BrokerFailed
from local_stack.credential import kept_key
from local_stack.ports import in_use
from local_stack.postgres.server import PostgresFailed
from local_stack.processes.data_folder import FolderBusy, end_leftovers, folder_lock, take_over_former
from local_stack.sample import KeyRefused, SampleFailed, waiting_sample
from local_stack.services import PORT_SETTINGS, Addresses, ServiceFailed
from local_stack.stack import LocalStack, addresses_of
from local_stack.welcome import Site, welcome

FAILURES = (BrokerFailed, PostgresFailed, ServiceFailed)


def tell(line: str) -> None:
    """Print one line."""
    with contextlib.suppress(OSError):  # a terminal that was closed
        print(line, flush=True)


def main() -> None:
    """Run the local stack until a signal ends it. Exits with 1 and one line when it cannot start."""
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    for doubt in doubts():
        tell(f"sayso: {doubt}")
    folder = settings.data_dir.absolute()
    try:
        if former := take_over_former(folder):
            tell(f"the data of {former} lie in {folder} now")
        with folder_lock(folder):
            left = end_leftovers(folder)
            if left:
                tell(f"ended {left} processes that an earlier start had left")
            addresses = addresses_of(settings)
            _refuse_taken_ports(addresses)
            _check_settings()
            stack = LocalStack(settings, addresses, folder, tell)
            file = settings.admin_key_file.absolute() if settings.auth == "on" else None
            sys.exit(asyncio.run(_run(stack, Site(addresses, folder, file))))
    except FolderBusy as error:
        raise SystemExit(f"sayso: {error}") from None


def _check_settings() -> None:
    """Let the worker read the settings that it alone understands. Exits with 1 and its one line."""
    command = [sys.executable, "-m", "provider_worker", "check-settings"]
    checked = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    if checked.returncode:
        last = checked.stderr.strip().splitlines()[-1:]
        raise SystemExit("".join(last) or f"sayso: the settings could not be checked: exit code {checked.returncode}")


def _refuse_taken_ports(addresses: Addresses) -> None:
    for service, port in addresses.ports.items():
        if in_use(addresses.host, port):
            raise SystemExit(
                f"sayso: {service}: port {port} is in use; {PORT_SETTINGS[service]} names another (0: any)"
            )


async def _run(stack: LocalStack, site: Site) -> int:
    """Run until a signal; return the exit code. A second signal ends everything at once."""
    running = asyncio.ensure_future(_start_and_supervise(stack, site))
    asked = 0

    def on_signal() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            tell("\nstopping; Ctrl-C once more stops at once")
            running.cancel()
        else:
            stack.kill()

    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(which, on_signal)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except FAILURES as failed:
        tell(f"sayso: {failed}")
        return 1
    finally:
        await stack.stop()
        if asked:
            tell("stopped")


async def _start_and_supervise(stack: LocalStack, site: Site) -> NoReturn:
    began = time.monotonic()
    await stack.start()
    tell(f"ready after {time.monotonic() - began:.1f} s\n")
    sample = None
    try:
        sample = await _sample(site)
    except KeyRefused as refused:
        tell(f"no sample run: the key in {site.key_file} is refused: {refused}")
        site = site._replace(key_is_refused=True)
    except SampleFailed as failed:
        tell(f"no sample run: {failed}")
    tell(welcome(site, sample))
    await stack.keep()


async def _sample(site: Site) -> dict[str, Any]:
    """Return a sample run that waits. Raises SampleFailed, KeyRefused."""
    key = None if site.key_file is None else kept_key(site.key_file)
    if site.key_file is not None and key is None:
        raise SampleFailed(f"{site.key_file} is not there, and no other key is known here")
    return await waiting_sample(site.addresses.http("gateway"), key)


if __name__ == "__main__":
    main()

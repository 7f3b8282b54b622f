"""Child processes: each in a session of its own, its output in a file, gone when this process is gone.

Knows nothing of what it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.accounts import Account
from local_stack.waiting import until

STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run. `parting` is the signal that asks it to end, `orphaned` the one it gets when this process dies."""

    name: str
    command: Sequence[object]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    parting: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL


class Process:
    """One program, started and ended as often as one likes. Start it in the main thread: the leash hangs on the thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's id, while it runs."""
        return self._child.pid if self._child is not None and self.alive else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last start, negative for a signal; None while it runs."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Start the program; its output is appended to its log."""
        program = self.program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as log:
            self._child = subprocess.Popen(
                [str(part) for part in program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment},
                cwd=program.folder,
                start_new_session=True,
                preexec_fn=_leash(program.orphaned, program.account),  # noqa: PLW1509 - only the main thread starts processes
                **(program.account.options() if program.account else {}),
            )

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, and end its whole group when `seconds` have passed."""
        if self.alive:
            self._signal(self.program.parting)
            self._signal(signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                await until(lambda: not self.alive, seconds, self.program.name)
        self.kill()

    def kill(self) -> None:
        """End it and what it left in its group, at once."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def pause(self) -> None:
        """Let it stand still, alive and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def last_lines(self, count: int = 20) -> str:
        """Return the end of its log."""
        if not self.program.log.exists():
            return ""
        with self.program.log.open("rb") as log:
            log.seek(max(0, self.program.log.stat().st_size - 200 * count))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])

    def _signal(self, which: signal.Signals) -> None:
        if self._child is not None and self.alive:
            self._child.send_signal(which)


def _leash(orphaned: signal.Signals, account: Account | None) -> Callable[[], None] | None:
    """Return what a child does before its program: ask the kernel for a signal when this process dies, however it dies."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def hold() -> None:
        if account is not None:
            account.enter()
        prctl(_PR_SET_PDEATHSIG, int(orphaned))
        if os.getppid() != parent:
            os.kill(os.getpid(), orphaned)

    return hold

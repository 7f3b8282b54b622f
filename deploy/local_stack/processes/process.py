"""A child process: in a session of its own, its output in a file, ended when this process ends."""

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

from local_stack.processes.account import Account
from local_stack.wait import until

STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """A command with its surroundings. `stop_signal` asks it to end; the kernel sends `orphan_signal` when this process dies."""

    name: str
    command: Sequence[object]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL


class Process:
    """One program, started and ended any number of times. Start it in the main thread: the kernel binds the signal to the thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
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
                preexec_fn=_child_setup(program),  # noqa: PLW1509 - only the main thread starts processes
                **(program.account.options() if program.account else {}),
            )

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send its stop signal, and kill its whole group once `seconds` have passed."""
        if self.alive:
            self._signal(self.program.stop_signal)
            self._signal(signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                await until(lambda: not self.alive, seconds, self.program.name)
        self.kill()

    def kill(self) -> None:
        """Kill its whole group at once."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def pause(self) -> None:
        """Suspend it: alive and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume it."""
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


def _child_setup(program: Program) -> Callable[[], None] | None:
    """Return what the child does before its program: enter its account, and ask the kernel for a signal at our death."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def set_up() -> None:
        if program.account is not None:
            program.account.enter_namespace()
        prctl(_PR_SET_PDEATHSIG, int(program.orphan_signal))
        if os.getppid() != parent:  # it died before the kernel was asked
            os.kill(os.getpid(), program.orphan_signal)

    return set_up

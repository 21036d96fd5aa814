"""The one seam through which work on a device runs: a lease (environment variables) in, a process tree out.

A tree ends as a whole: when its command ends, on `terminate`, or when this process dies, even by kill -9.
`wait` returns only when no process of it is left, so what it held (memory, devices) is free. Linux only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

MARK = "LLM_ASSETS_TREE"  # in the environment of every process of a tree; names the tree
POLITE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "20000"}
"""Threads of torch that wait for one another spin for some microseconds, then sleep. Beside other work on the same
cores, spinning for long made a training step of two threads five times slower; sleeping at once cost a fifth of the
speed on cores of its own."""
MOST_BYTES = 1 << 21  # of an environment: what the kernel permits for it and the arguments, by default
SUPERVISOR = Path(__file__).with_name("process_supervisor.py")

Stream = int | IO[bytes] | None


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    grace_seconds: float = 10,
) -> ProcessTree:
    """Start a command whose whole tree can be ended, and ends with this process.

    Args:
        command: program and arguments; the program is looked up in PATH.
        env: variables added to this process's own environment, a lease's for example.
        cwd: the folder it runs in; default: this process's.
        stdin, stdout, stderr: as in `subprocess.Popen`; pipes carry bytes.
        grace_seconds: between SIGTERM and SIGKILL when the tree is ended.

    Raises:
        OSError: on a system other than Linux. A command that cannot be started ends with exit code 127.
    """
    if sys.platform != "linux":
        raise OSError(f"processes: {sys.platform} cannot adopt orphaned processes; run llm-assets on Linux.")
    mark = uuid.uuid4().hex
    lifeline, held = os.pipe()
    prefix = [
        sys.executable,
        "-I",
        "-S",
        str(SUPERVISOR),
        str(lifeline),
        str(os.getpid()),
        str(grace_seconds),
    ]
    try:
        supervisor = subprocess.Popen(  # noqa: S603  (the caller's command, and no shell)
            [*prefix, *command],
            env={**POLITE, **os.environ, **(env or {}), MARK: mark},
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(lifeline,),
            start_new_session=True,  # a Ctrl-C is for us; we decide what becomes of the tree
        )
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(lifeline)
    return ProcessTree(supervisor, mark, held)


class Start(Protocol):
    """What starts a tree: `start`, or a lease's `start`, which adds the lease's environment and watches the tree."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = ...,
        stdout: Stream = ...,
        stderr: Stream = ...,
        grace_seconds: float = ...,
    ) -> ProcessTree: ...


class ProcessTree:
    """A running command with everything it has started. As a context manager it is ended on leaving."""

    def __init__(self, supervisor: subprocess.Popen[bytes], mark: str, lifeline: int) -> None:
        self._supervisor, self._mark = supervisor, mark
        self._lifeline: int | None = lifeline
        self._ending = threading.Lock()  # whoever keeps the lease may wait for it as well

    @property
    def pid(self) -> int:
        """Of the process at the tree's root, the supervisor."""
        return self._supervisor.pid

    @property
    def stdin(self) -> IO[bytes] | None:
        return self._supervisor.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        return self._supervisor.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        return self._supervisor.stderr

    def poll(self) -> int | None:
        """The exit code, or None while any process of the tree lives."""
        return None if self._supervisor.poll() is None else self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the tree is empty.

        Returns:
            The command's exit code, 128 + n if signal n ended it.

        Raises:
            subprocess.TimeoutExpired: after `timeout` seconds; the tree lives on.
        """
        code = self._supervisor.wait(timeout)
        with self._ending:
            if self._lifeline is not None:
                if code < 0:  # the supervisor itself was killed, and ended nobody
                    _end_marked(self._mark)
                os.close(self._lifeline)
                self._lifeline = None
        return code if code >= 0 else 128 - code

    def terminate(self) -> int:
        """End the tree: SIGTERM, after the grace period SIGKILL, to every process. Returns the exit code."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def ask(self) -> None:
        """SIGTERM to every process of the tree, which may take its time, for a checkpoint say. Returns at once."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> int:
        """SIGKILL to every process of the tree. Returns the exit code."""
        self._signal(signal.SIGUSR2)
        return self.wait()

    def _signal(self, number: int) -> None:
        """To the supervisor; `process_supervisor.py` says what each signal does."""
        if self._supervisor.poll() is None:
            self._supervisor.send_signal(number)
            self._supervisor.send_signal(signal.SIGCONT)  # it may have been stopped

    def __enter__(self) -> ProcessTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()


def _end_marked(mark: str) -> None:
    """Kill every process that carries the tree's mark, until none is found."""
    while marked := [pid.name for pid in Path("/proc").glob("[0-9]*") if variable_of(pid.name, MARK) == mark]:
        for pid in map(int, marked):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)  # the kernel needs a moment to take them down


def variable_of(pid: int | str, name: str, proc: Path | str = "/proc") -> str | None:
    """A variable of the environment that a process was started with.

    Returns:
        None where it has none of that name, has ended, or is another user's whose environment cannot be read.
    """
    try:
        descriptor = os.open(f"{proc}/{pid}/environ", os.O_RDONLY)
    except OSError:
        return None
    try:
        environment = b"\0" + os.read(descriptor, MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    _, found, rest = environment.partition(f"\0{name}=".encode())
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else None

"""The process between us and a child: it outlives its parent just long enough to end the child's whole tree.

    python -I -S process_supervisor.py LIFELINE_FD PARENT_PID GRACE_SECONDS COMMAND [ARGUMENT ...]

It adopts every orphan below it (Linux child subreaper), so no descendant escapes with a session of its own.
When its parent is gone (end of file on the lifeline pipe, or another parent pid; kill -9 of it shows as both),
when it is told to (SIGTERM, SIGINT, SIGHUP), or when the child has ended, every descendant gets SIGTERM and,
after the grace period, SIGKILL. It ends when none is left, with the child's exit code, 128 + n after signal n.
Nobody waits for the work of an orphaned tree: its grace period is short, so that what it holds is soon free.
SIGUSR1 passes a SIGTERM on to all and waits for them to end as they like; SIGUSR2 kills all at once.

`PR_SET_PDEATHSIG` is not used for the parent: the kernel ties it to the *thread* that started us, which may end
long before its process. It is used for the child, which we start from our only thread.
Standard library only, and started without `site`: its start costs some 20 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ASK, KILL = signal.SIGUSR1, signal.SIGUSR2
HANDLED = (*STOP_SIGNALS, ASK, KILL, signal.SIGCHLD)
ORPHAN_GRACE_SECONDS = 5.0
PARENT_CHECK_SECONDS = 1.0
SWEEP_SECONDS = 0.05
CANNOT_START = 127

libc = ctypes.CDLL(None, use_errno=True)


def descendants(root: int) -> list[int]:
    """Pids of all processes below `root`, by their parents in /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  (pathlib would double this process's start)
        if name.isdigit() and (parent := _parent_of(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found, pending = [], [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  (as above)
            return int(stat.read().rpartition(b")")[2].split()[1])  # the name before it may hold ")"
    except (OSError, IndexError):
        return None  # it has just ended


class Supervisor:
    """Runs one command; `run` returns its exit code when no process of its tree is left."""

    def __init__(self, lifeline: int, parent: int, grace_seconds: float) -> None:
        self.lifeline, self.parent, self.grace_seconds = lifeline, parent, grace_seconds
        self.stop_requested = self.asked = self.killed = False
        self.exit_code: int | None = None
        self.wakeup, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        os.set_inheritable(lifeline, False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._request_stop)
        signal.signal(ASK, self._request_end)
        signal.signal(KILL, self._request_kill)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)

    def run(self, command: list[str]) -> int:
        self.child = self._spawn(command)
        while self.exit_code is None and not self.stop_requested:
            self._await_event(PARENT_CHECK_SECONDS)
            self._reap()
            self._pass_on()
        self._end_all()
        return CANNOT_START if self.exit_code is None else self.exit_code

    def _spawn(self, command: list[str]) -> int:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        supervisor = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        pid = os.fork()
        if pid == 0:
            self._become(command, supervisor, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):  # or the other end would wait for us instead of the child
            os.dup2(silence, stream)
        return pid

    def _become(self, command: list[str], supervisor: int, mask: set[int]) -> None:
        """In the forked child: die with the supervisor, undo Python's signal settings, be the command.

        A signal that comes before they are undone waits until then: it is sent once, and our handlers would lose it.
        """
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(128 + signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (*HANDLED, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            os.execvp(command[0], command)  # noqa: S606  (no shell is wanted)
        except OSError as error:
            os.write(2, f"cannot start {command[0]!r}: {error.strerror}\n".encode())
        os._exit(CANNOT_START)

    def _request_stop(self, *_: object) -> None:
        self.stop_requested = True

    def _request_end(self, *_: object) -> None:
        self.asked = True

    def _request_kill(self, *_: object) -> None:
        self.stop_requested = self.killed = True

    def _pass_on(self) -> None:
        """Ask every descendant to end, if we were asked to; those that have not ended by themselves live on."""
        if self.asked:
            self.asked = False
            for pid in descendants(os.getpid()):
                _signal(pid, signal.SIGTERM)

    def _await_event(self, seconds: float) -> None:
        watched = [self.wakeup] if self.stop_requested else [self.wakeup, self.lifeline]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self.wakeup in ready:
            os.read(self.wakeup, 4096)
        if not self.stop_requested and (self.lifeline in ready or os.getppid() != self.parent):
            self._orphaned()

    def _orphaned(self) -> None:
        self.stop_requested = True
        self.grace_seconds = min(self.grace_seconds, ORPHAN_GRACE_SECONDS)

    def _reap(self) -> None:
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    self.exit_code = code if code >= 0 else 128 - code
        except ChildProcessError:
            pass  # none left

    def _end_all(self) -> None:
        """SIGTERM once to each descendant, SIGKILL after the grace period, until there is none."""
        asked: set[int] = set()
        if not self.stop_requested:
            self._orphaned()  # of what the command left behind
        deadline = time.monotonic() + self.grace_seconds
        while alive := descendants(os.getpid()):
            forced = self.killed or time.monotonic() >= deadline
            for pid in alive:
                if forced or pid not in asked:
                    _signal(pid, signal.SIGKILL if forced else signal.SIGTERM)
            asked.update(alive)
            self._await_event(SWEEP_SECONDS)
            self._reap()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it has just ended
        os.kill(pid, number)


if __name__ == "__main__":
    lifeline, parent, grace, *command = sys.argv[1:]
    sys.exit(Supervisor(int(lifeline), int(parent), float(grace)).run(command))

"""A tree that outlives its owner would hold a device that its lease has already given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resources import processes
from resources.process_supervisor import descendants
from resources.profile import ROOT

DEADLINE_SECONDS = 30
ESCAPE = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:                      # an orphan in a session of its own
        if "stubborn" in sys.argv:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while "leave" not in sys.argv or not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""
OWNER = """
import sys, time
from resources import processes
tree = processes.start([sys.executable, "-c", *sys.argv[1:]], grace_seconds=0.3)
time.sleep(600)
"""
SLOW_TO_BECOME = """
import os, sys, time
from resources.process_supervisor import Supervisor
become = Supervisor._become
Supervisor._become = lambda *given: (time.sleep(1), become(*given))
Supervisor(int(sys.argv[1]), os.getppid(), 20).run([sys.executable, "-c", "import time; time.sleep(600)"])
"""


def until(fact: Callable[[], object]) -> object:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := fact()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
    return value


def pid_in(note: Path) -> int:
    until(lambda: note.exists() and note.read_text())
    return int(note.read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_exit_code_passes_through() -> None:
    assert processes.start(python("raise SystemExit(7)")).wait(DEADLINE_SECONDS) == 7


def test_death_by_a_signal_is_128_plus_its_number() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert processes.start(python(code)).wait(DEADLINE_SECONDS) == 128 + signal.SIGKILL


def test_a_command_that_does_not_exist_ends_with_127_and_its_name() -> None:
    with processes.start(["no-such-command"], stderr=subprocess.PIPE) as tree:
        assert tree.wait(DEADLINE_SECONDS) == 127
        assert tree.stderr is not None
        assert b"no-such-command" in tree.stderr.read()


def test_standard_streams_and_environment_reach_the_child() -> None:
    code = "import os, sys; print(os.environ['LEASE'], sys.stdin.read(), flush=True)"
    with processes.start(python(code), env={"LEASE": "gpu-0"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tree:
        assert tree.stdin is not None
        assert tree.stdout is not None
        tree.stdin.write(b"hello")
        tree.stdin.close()
        assert tree.stdout.read() == b"gpu-0 hello\n"


def test_terminate_ends_a_grandchild_in_its_own_session(tmp_path: Path) -> None:
    tree = processes.start(python(ESCAPE, str(tmp_path / "pid")))
    escaped = pid_in(tmp_path / "pid")
    assert os.getsid(escaped) != os.getsid(tree.pid)
    assert tree.terminate() == 128 + signal.SIGTERM
    assert not alive(escaped)


def test_a_grandchild_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    tree = processes.start(python(ESCAPE, str(tmp_path / "pid"), "stubborn"), grace_seconds=0.5)
    escaped = pid_in(tmp_path / "pid")
    started = time.monotonic()
    tree.terminate()
    assert not alive(escaped)
    assert 0.5 <= time.monotonic() - started < 10


def test_what_is_ended_before_it_has_become_its_command_does_not_begin() -> None:
    """Between fork and exec it has the supervisor's signal handlers."""
    ours, its = os.pipe()
    command = [sys.executable, "-c", SLOW_TO_BECOME, str(ours)]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=[ours]) as supervisor:
        until(lambda: descendants(supervisor.pid))
        told = time.monotonic()
        supervisor.terminate()
        supervisor.wait(DEADLINE_SECONDS)
    for end in (ours, its):
        os.close(end)
    assert time.monotonic() - told < 10, "it lived until the end of the grace period"


def test_the_grace_period_lets_a_child_finish_its_work(tmp_path: Path) -> None:
    code = """
import pathlib, signal, sys, time
def finish(*_): time.sleep(0.3); pathlib.Path(sys.argv[2]).touch(); sys.exit(5)
signal.signal(signal.SIGTERM, finish)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""
    tree = processes.start(python(code, str(tmp_path / "ready"), str(tmp_path / "finished")))
    until((tmp_path / "ready").exists)
    assert tree.terminate() == 5
    assert (tmp_path / "finished").exists()


def test_wait_returns_only_when_the_tree_is_empty(tmp_path: Path) -> None:
    tree = processes.start(python(ESCAPE, str(tmp_path / "pid"), "leave"))
    assert tree.wait(DEADLINE_SECONDS) == 0
    assert not alive(pid_in(tmp_path / "pid"))


def test_kill_9_of_the_owner_ends_the_tree(tmp_path: Path) -> None:
    owner = subprocess.Popen(python(OWNER, ESCAPE, str(tmp_path / "pid"), "stubborn"))
    escaped = pid_in(tmp_path / "pid")
    tree = [owner.pid, *descendants(owner.pid)]
    assert escaped in tree
    owner.kill()
    owner.wait()
    until(lambda: not any(alive(pid) for pid in tree))


def test_kill_9_of_the_supervisor_is_swept_up_by_wait(tmp_path: Path) -> None:
    tree = processes.start(python(ESCAPE, str(tmp_path / "pid")))
    escaped = pid_in(tmp_path / "pid")
    os.kill(tree.pid, signal.SIGKILL)
    assert tree.wait(DEADLINE_SECONDS) == 128 + signal.SIGKILL
    assert not alive(escaped)


def test_the_tree_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[processes.ProcessTree] = []
    code = "import pathlib, sys; sys.stdin.read(); pathlib.Path(sys.argv[1]).touch()"
    command = python(code, str(tmp_path / "done"))
    thread = threading.Thread(target=lambda: started.append(processes.start(command, stdin=subprocess.PIPE)))
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(1.5)  # longer than the supervisor's check of its parent
    assert started[0].stdin is not None
    started[0].stdin.close()
    assert started[0].wait(DEADLINE_SECONDS) == 0
    assert (tmp_path / "done").exists()


STUBBORN = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: Path(sys.argv[2]).write_text("asked"))
Path(sys.argv[1]).write_text("ready")
while True:
    time.sleep(0.05)
"""


def test_a_tree_that_is_asked_may_take_its_time_and_is_killed_at_the_deadline(tmp_path: Path) -> None:
    ready, asked = tmp_path / "ready", tmp_path / "asked"
    with processes.start(python(STUBBORN, str(ready), str(asked)), grace_seconds=0) as tree:
        until(ready.exists)
        tree.ask()
        until(asked.exists)
        assert tree.poll() is None, "asking ended it"
        assert tree.kill() == 128 + signal.SIGKILL


def test_an_orphaned_tree_is_given_less_time_than_one_that_is_ended(tmp_path: Path) -> None:
    ready, asked = tmp_path / "ready", tmp_path / "asked"
    code = OWNER.replace("grace_seconds=0.3", "grace_seconds=600")
    owner = subprocess.Popen(python(code, STUBBORN, str(ready), str(asked)))
    until(ready.exists)
    owner.kill()
    owner.wait()
    until(asked.exists)
    until(lambda: not processes_named(str(asked)))


def processes_named(argument: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found

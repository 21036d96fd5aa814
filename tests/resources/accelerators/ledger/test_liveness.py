"""Guards against: a later process taken for a dead one, a zombie that keeps a device, a paused one called dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resources.accelerators.ledger.liveness import alive, process_of, this_boot, this_host, this_process
from tests.resources.accelerators.ledger.scenes import until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_this_process_lives() -> None:
    assert alive(this_process()) is True
    assert this_process().pid == os.getpid()


def test_a_zombie_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    process = process_of(sleeper.pid)
    assert process is not None
    assert alive(process)
    os.kill(sleeper.pid, signal.SIGKILL)  # and nobody waits for it
    until(lambda: alive(process) is False)
    assert Path(f"/proc/{sleeper.pid}").exists()
    assert process_of(sleeper.pid) is None


def test_a_paused_process_lives(sleeper: subprocess.Popen[bytes]) -> None:
    process = process_of(sleeper.pid)
    assert process is not None
    sleeper.send_signal(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{sleeper.pid}/stat").read_text().split()[2] == "T")
    assert alive(process) is True


def test_another_process_with_the_same_pid_is_not_taken_for_it() -> None:
    me = this_process()
    assert alive(replace(me, started=me.started - 1)) is False


def test_nothing_lives_from_before_the_boot() -> None:
    assert alive(replace(this_process(), boot_id="another")) is False


def test_of_another_host_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    me = this_process()
    monkeypatch.setenv("LLM_ASSETS_HOST", f"not-{this_host()}")
    assert alive(me) is None


def test_of_another_pid_namespace_nothing_is_known() -> None:
    boot = this_boot().split("/")[0]
    assert alive(replace(this_process(), boot_id=f"{boot}/1")) is None


def test_a_command_name_with_spaces_and_brackets_is_read() -> None:
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b'a) Z (b', 0, 0, 0); print('x', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"x\n"
        assert Path(f"/proc/{process.pid}/comm").read_text() == "a) Z (b\n"
        found = process_of(process.pid)
        assert found is not None
        assert alive(found)
        process.kill()

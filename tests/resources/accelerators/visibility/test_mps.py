"""Two daemons for one GPU, or one daemon for two, and the memory limits of a shared lease do not hold.

The daemon is a stand-in that is a real process with a real control socket; the environment is what is tested.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from resources.accelerators.configuration import Accelerators
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.inventory import refresh
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.units import GB
from resources.accelerators.visibility import mps, mps_for, stop_unused
from resources.accelerators.visibility.mps import CONTROL, PID_FILE, Mps
from tests.resources.accelerators.visibility.leases import by_id, gpu, lease

STAND_IN = Path(__file__).with_name("mps_stand_in.py")
ONE, OTHER = gpu("GPU-1"), gpu("GPU-2", 1)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for temporary files (a socket's path has 107 characters), whose daemons end with the test."""
    path = Path(tempfile.mkdtemp(prefix="mps-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    mps._say_once.cache_clear()
    yield path
    for pid_file in path.glob(f"*/*/{PID_FILE}"):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    shutil.rmtree(path)


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / CONTROL
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def starts(pipes: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (pipes / "starts.log").read_text().splitlines()]


@pytest.mark.usefixtures("installed")
def test_each_shared_gpu_has_a_daemon_that_sees_only_it() -> None:
    one = mps_for(lease(ONE, memory=GB), by_id(ONE, OTHER))["GPU-1"]
    other = mps_for(lease(OTHER, memory=GB), by_id(ONE, OTHER))["GPU-2"]
    assert one != other
    assert [(s["CUDA_VISIBLE_DEVICES"], s["CUDA_MPS_PIPE_DIRECTORY"]) for s in starts(one)] == [("GPU-1", str(one))]
    assert [s["CUDA_VISIBLE_DEVICES"] for s in starts(other)] == ["GPU-2"]
    assert len(str(one / "control")) < 107


@pytest.mark.usefixtures("installed")
def test_many_that_ask_at_once_start_one_daemon() -> None:
    with ThreadPoolExecutor(8) as pool:
        pipes = set(pool.map(lambda _: Mps("GPU-1").ensure(), range(16)))
    assert len(starts(pipes.pop())) == 1
    assert not pipes


@pytest.mark.usefixtures("installed")
def test_the_daemon_carries_neither_a_lease_nor_a_tree_so_that_it_outlives_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_ASSETS_LEASE", "another")
    monkeypatch.setenv("LLM_ASSETS_TREE", "a-tree")
    [environment] = starts(Mps("GPU-1").ensure())
    assert not {"LLM_ASSETS_LEASE", "LLM_ASSETS_TREE"} & set(environment)
    assert environment["LLM_ASSETS_MPS"] == "GPU-1"  # so its memory is not foreign


@pytest.mark.usefixtures("installed")
def test_a_daemon_that_was_killed_is_started_again_over_what_it_left() -> None:
    pipes = Mps("GPU-1").ensure()
    os.kill(int((pipes / PID_FILE).read_text()), signal.SIGKILL)
    assert mps._becomes(lambda: not Mps("GPU-1").running())
    assert Mps("GPU-1").ensure() == pipes
    assert len(starts(pipes)) == 2
    assert Mps("GPU-1").running()


@pytest.mark.usefixtures("installed")
def test_daemons_that_no_lease_needs_are_ended_and_the_others_run_on() -> None:
    Mps("GPU-1").ensure()
    Mps("GPU-2").ensure()
    assert stop_unused(lambda: {"GPU-2"}) == ["GPU-1"]
    assert not Mps("GPU-1").running()
    assert Mps("GPU-2").running()
    assert stop_unused(lambda: {"GPU-2"}) == []


@pytest.mark.usefixtures("installed")
def test_a_lease_that_is_granted_while_daemons_are_ended_keeps_its_own() -> None:
    pipes = Mps("GPU-1").ensure()
    leased: set[str] = set()

    def granted_meanwhile() -> set[str]:
        # The ledger has the lease before its step asks for the daemon, and that step waits here for the lock.
        leased.add("GPU-1")
        return leased

    assert stop_unused(granted_meanwhile) == []
    assert Mps("GPU-1").ensure() == pipes
    assert len(starts(pipes)) == 1


@pytest.mark.usefixtures("installed")
def test_the_host_s_agent_ends_daemons_that_no_lease_needs(folder: Path) -> None:
    Mps("GPU-1").ensure()
    accelerators = Accelerators(probe=False)
    ledger = Ledger(f"sqlite:///{folder}/ledger.db", accelerators)
    try:
        refresh(ledger, accelerators)
    finally:
        ledger.close()
    assert not Mps("GPU-1").running()


@pytest.mark.usefixtures("installed")
def test_the_folder_is_closed_to_other_users() -> None:
    pipes = Mps("GPU-1").ensure()
    assert {path.stat().st_mode & 0o777 for path in (pipes, pipes.parent)} == {0o700}


@pytest.mark.usefixtures("installed")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_that_another_user_has_put_there_is_refused() -> None:
    pipes = Mps("GPU-1").ensure()
    Mps("GPU-1").stop()
    os.chown(pipes, 1234, 1234)
    with pytest.raises(AcceleratorError, match="is not this user's"):
        Mps("GPU-1").ensure()


def test_without_mps_a_gpu_is_shared_by_turns_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    if shutil.which(CONTROL):
        pytest.skip("MPS is installed here")
    for _ in range(3):
        assert mps_for(lease(ONE, memory=GB), by_id(ONE)) == {}
    [record] = caplog.records
    assert "is not on PATH: GPUs are shared by turns" in record.getMessage()


@pytest.mark.usefixtures("installed")
def test_a_daemon_that_does_not_start_says_why_and_the_lease_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_ASSETS_TEST_MPS_BROKEN", "1")
    assert mps_for(lease(ONE, memory=GB), by_id(ONE)) == {}
    assert "Cannot find MPS control daemon process" in caplog.text


@pytest.mark.usefixtures("installed")
def test_what_is_not_shared_or_not_there_needs_no_daemon() -> None:
    pretended = replace(ONE, pretended=True)
    assert mps_for(lease(ONE), by_id(ONE)) == {}
    assert mps_for(lease(pretended, memory=GB), by_id(pretended)) == {}

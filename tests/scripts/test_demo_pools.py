"""Guards against a demo that does not run, compares unequal things, or leaves processes behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resources.accelerators.configuration import load_accelerators
from resources.accelerators.ledger.strays import marked
from scripts.demo_pools.measuring import Ran, figures
from scripts.demo_pools.plan import COUNTED, DEVICES, DEVICES_OF, KINDS, PARTS, Arrival, arrivals
from scripts.demo_pools.report import lines
from scripts.demo_pools.running import Result, run_setup
from scripts.demo_pools.setups import COUNTING, OURS, SETUPS, SPLIT, make_home


def test_there_are_two_dozen_runs_of_four_demands() -> None:
    found = arrivals()
    assert len(found) == 24
    assert {one.kind.demand for one in found} == set(PARTS)
    assert {one.kind.pool for one in arrivals(6)} > {"lora", "embed"}


def test_the_other_setups_use_all_devices_and_could_not_be_given_more() -> None:
    assert sum(PARTS.values()) == DEVICES
    shared = COUNTED["inference"] * 16 + COUNTED["embed"] * 4
    assert shared <= 80 < shared + 16, "the one shared device is as full as it can be"
    assert COUNTED["full"] * DEVICES_OF["full"] + COUNTED["lora"] * DEVICES_OF["lora"] + 1 == DEVICES
    for kind in KINDS:
        assert PARTS[kind.demand] >= DEVICES_OF[kind.pool], f"{kind.job} could never run in its part"


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_every_setup_has_eight_devices_and_the_same_pools(setup, tmp_path: Path) -> None:
    make_home(setup, tmp_path / "home", tmp_path / "socket")
    accelerators = load_accelerators(tmp_path / "home" / "accelerators.yml")
    assert sum(devices.count for devices in accelerators.devices) == DEVICES
    assert set(accelerators.pools) == set(COUNTED)


def test_the_report_says_where_another_setup_was_better() -> None:
    kind = KINDS[0]
    slow, fast = (Ran(Arrival(0, kind), 0.0, wait, wait + 4.0) for wait in (5.0, 1.0))
    told = "\n".join(lines([Result(OURS, [slow], 9.0, None), Result(COUNTING, [fast], 5.0, None)]))
    assert "Not better: mean wait, s, service: 5.0; with 'counting' 1.0" in told
    told = "\n".join(lines([Result(OURS, [fast], 5.0, None), Result(SPLIT, [slow], 9.0, None)]))
    assert "Nowhere was another set-up better" in told


def test_utilisation_counts_a_share_as_a_part_and_a_gang_as_its_devices() -> None:
    full = next(kind for kind in KINDS if kind.pool == "full")
    embed = next(kind for kind in KINDS if kind.pool == "embed")
    runs = [Ran(Arrival(0, full), 0.0, 0.0, 10.0), Ran(Arrival(0, embed), 0.0, 0.0, 10.0)]
    assert figures(runs, 10.0).utilisation == pytest.approx((3 + 4 / 80) / DEVICES)


@pytest.mark.long
def test_runs_go_through_the_daemon_under_leases_and_nothing_is_left(tmp_path: Path) -> None:
    before = set(marked())
    found = run_setup(OURS, tmp_path / "home", arrivals(4))
    assert len(found.runs) == 4
    assert found.picture is not None
    assert found.picture.startswith(b"\x89PNG")
    assert set(marked()) <= before
    assert not processes_of(tmp_path / "home")


@pytest.mark.long
def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    script = f"""
import signal, threading, os
from pathlib import Path
from scripts.demo_pools import running
from scripts.demo_pools.setups import COUNTING
from scripts.demo_pools.plan import arrivals
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs deaf to it
home = Path({str(tmp_path / "home")!r})
wait = running._all_ended
def interrupted(instance, folder):
    wait(instance, folder)
    os.kill(os.getpid(), signal.SIGINT)
running._all_ended = interrupted
running.run_setup(COUNTING, home, arrivals(1))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120)
    assert "KeyboardInterrupt" in done.stderr
    assert not processes_of(tmp_path / "home")


def processes_of(home: Path) -> list[str]:
    """Command lines of living processes whose environment or arguments name the home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in text:
            found.append((folder / "cmdline").read_text())
    return found

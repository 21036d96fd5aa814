"""SIGKILL of a run's worker, its step, its training and the daemon, in every combination: when is the device free?

    python -m benchmarks.kill

Real runs through the real daemon, one for each combination, each on a pretended device of its own; the training is a
stand-in that ignores SIGTERM and has a rank in a session of its own. One run is left alone: it must keep its device.
Then the same again with the daemon killed first. Measured is the time until the ledger grants the device to somebody
else, and which processes of the dead run live at that moment.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.common import ROOT, report
from benchmarks.kill_work import FOLDER, LEASE, NAMES, PARTS, RANK, TRAINING, VICTIMS
from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE
from resources.accelerators.ledger import strays
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB

GOAL_SECONDS = 15.0
START_SECONDS = 240.0
GRANT_SECONDS = 60.0
ALONE = NAMES[0]
DEVICES = {"model": "a100-sxm-80", "memory_gb": 80, "count": len(NAMES), "host": "pretended", "pretend": True}
ACCELERATORS = {"probe": False, "devices": [DEVICES], "pools": {"whole": {"memory_gb": 60}}}


@dataclass(frozen=True)
class Result:
    """What became of one run's device.

    Attributes:
        name: who was killed.
        seconds: from the kill until somebody else held the device.
        living: pids of the dead run's work at that moment.
    """

    name: str
    seconds: float
    living: tuple[int, ...]


class Scene:
    """A Dagster home, a ledger and a daemon of this benchmark's own."""

    def __init__(self, home: Path) -> None:
        self.home, self.work = home, home / "work"
        self.environment = {
            "DAGSTER_HOME": str(home),
            FILE_VARIABLE: str(home / "accelerators.yml"),
            LEDGER_VARIABLE: f"sqlite:///{home / 'ledger.db'}",
            "PYTHONPATH": str(ROOT),
        }
        os.environ |= self.environment
        (home / "accelerators.yml").write_text(yaml.safe_dump(ACCELERATORS))
        (home / "workspace.yaml").write_text(
            yaml.safe_dump({"load_from": [{"python_module": "benchmarks.kill_work"}]})
        )
        dagster = (ROOT / "dagster.yaml").read_text().replace(".state/dagster", str(home / "state"))
        (home / "dagster.yaml").write_text(dagster)
        import dagster as dg

        with dg.DagsterInstance.get() as instance:  # several first users at once would all make the tables
            instance.get_runs(limit=1)

    @property
    def ledger(self) -> Ledger:
        return open_ledger()

    def start(self, work: Path, *command: str) -> subprocess.Popen[bytes]:
        """A Dagster program on this home."""
        with (self.home / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *command],
                cwd=self.home,
                env={**os.environ, FOLDER: str(work)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @contextmanager
    def running(self, work: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon, and one run for each combination, all of which hold their device and train."""
        daemon = self.start(work, "dagster._daemon", "run")
        try:
            launch = self.start(
                work, "dagster", "job", "backfill", "-w", "workspace.yaml", "-j", "train", "--noprompt"
            )
            launch.wait(START_SECONDS)
            _until(lambda: all((work / name / RANK).exists() for name in NAMES), START_SECONDS, self.said)
            _until(lambda: all((work / name / TRAINING).exists() for name in NAMES), START_SECONDS, self.said)
            yield daemon
        finally:
            for name in NAMES:
                (work / name).mkdir(parents=True, exist_ok=True)
                (work / name / "enough").touch()
            _until(lambda: not self.ledger.view().leases, GRANT_SECONDS, self.said)
            _end(daemon)

    def said(self) -> str:
        """The end of what the programs have said."""
        return (self.home / "output").read_text(errors="replace")[-3000:]


def killed(scene: Scene, work: Path, daemon: subprocess.Popen[bytes] | None) -> list[Result]:
    """Kill as each run's name says, and see when its device is granted again; then end the one that is left."""
    holders = {lease.id: lease.shares[0].device for lease in scene.ledger.view().leases.values()}
    names = {holders[(work / name / LEASE).read_text()]: name for name in NAMES}
    if daemon:
        daemon.kill()
        daemon.wait()
    began = time.monotonic()
    for name, victims in zip(NAMES, VICTIMS, strict=True):
        for part in victims:
            os.kill(int((work / name / part).read_text()), signal.SIGKILL)
    results = _granted(scene.ledger, names, work, began, len(NAMES) - 1)
    if any(result.name == ALONE for result in results):
        raise AssertionError("the run that was left alone has lost its device")
    (work / ALONE / "enough").touch()
    return results + _granted(scene.ledger, names, work, time.monotonic(), 1)


def _granted(ledger: Ledger, names: dict[str, str], work: Path, began: float, count: int) -> list[Result]:
    """Ask for so many devices until all are granted; who had them before, and what of that lives."""
    asked = [_request(f"next-{began}-{number}") for number in range(count)]
    results: list[Result] = []
    while asked:
        for waiting in list(asked):
            lease = ledger.claim(waiting)
            if lease is not None:
                seconds, name = time.monotonic() - began, names[lease.shares[0].device]
                results.append(Result(name, round(seconds, 2), _living(work / name)))
                asked.remove(waiting)
        if time.monotonic() - began > GRANT_SECONDS:
            break
        time.sleep(0.05)
    results += [Result("never granted", GRANT_SECONDS, ()) for _ in asked]
    return results


def _living(folder: Path) -> tuple[int, ...]:
    """Processes of a run's work: those that carry its lease, and those that it noted."""
    from resources.accelerators.ledger.liveness import process_of

    carried = [process.pid for process in strays.marked().get((folder / LEASE).read_text(), ())]
    noted = [int((folder / part).read_text()) for part in (TRAINING, RANK)]
    return tuple({*carried, *(pid for pid in noted if process_of(pid))})


def _request(run_id: str) -> Waiting:
    request = Request("whole", 60 * GB, launcher=this_host())
    return Waiting(run_id, "step", request, time.time(), "claiming")


def _until(fact: Callable[[], bool], seconds: float, said: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds:.0f} s; the programs said last:\n{said()}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def measured(scene: Scene, work: Path, *, with_daemon: bool) -> list[Result]:
    """One round."""
    with scene.running(work) as daemon:
        results = killed(scene, work, daemon if with_daemon else None)
        for lease in list(scene.ledger.view().leases.values()):
            scene.ledger.release(lease.run_id)
    return results


def main() -> None:
    """Two rounds, without and with the daemon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="accepted like everywhere; there is nothing to add")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        results = {
            prefix + result.name: result
            for prefix, with_daemon in (("", False), ("daemon+", True))
            for result in measured(scene, Path(folder) / f"work{with_daemon}", with_daemon=with_daemon)
        }
    for name, result in results.items():
        print(f"{name}: {result.seconds} s, {len(result.living)} of its processes alive")
    worst = max(result.seconds for result in results.values())
    living = sum(len(result.living) for result in results.values())
    details: dict[str, object] = {"alive_when_granted": living, "parts": [*PARTS, "daemon"]}
    details |= {name: result.seconds for name, result in results.items()}
    report("kill", worst, "s until granted again", "<= 15, none alive", worst <= GOAL_SECONDS and not living, details)


if __name__ == "__main__":
    main()

"""A decision is fast even where a thousand wait for a thousand devices, and a freed device reaches its waiter soon.

    python -m benchmarks.ledger_latency [--decisions 400] [--devices 1000] [--waiting 1000]

All devices are leased and the queue is full. A decision is one transaction on disk: a new request joins the queue
(`claim`), or a lease is given back and the next in order gets its devices. Between two of them another connection
changes the ledger, so that each has to read what is new first. Taken in turns, after a warm-up. A whole `release` is
timed apart: before its transaction it looks through all processes of the host for those of the lease. The first
decision of a new process includes opening the ledger and reading all of its rows; the imports before it are not
counted. The wake-up is the time from the call of `release` in one process to the lease in the hands of another, which
waits.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from benchmarks.common import ROOT, report
from benchmarks.ledger_safety import database
from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.ledger.holding import give_back
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_boot, this_host, this_process
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB

GOALS = {"median_ms": 1.0, "p99_ms": 5.0, "first_ms": 20.0, "wake_ms": 500.0}
WARM_UP = 20
PROCESSES = 5  # new processes whose first decision is timed
WAKE_UPS = 10
FIRST = """
import sys, time
from resources.accelerators.configuration import Accelerators
from resources.accelerators.ledger.ledger import Ledger
from benchmarks.ledger_latency import request
accelerators, waiting = Accelerators(), request(sys.argv[2], 7)
started = time.perf_counter()
Ledger(sys.argv[1], accelerators).claim(waiting)
print(time.perf_counter() - started)
"""
WAITER = """
import sys, time
from resources.accelerators.configuration import Accelerators
from resources.accelerators.ledger.ledger import Ledger
from benchmarks.ledger_latency import urgent
ledger = Ledger(sys.argv[1], Accelerators())
for turn in range(int(sys.argv[2])):
    waiting = urgent(f"waiter-{turn}")
    print(ledger.claim(waiting), flush=True)
    while True:
        seen = ledger.changes()
        if ledger.claim(waiting):
            print(time.monotonic(), flush=True)
            break
        ledger.wait_for_change(seen, 5)
    ledger.release(waiting.run_id)
"""


def main() -> None:
    """Measure on both databases; the value is SQLite's median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the same as without")
    parser.add_argument("--decisions", type=int, default=400, help="timed on each database (default 400)")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="on this database only")
    options = parser.parse_args()
    details: dict[str, object] = {"devices": options.devices, "waiting": options.waiting}
    found: dict[str, dict[str, float]] = {}
    for name in [options.only] if options.only else ["sqlite", "postgresql"]:
        with database(name, 20) as url, database(name, 20) as other:
            found[name] = measure(url, options.devices, options.waiting, options.decisions)
            found[name]["wake_ms"] = wake_up(other, options.devices, options.waiting)
        print(f"{name}: {found[name]}", flush=True)
        details |= {f"{name}_{key}": value for key, value in found[name].items()}
    judged = found.get("sqlite") or found["postgresql"]
    holds = all(judged[key] <= goal for key, goal in GOALS.items())
    goal = "median <= 1, p99 <= 5, first of a process <= 20, wake-up <= 500"
    report("ledger_latency", judged["median_ms"], "ms a decision (SQLite)", goal, holds, details)


def measure(url: str, devices: int, waiting: int, decisions: int, processes: int = PROCESSES) -> dict[str, float]:
    """Milliseconds on a new ledger of that size."""
    ledger = filled(url, devices, waiting)
    claims, grants = _decisions(ledger, Ledger(url, Accelerators()), decisions)
    releases = [_seconds(partial(ledger.release, *held)) for held in _held(ledger)[: decisions // 4]]
    both = sorted(claims + grants)
    first = [float(_run(FIRST, url, f"first-{turn}").split()[-1]) for turn in range(processes)]
    return {
        "median_ms": _ms(statistics.median(both)),
        "p99_ms": _ms(both[int(len(both) * 0.99)]),
        "claim_ms": _ms(statistics.median(claims)),
        "grant_ms": _ms(statistics.median(grants)),
        "release_ms": _ms(statistics.median(releases)),
        "first_ms": _ms(statistics.median(first)),
    }


def wake_up(url: str, devices: int, waiting: int) -> float:
    """Milliseconds from a release to the waiter in another process, the worst of some. All of the queue claims."""
    return _ms(max(_wake_ups(url, filled(url, devices, waiting, queued=False))))


def filled(url: str, devices: int, waiting: int, *, queued: bool = True) -> Ledger:
    """A ledger whose devices are all leased, with a full queue; with `queued` half of it stands in Dagster's."""
    ledger = Ledger(url, Accelerators())
    host = this_host()
    have = [
        Device(f"{host}/gpu{i}", host, "gpu", "h100-sxm-80", 80 * GB, i, nvlink=f"{host}/{i // 8}")
        for i in range(devices)
    ]
    ledger.register(Host(host, 4.0 * devices, devices * 100 * GB, this_boot()), have)
    with _many(ledger) as transaction:
        for number in range(devices + waiting):
            stage = "queued" if queued and number >= devices and number % 2 else "claiming"
            asked = replace(request(f"run-{number}", number), stage=stage)
            transaction.put_waiting(asked)
    ledger.reap()
    return ledger


@contextmanager
def _many(ledger: Ledger) -> Iterator[Transaction]:
    with ledger._store.writing() as transaction:  # a thousand claims one by one would take as many seconds
        yield transaction


def request(run_id: str, seed: int) -> Waiting:
    """A request for one device, alone, of one of 40 pools; tenants and priorities differ."""
    chance = random.Random(seed)
    memory = chance.randint(41, 80)
    asked = Request(
        pool=f"pool-{memory}",
        memory=memory * GB,
        priority=chance.randint(0, 2),
        tenant=chance.choice("abc"),
        launcher=this_host(),
    )
    return Waiting(run_id, "step", asked, time.time(), "claiming", claimant=this_process())


def urgent(run_id: str) -> Waiting:
    """A request that is the next in order."""
    asked = Request("urgent", 40 * GB, priority=900, tenant="new", launcher=this_host())
    return Waiting(run_id, "step", asked, time.time(), "claiming", claimant=this_process())


def _decisions(ledger: Ledger, other: Ledger, count: int) -> tuple[list[float], list[float]]:
    claims: list[float] = []
    grants: list[float] = []
    for turn in range(WARM_UP + count // 2):
        other.claim(request(f"other-{turn}", turn))
        claims.append(_seconds(partial(ledger.claim, request(f"new-{turn}", turn))))
        other.withdraw(f"other-{turn}")
        grants.append(_seconds(partial(_give_back, ledger, *_held(ledger)[0])))
        _start_offered(other)
    return claims[WARM_UP:], grants[WARM_UP:]


def _start_offered(ledger: Ledger) -> None:
    """As Dagster does: a queued run whose turn it is is started, and asks. Else devices would be kept for ever."""
    for waiting in ledger.startable():
        ledger.claim(replace(waiting, stage="claiming", claimant=this_process()))


def _held(ledger: Ledger) -> list[tuple[str, str]]:
    return [(lease.run_id, lease.step_key) for lease in ledger.view().leases.values()]


def _give_back(ledger: Ledger, run_id: str, step_key: str) -> None:
    """The transaction of a release."""
    with ledger._store.writing() as transaction:
        for lease in transaction.mirror.leases_of(run_id, step_key):
            give_back(transaction, lease, this_process(), ())


def _wake_ups(url: str, ledger: Ledger) -> list[float]:
    command = [sys.executable, "-c", WAITER, url, str(WAKE_UPS)]
    taken = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as waiter:
        lines = iter(waiter.stdout or ())
        for _ in range(WAKE_UPS):
            if next(lines).strip() != "None":
                sys.exit("the waiter got a device at once: nothing was measured")
            held = _held(ledger)[0]
            started = time.monotonic()
            ledger.release(*held)
            taken.append(float(next(lines)) - started)
    return taken


def _run(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


if __name__ == "__main__":
    main()

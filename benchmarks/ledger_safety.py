"""The ledger never gives away what is held, whoever dies: many claimants, random requests, random kill -9.

    python -m benchmarks.ledger_safety [--seconds 60] [--claimants 200] [--only sqlite|postgresql]

Real processes claim, hold and give back for a while; others are killed at any moment and replaced. Two judges that
share nothing with the ledger watch. Triggers in the database write down every lease's begin and end, in the order of
the transactions; they are added up afterwards, device by device. And the kernel: a holder locks a file for each of
its devices, alone or shared as its lease is, and so do processes that outlive it; a lock that is not free is a device
that was given away too early. A lease is lost if the ledger has ended it while its holder lives and has not given it
back, or if it is still there when everybody is dead.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from benchmarks.common import report
from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import LEASE_VARIABLE, Lease
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_boot, this_host
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB

DEVICES = 16
KILLS_A_SECOND = 20
AUDIT = {
    "sqlite": (
        "CREATE TABLE audit "
        "(number INTEGER PRIMARY KEY AUTOINCREMENT, lease TEXT, what TEXT, shares TEXT, request TEXT)",
        "CREATE TRIGGER audit_new AFTER INSERT ON leases BEGIN INSERT INTO audit (lease, what, shares, request) "
        "VALUES (new.id, 'begin', new.shares, new.request); END",
        "CREATE TRIGGER audit_end AFTER UPDATE ON leases WHEN old.ended IS NULL AND new.ended IS NOT NULL BEGIN "
        "INSERT INTO audit (lease, what, shares, request) VALUES (new.id, 'end', new.shares, new.request); END",
        "CREATE TRIGGER audit_gone BEFORE DELETE ON leases WHEN old.ended IS NULL BEGIN "
        "SELECT RAISE(ABORT, 'a live lease was deleted'); END",
    ),
    "postgresql": (
        "CREATE TABLE audit (number BIGSERIAL PRIMARY KEY, lease TEXT, what TEXT, shares TEXT, request TEXT)",
        "CREATE FUNCTION audit() RETURNS trigger AS $$ BEGIN "
        "INSERT INTO audit (lease, what, shares, request) VALUES (new.id, TG_ARGV[0], new.shares, new.request); "
        "RETURN NULL; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER audit_new AFTER INSERT ON leases FOR EACH ROW EXECUTE FUNCTION audit('begin')",
        "CREATE TRIGGER audit_end AFTER UPDATE ON leases FOR EACH ROW "
        "WHEN (old.ended IS NULL AND new.ended IS NOT NULL) EXECUTE FUNCTION audit('end')",
    ),
}


def main() -> None:
    """Run it on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the same as without")
    parser.add_argument("--seconds", type=float, default=60, help="on each database (default 60)")
    parser.add_argument("--claimants", type=int, default=200, help="processes at one time (default 200)")
    parser.add_argument("--only", choices=sorted(AUDIT), help="on this database only")
    options = parser.parse_args()
    details: dict[str, object] = {"claimants": options.claimants, "seconds": options.seconds}
    bad = 0
    for name in [options.only] if options.only else sorted(AUDIT, reverse=True):
        with database(name, options.claimants) as url, tempfile.TemporaryDirectory(prefix="judge-") as folder:
            found = measure(url, Path(folder), options.seconds, options.claimants)
        details |= {f"{name}_{key}": value for key, value in found.items()}
        bad += found["over_committed"] + found["lost"]
        print(f"{name}: {found}", flush=True)
    report("ledger_safety", bad, "over-committed instants + lost leases", "= 0", bad == 0, details)


@contextmanager
def database(name: str, claimants: int) -> Iterator[str]:
    """The URL of a new database; for PostgreSQL of a server of its own."""
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        if name == "sqlite":
            yield f"sqlite:///{folder}/ledger.db"
            return
        from tests.resources.conftest import Server, server_programs

        programs = server_programs()
        if programs is None:
            sys.exit("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
        Path(folder).chmod(0o755)
        server = Server(programs, Path(folder))
        server.start(max_connections=2 * claimants + 20)
        try:
            yield server.new_database()
        finally:
            server.stop()


def measure(url: str, folder: Path, seconds: float, claimants: int) -> dict[str, int]:
    """Let claimants loose on a new ledger for a while; what the judges found."""
    ledger = prepared(url)
    living = {_fork(url, folder, seed) for seed in range(claimants)}
    killed = _kill_at_random(living, url, folder, seconds)
    _stop(living)
    _settle(ledger)
    over_committed, leases = _added_up(url)
    said = [json.loads(line) for file in folder.glob("*.said") for line in file.read_text().splitlines()]
    conflicts = [one for one in said if one["what"] == "conflict"]
    lost = [one for one in said if one["what"] == "lost"]
    for one in conflicts + lost + [one for one in said if one["what"] == "error"]:
        print(one, flush=True)
    left = len(ledger.view().leases) + len(ledger.view().waiting)
    errors = sum(one["what"] == "error" for one in said)
    return {
        "over_committed": over_committed + len(conflicts),
        "lost": len(lost) + left + errors,
        "leases": leases,
        "killed": killed,
    }


def prepared(url: str) -> Ledger:
    """A ledger with two link groups of devices and the triggers of the audit."""
    ledger = Ledger(url, Accelerators())
    host = this_host()
    devices = [
        Device(f"{host}/gpu{i}", host, "gpu", "h100-sxm-80", 80 * GB, i, nvlink=f"{host}/{i // (DEVICES // 2)}")
        for i in range(DEVICES)
    ]
    ledger.register(Host(host, 64.0, 512 * GB, this_boot()), devices)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in AUDIT[engine.dialect.name]:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return ledger


def _kill_at_random(living: set[int], url: str, folder: Path, seconds: float) -> int:
    chance, deadline, killed = random.Random(0), time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        time.sleep(chance.expovariate(KILLS_A_SECOND))
        pid = chance.choice(sorted(living))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed += 1
        living.remove(pid)
        living.add(_fork(url, folder, 1_000_000 + killed))
    return killed


def _stop(living: set[int]) -> None:
    """Half are asked to end, half are killed: what they hold must come back either way."""
    for number, pid in enumerate(sorted(living)):
        os.kill(pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
    deadline = time.monotonic() + 30
    for pid in living:
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _settle(ledger: Ledger) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        ledger.reap()
        if not ledger.view().leases and not ledger.view().waiting:
            return
        time.sleep(0.1)


def _added_up(url: str) -> tuple[int, int]:
    """How often a device was over-committed, by the triggers' record; and the number of leases."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT lease, what, shares, request FROM audit ORDER BY number").all()
    engine.dispose()
    held: dict[str, dict[str, tuple[int, bool]]] = {}
    wrong = begun = 0
    for lease, what, shares, request in rows:
        for device, memory, _ in json.loads(shares):
            on_it = held.setdefault(device, {})
            if what == "end":
                on_it.pop(lease)
                continue
            on_it[lease] = memory, json.loads(request).get("share", False)
            alone = any(not shared for _, shared in on_it.values())
            wrong += sum(size for size, _ in on_it.values()) > 80 * GB or (alone and len(on_it) > 1)
        begun += what == "begin"
    return wrong, begun


# --- what a claimant does


def _fork(url: str, folder: Path, seed: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    _live(url, folder, seed)


def _live(url: str, folder: Path, seed: int) -> NoReturn:
    """Claim, hold and give back until somebody ends it. Never returns into the parent's code."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    code = 0
    try:
        chance, ledger = random.Random(seed), Ledger(url, Accelerators())
        turn = 0
        while not stopped:
            turn += 1
            lease = _claimed(ledger, _request(chance, f"{seed}-{turn}"), stopped)
            if lease is not None:
                _hold(ledger, lease, chance, folder)
    except BaseException as error:  # the parent has to hear of whatever it was
        _say(folder, "error", repr(error))
        code = 1
    os._exit(code)


def _request(chance: random.Random, run_id: str) -> Waiting:
    kind = chance.random()
    if kind < 0.7:
        request = {"pool": "share", "memory": chance.randint(1, 40) * GB, "share": True}
    elif kind < 0.9:
        request = {"pool": "alone", "memory": chance.randint(1, 80) * GB}
    else:
        request = {"pool": "gang", "memory": chance.choice((160, 240, 320)) * GB, "linked": "nvlink"}
    tenant = chance.choice("abc")
    priority, launcher = chance.randint(0, 3), this_host()
    asked = Request(**request, tenant=tenant, priority=priority, launcher=launcher)
    return Waiting(run_id, "step", asked, time.time(), "claiming")


def _claimed(ledger: Ledger, waiting: Waiting, stopped: list[int]) -> Lease | None:
    while not stopped:
        seen = ledger.changes()
        lease = ledger.claim(waiting)
        if lease is not None:
            return lease
        ledger.wait_for_change(seen, 1.0)
    ledger.withdraw(waiting.run_id)
    ledger.release(waiting.run_id)  # it may have been granted in the last moment
    return None


def _hold(ledger: Ledger, lease: Lease, chance: random.Random, folder: Path) -> None:
    locks = [_lock(folder, lease, share.device) for share in lease.shares]
    rank = _rank(lease, locks) if chance.random() < 0.05 else None
    time.sleep(chance.expovariate(1 / 0.05))
    if ledger.lease(lease.id) is None:
        _say(folder, "lost", lease.id)
    if rank is not None:
        rank.kill()
        rank.wait()
    for lock in locks:
        os.close(lock)
    ledger.release(lease.run_id, lease.step_key)


def _lock(folder: Path, lease: Lease, device: str) -> int:
    """The kernel's opinion: whether the device can be held as the lease says."""
    descriptor = os.open(folder / f"{device.replace('/', '-')}.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if lease.shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        _say(folder, "conflict", f"{device} {lease.id}")
    return descriptor


def _rank(lease: Lease, locks: list[int]) -> subprocess.Popen[bytes]:
    """A process in a session of its own, which outlives its parent and keeps the locks."""
    environment = {LEASE_VARIABLE: lease.id}
    return subprocess.Popen(
        [shutil.which("sleep") or "sleep", "600"], env=environment, pass_fds=locks, start_new_session=True
    )


def _say(folder: Path, what: str, text: str) -> None:
    with (folder / f"{os.getpid()}.said").open("a") as file:
        file.write(json.dumps({"what": what, "text": text}) + "\n")


if __name__ == "__main__":
    main()

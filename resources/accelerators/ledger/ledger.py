"""The one truth about who holds which device and who waits: SQLite on one host, PostgreSQL for several.

Every decision is one transaction. What it decides is a pure function (`deciding/decide.py`) of a `State` that equals
the rows; a process keeps that state and reads only the rows that changed since.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from resources.accelerators.catalogue import catalogue
from resources.accelerators.configuration import Accelerators, load_accelerators
from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.explain import check_possible
from resources.accelerators.deciding.limits import check_limits
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.errors import ImpossibleRequest, LeaseLost, LedgerError
from resources.accelerators.leases import Lease
from resources.accelerators.ledger import history, queue, registration, strays
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.liveness import alive, this_host, this_process
from resources.accelerators.ledger.mirror import Mirror
from resources.accelerators.ledger.reaping import LAST_SECONDS, Reaper, bury, others
from resources.accelerators.ledger.records import Past, Reaped, Registration
from resources.accelerators.ledger.settling import settle
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.placement.policy import policy_of
from resources.accelerators.requests import Process, Waiting

POLL_SECONDS = 0.1  # between two looks at the change counter; one costs some 30 µs
VISIT_SECONDS = 1.0
SHOW_SECONDS = 15.0
REAPED = "reaped/"  # before a host's name, in the table of visits
Named = TypeVar("Named", Lease, Waiting)
_open: dict[str, Ledger] = {}
_opening = threading.Lock()


class Ledger:
    """One ledger. Threads of a process may share it; after a fork the child goes on with a connection of its own.

    Every method may raise `LedgerError`: the ledger is locked, damaged, read-only, or gone. Then nothing was decided,
    or it was decided whole: asking again is safe.

    Args:
        url: SQLAlchemy URL: `sqlite:////path/ledger.db` or `postgresql://user:password@host/database`.
        accelerators: the rules: tenants' shares, the order of the queue, pre-emption, the placement policy.

    Raises:
        LedgerError: it was made by a newer version, or cannot be opened.
    """

    def __init__(self, url: str, accelerators: Accelerators) -> None:
        self.accelerators = accelerators
        self._database = Database(url)
        self._mirror = Mirror(Rules.of(accelerators))
        self._policy = policy_of(accelerators.policy, catalogue())
        self._reaper = Reaper()
        self._next_visit = 0.0
        self._view: tuple[int, State] | None = None
        self._checked: dict[str, int] = {}  # request to the inventory on which it was found possible
        self._renewed: dict[str, float] = {}  # lease or request to when it was last shown to live; boot time

    # --- devices

    def register(self, host: Host, devices: Sequence[Device]) -> Registration:
        """Make this the inventory that `host` has registered.

        A device that it registered before and does not name now becomes `lost`; its leases are reported, not ended.
        A device that an operator drained stays drained.
        """
        with self._writing(durable=True) as transaction:
            done = registration.register(transaction, host, devices)
            history.forget_oldest(transaction)
            settle(transaction, self._policy)
            return done

    def registered(self, host: str) -> Host | None:
        """The host of that name, if it has registered its inventory."""
        with self._reading() as state:
            return state.hosts.get(host)

    def drain(self, device_id: str, reason: str) -> None:
        """Grant nothing more on a device; its leases go on. Raises LookupError for a device that is not there."""
        self._change_device(device_id, lambda transaction: registration.drain(transaction, device_id, reason))

    def undrain(self, device_id: str) -> None:
        """Grant on the device again. Raises LookupError for a device that is not there."""
        self._change_device(device_id, lambda transaction: registration.drain(transaction, device_id, None))

    def set_foreign(self, device_id: str, memory: int) -> None:
        """Bytes of a device that processes without a lease hold. Raises LookupError for an unknown device."""
        self._change_device(device_id, lambda transaction: registration.set_foreign(transaction, device_id, memory))

    # --- requests that wait

    def sync_queue(
        self,
        queued: Sequence[Waiting],
        starting: Sequence[Waiting],
        *,
        alive_runs: Collection[str],
        source: str = "",
    ) -> None:
        """Make the ledger's requests of runs that have no process yet equal to Dagster's queue.

        Args:
            queued: first requests of runs that stand in the queue.
            starting: of runs that were taken from it and have not asked yet.
            alive_runs: runs that have not ended; requests of others are dropped, unless a live process asks for them.
            source: which Dagster instance this is the queue of; requests of other sources are left alone.
        """
        wanted = [
            *(replace(one, stage="queued") for one in queued),
            *(replace(one, stage="starting") for one in starting),
        ]
        with self._writing() as transaction:
            queue.sync(transaction, wanted, alive_runs, source)
            if transaction.changed:
                settle(transaction, self._policy)

    def claim(self, waiting: Waiting) -> Lease | None:
        """Ask for devices; ask again until there is a lease. Asking twice gives the same lease.

        Args:
            waiting: its claimant is this process where none is named; the claimant becomes the lease's first holder.

        Returns:
            The lease; None while it has to wait. `wait_for_change` says when it is worth asking again.

        Raises:
            ImpossibleRequest: no state of the devices could ever satisfy it.
            RequestError: its priority is above what its tenant may ask for.
        """
        waiting = replace(waiting, stage="claiming", claimant=waiting.claimant or this_process())
        check_limits(waiting.request, self._mirror.state.rules)
        self._visit()
        with self._database.lock:
            with self._reading() as state:
                lease, known = self._mirror.held(waiting.run_id, waiting.step_key), state.waiting.get(waiting.id)
            if lease and waiting.claimant in lease.holders:
                return lease
            if lease and not any(alive(holder) is not False for holder in lease.holders):
                self.reap()  # what an earlier process of this step has left is ended first
            elif lease is None and known and _same_claim(known, waiting) and self._is_possible(state, waiting):
                self._show_waiting(waiting.id)
                return None
            return self._ask(waiting)

    def withdraw(self, run_id: str, step_key: str | None = None) -> None:
        """A request, or every request of a run, is not wanted any more."""
        with self._writing() as transaction:
            for waiting in _of(transaction.state.waiting.values(), run_id, step_key):
                transaction.end_waiting(waiting.id, "withdrawn")
            if transaction.changed:
                settle(transaction, self._policy)

    def startable(self, pool: str | None = None) -> list[Waiting]:
        """Requests of queued and starting runs that would be granted at once, in their order."""
        self._visit()
        with self._reading() as state:
            decision = decide(state, self._clock(), self._policy)
            offered = [state.waiting[waiting_id] for waiting_id in decision.offered]
        return [waiting for waiting in offered if pool in (None, waiting.request.pool)]

    # --- leases

    def release(self, run_id: str, step_key: str | None = None, *, by: Process | None = None) -> None:
        """Give back a step's lease, or every lease of a run.

        It is free at once, unless a holder other than its claimant and `by` (default: this process) lives, or a
        process that carries its id: then it is `ending`, and free when they are gone.
        """
        by = by or this_process()
        with self._reading() as state:
            if not _of(state.leases.values(), run_id, step_key):
                return
        carried = strays.marked()
        with self._writing() as transaction:
            for lease in _of(transaction.state.leases.values(), run_id, step_key):
                _give_back(transaction, lease, by, carried.get(lease.id, ()))
            if transaction.changed:
                settle(transaction, self._policy)

    def lease_of(self, run_id: str, step_key: str) -> Lease | None:
        """The live lease of a step."""
        with self._reading() as state:
            found = _of(state.leases.values(), run_id, step_key)
            return self._mirror.held(run_id, step_key) or (found[0] if found else None)

    def lease(self, lease_id: str) -> Lease | None:
        """The live lease of that id; None if it has ended, or never was."""
        with self._reading() as state:
            return state.leases.get(lease_id)

    def attach(self, lease_id: str, process: Process) -> None:
        """The lease is not free while this process lives. Raises LeaseLost."""
        with self._writing() as transaction:
            lease = _living(transaction.state, lease_id)
            if process not in lease.holders:
                transaction.set_lease(replace(lease, holders=(*lease.holders, process)))

    def detach(self, lease_id: str, process: Process) -> None:
        """The process holds the lease no more. Its claimant keeps it until it is released."""
        with self._writing() as transaction:
            lease = transaction.state.leases.get(lease_id)
            if lease and process in others(lease):
                holders = lease.holders[: -len(others(lease))] + tuple(one for one in others(lease) if one != process)
                transaction.set_lease(replace(lease, holders=holders))

    def renew(self, lease_id: str) -> Lease:
        """Show other hosts that its holder lives; call it every 15 s or so. `preempt_at` says whether to end.

        Raises:
            LeaseLost: it is not held any more, or has not been renewable for so long that another host may soon take
                its holder for dead. End its processes.
        """
        try:
            with self._writing() as transaction:
                lease = _living(transaction.state, lease_id)
                transaction.database.run("UPDATE leases SET beat = beat + 1 WHERE id = ?", (lease_id,))
        except LedgerError as error:
            silent = boot_clock() - self._renewed.setdefault(lease_id, boot_clock())
            if self._database.sqlite or silent < LAST_SECONDS:
                raise
            raise LeaseLost(
                f"lease {lease_id} could not be renewed for {silent:.0f} s: {error}. End its processes: "
                "another host may soon take them for dead"
            ) from error
        self._renewed[lease_id] = boot_clock()
        return lease

    def report_use(self, lease_id: str, *, peak_memory: int) -> None:
        """The most bytes that its processes have used together; a lower figure than before changes nothing."""
        with self._writing() as transaction:
            transaction.database.run(
                "UPDATE leases SET peak_memory = ? WHERE id = ? AND coalesce(peak_memory, -1) < ?",
                (peak_memory, lease_id, peak_memory),
            )

    def reap(self) -> Reaped:
        """Free what the dead held, end what has outlived its lease, forget who asks no more.

        `claim`, `view` and `startable` do it by themselves, at most once a second on a host.
        """
        with self._database.lock:
            with self._reading():
                findings = self._reaper.look(self._database, self._mirror, self._clock())
            with self._writing() as transaction:
                reaped = bury(transaction, findings)
                settle(transaction, self._policy)
                transaction.database.run(queue.NOTED, (REAPED + this_host(), transaction.now))
            self._next_visit = time.monotonic() + VISIT_SECONDS
            return reaped

    # --- looking

    def view(self) -> State:
        """The ledger's present state, for reading: it does not change under the reader."""
        self._visit()
        with self._reading():
            if self._view is None or self._view[0] != self._mirror.changes:
                self._view = self._mirror.changes, self._mirror.copy()
            return self._view[1]

    def changes(self) -> int:
        """A number that grows with every change of a device, a request or a lease."""
        with self._database.lock:
            return self._database.changes()

    def wait_for_change(self, since: int, seconds: float) -> bool:
        """Wait until `changes()` differs from `since`, at most `seconds`. Returns whether it does."""
        deadline = time.monotonic() + seconds
        while self.changes() == since:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_SECONDS, left))
        return True

    def history(self, since: float, until: float) -> list[Past]:
        """Leases, live and ended, that held devices at some time in the period; seconds since the epoch."""
        with self._database.lock, self._database.transaction(write=False):
            return history.read(self._database, since, until)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._database.close()

    def _ask(self, waiting: Waiting) -> Lease | None:
        """Join those that wait, or take what is held for this step already."""
        with self._writing() as transaction:
            if lease := self._mirror.held(waiting.run_id, waiting.step_key):
                return _joined(transaction, lease, waiting)
            check_possible(transaction.state, waiting.request)
            self._checked[waiting.id] = self._mirror.inventory
            known = transaction.state.waiting.get(waiting.id)
            reserved = known.reserved if known else ()
            transaction.put_waiting(replace(waiting, reserved=reserved))
            settle(transaction, self._policy)
            return self._mirror.held(waiting.run_id, waiting.step_key)

    def _is_possible(self, state: State, waiting: Waiting) -> bool:
        """Whether it still is on the present inventory. One that is not any more is withdrawn, and refused."""
        if self._checked.get(waiting.id) != self._mirror.inventory:
            try:
                check_possible(state, waiting.request)
            except ImpossibleRequest:
                self.withdraw(waiting.run_id, waiting.step_key)
                raise
            self._checked[waiting.id] = self._mirror.inventory
        return True

    def _show_waiting(self, waiting_id: str) -> None:
        """Let other hosts know, now and then, that its claimant lives."""
        if boot_clock() - self._renewed.get(waiting_id, 0.0) > SHOW_SECONDS:
            with self._writing() as transaction:
                transaction.database.run("UPDATE waiting SET beat = beat + 1 WHERE id = ?", (waiting_id,))
            self._renewed[waiting_id] = boot_clock()

    def _visit(self) -> None:
        """Look for the dead, and decide anew as time has passed; once a second on a host, whoever does it."""
        if time.monotonic() < self._next_visit:
            return
        self._next_visit = time.monotonic() + VISIT_SECONDS
        with self._database.lock, self._database.plainly():
            found = self._database.rows("SELECT visited_at FROM visits WHERE name = ?", (REAPED + this_host(),))
            if found and 0 <= self._clock() - found[0][0] < VISIT_SECONDS:
                return
        self.reap()

    def _clock(self) -> float:
        with self._database.plainly():
            return self._database.clock()

    def _change_device(self, device_id: str, change: Callable[[Transaction], None]) -> None:
        with self._writing(durable=True) as transaction:
            if device_id not in transaction.state.devices:
                known = ", ".join(sorted(transaction.state.devices)) or "none"
                raise LookupError(f"ledger: no device '{device_id}'; registered: {known}")
            change(transaction)
            settle(transaction, self._policy)

    @contextmanager
    def _reading(self) -> Iterator[State]:
        """The state as it is now; it holds still while this thread is in here."""
        with self._database.lock:
            if self._database.changes() != self._mirror.changes:
                try:
                    with self._database.transaction(write=False):
                        self._mirror.refresh(self._database)
                except BaseException:
                    self._mirror.forget()
                    raise
            yield self._mirror.state

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        """One transaction, alone among all writers."""
        with self._database.lock:
            transaction = None
            try:
                with self._database.transaction(write=True, durable=durable):
                    transaction = Transaction(self._database, self._mirror)
                    yield transaction
                    transaction.finish()
            except BaseException:
                if transaction is None or transaction.changed:
                    self._mirror.forget()
                raise


def open_ledger(file: Path | None = None) -> Ledger:
    """The ledger of `accelerators.yml`; one for each URL and process.

    Raises:
        ConfigError: the file cannot be understood.
        LedgerError: the ledger cannot be opened.
    """
    accelerators = load_accelerators(file)
    url = accelerators.ledger_url
    with _opening:
        if url not in _open or _open[url].accelerators is not accelerators:
            _open[url] = Ledger(url, accelerators)
        return _open[url]


def boot_clock() -> float:
    """Seconds since the boot, those of a suspended machine included: a lease must not outlive a sleep unnoticed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _same_claim(known: Waiting, waiting: Waiting) -> bool:
    return (known.stage, known.claimant, known.request) == (waiting.stage, waiting.claimant, waiting.request)


def _of(things: Iterable[Named], run_id: str, step_key: str | None) -> list[Named]:
    return [thing for thing in things if thing.run_id == run_id and step_key in (None, thing.step_key)]


def _living(state: State, lease_id: str) -> Lease:
    lease = state.leases.get(lease_id)
    if lease is None or lease.state == "ending":
        raise LeaseLost(
            f"lease {lease_id} is not held any more: it was given back, pre-empted, or its holder was dead"
        )
    return lease


def _joined(transaction: Transaction, lease: Lease, waiting: Waiting) -> Lease:
    """The step's lease, asked for by another process: of the same run, or of a run that goes on after a crash."""
    if waiting.claimant and waiting.claimant not in lease.holders:
        first, *rest = lease.holders
        takes_over = alive(first) is False
        holders = (waiting.claimant, *rest) if takes_over else (*lease.holders, waiting.claimant)
        lease = replace(lease, holders=holders)
        transaction.set_lease(lease)
    return lease


def _give_back(transaction: Transaction, lease: Lease, by: Process, carried: Sequence[Process]) -> None:
    rest = tuple(holder for holder in others(lease) if holder != by)
    if carried or any(alive(holder) is not False for holder in rest):
        transaction.set_lease(replace(lease, state="ending", holders=rest))
    else:
        transaction.end_lease(lease, "released" if lease.preempt_at is None else "preempted")

"""The one truth about who holds which device and who waits: SQLite on one host, PostgreSQL for several.

Every decision is one transaction. What it decides is a pure function (`deciding/decide.py`) of a `State` that equals
the rows; a process keeps that state and reads only the rows that changed since.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from resources.accelerators.configuration import Accelerators, load_accelerators
from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.errors import LeaseLost, LedgerError
from resources.accelerators.leases import Lease
from resources.accelerators.ledger import history, queue, registration, strays
from resources.accelerators.ledger.claims import Claims
from resources.accelerators.ledger.holding import attach, detach, give_back, held
from resources.accelerators.ledger.liveness import boot_clock, this_process
from resources.accelerators.ledger.reaping import LAST_SECONDS
from resources.accelerators.ledger.records import Past, Reaped, Registration
from resources.accelerators.ledger.store import Store
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.ledger.visits import Visits
from resources.accelerators.placement.policy import Policy
from resources.accelerators.requests import Process, Waiting

POLL_SECONDS = 0.1  # between two looks at the change counter; one costs some 30 µs
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
        self._store = Store(url, accelerators)
        self._visits = Visits(self._store)
        self._claims = Claims(self._store, self._visits)
        self._view: tuple[int, State] | None = None
        self._renewed: dict[str, float] = {}  # lease to when this process last renewed it

    @property
    def policy(self) -> Policy:
        """How it chooses a device."""
        return self._store.policy

    # --- devices

    def register(self, host: Host, devices: Sequence[Device]) -> Registration:
        """Make this the inventory that `host` has registered.

        A device that it registered before and does not name now becomes `lost`; its leases are reported, not ended.
        A device that an operator drained stays drained.
        """
        with self._store.writing(durable=True) as transaction:
            done = registration.register(transaction, host, devices)
            history.forget_oldest(transaction)
            return done

    def registered(self, host: str) -> Host | None:
        """The host of that name, if it has registered its inventory."""
        with self._store.reading() as state:
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
        wanted = [replace(one, stage="queued") for one in queued] + [
            replace(one, stage="starting") for one in starting
        ]
        with self._store.writing() as transaction:
            queue.sync(transaction, wanted, alive_runs, source)

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
        return self._claims.claim(waiting)

    def withdraw(self, run_id: str, step_key: str | None = None) -> None:
        """A request, or every request of a run, is not wanted any more."""
        with self._store.writing() as transaction:
            for waiting in list(transaction.state.waiting.values()):
                if waiting.run_id == run_id and step_key in (None, waiting.step_key):
                    transaction.end_waiting(waiting.id, "withdrawn")

    def startable(self, pool: str | None = None) -> list[Waiting]:
        """Requests of queued and starting runs that would be granted at once, in their order."""
        self._visits.visit()
        with self._store.reading() as state:
            decision = decide(state, self._store.clock(), self._store.policy)
            offered = [state.waiting[waiting_id] for waiting_id in decision.offered]
        return [waiting for waiting in offered if pool in (None, waiting.request.pool)]

    # --- leases

    def release(self, run_id: str, step_key: str | None = None, *, by: Process | None = None) -> None:
        """Give back a step's lease, or every lease of a run.

        It is free at once, unless a holder other than its claimant and `by` (default: this process) lives, or a
        process that carries its id: then it is `ending`, and free when they are gone.
        """
        by = by or this_process()
        with self._store.reading():
            if not self._store.mirror.leases_of(run_id, step_key):
                return
        carried = strays.marked()
        with self._store.writing() as transaction:
            for lease in transaction.mirror.leases_of(run_id, step_key):
                give_back(transaction, lease, by, carried.get(lease.id, ()))

    def lease_of(self, run_id: str, step_key: str) -> Lease | None:
        """The live lease of a step."""
        with self._store.reading():
            mirror = self._store.mirror
            return mirror.held(run_id, step_key) or next(iter(mirror.leases_of(run_id, step_key)), None)

    def lease(self, lease_id: str) -> Lease | None:
        """The live lease of that id; None if it has ended, or never was."""
        with self._store.reading() as state:
            return state.leases.get(lease_id)

    def attach(self, lease_id: str, process: Process) -> None:
        """The lease is not free while this process lives. Raises LeaseLost."""
        with self._store.writing(settled=False) as transaction:
            attach(transaction, lease_id, process)

    def detach(self, lease_id: str, process: Process) -> None:
        """The process holds the lease no more. Its claimant keeps it until it is released."""
        with self._store.writing(settled=False) as transaction:
            detach(transaction, lease_id, process)

    def renew(self, lease_id: str) -> Lease:
        """Show other hosts that its holder lives; call it every 15 s or so. `preempt_at` says whether to end.

        Raises:
            LeaseLost: it is not held any more, or has not been renewable for so long that another host may soon take
                its holder for dead. End its processes.
        """
        try:
            with self._store.writing(settled=False) as transaction:
                lease = held(transaction.state, lease_id)
                transaction.database.run("UPDATE leases SET beat = beat + 1 WHERE id = ?", (lease_id,))
        except LedgerError as error:
            silent = boot_clock() - self._renewed.setdefault(lease_id, boot_clock())
            if self._store.database.sqlite or silent < LAST_SECONDS:
                raise  # on one host nobody takes the silent for dead
            raise LeaseLost(
                f"lease {lease_id} could not be renewed for {silent:.0f} s: {error}. End its processes: "
                "another host may soon take them for dead"
            ) from error
        self._renewed[lease_id] = boot_clock()
        return lease

    def report_use(self, lease_id: str, *, peak_memory: int) -> None:
        """The most bytes that its processes have used together; a lower figure than before changes nothing."""
        with self._store.writing(settled=False) as transaction:
            transaction.database.run(
                "UPDATE leases SET peak_memory = ? WHERE id = ? AND coalesce(peak_memory, -1) < ?",
                (peak_memory, lease_id, peak_memory),
            )

    def reap(self) -> Reaped:
        """Free what the dead held, end what has outlived its lease, forget who asks no more.

        `claim`, `view` and `startable` do it by themselves, at most once a second on a host.
        """
        return self._visits.reap()

    # --- looking

    def view(self) -> State:
        """The ledger's present state, for reading: it does not change under the reader."""
        self._visits.visit()
        with self._store.reading():
            mirror = self._store.mirror
            if self._view is None or self._view[0] != mirror.changes:
                self._view = mirror.changes, mirror.copy()
            return self._view[1]

    def changes(self) -> int:
        """A number that grows with every change of a device, a request or a lease."""
        with self._store.database.lock:
            return self._store.database.changes()

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
        database = self._store.database
        with database.lock, database.transaction(write=False):
            return history.read(database, since, until)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._store.database.close()

    def _change_device(self, device_id: str, change: Callable[[Transaction], None]) -> None:
        with self._store.writing(durable=True) as transaction:
            if device_id not in transaction.state.devices:
                known = ", ".join(sorted(transaction.state.devices)) or "none"
                raise LookupError(f"ledger: no device '{device_id}'; registered: {known}")
            change(transaction)


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

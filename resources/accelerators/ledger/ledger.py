"""The one truth about who holds which device and who waits: SQLite on one host, PostgreSQL for several.

Every decision is one transaction. What it decides is a pure function (`deciding/decide.py`) of a `State` that equals
the rows; a process keeps that state and reads only the rows that changed since.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.records import Past, Reaped, Registration
from resources.accelerators.requests import Process, Waiting

if TYPE_CHECKING:
    from resources.accelerators.deciding.state import State


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
        raise NotImplementedError

    # --- devices

    def register(self, host: Host, devices: Sequence[Device]) -> Registration:
        """Make this the inventory that `host` has registered.

        A device that it registered before and does not name now becomes `lost`; its leases are reported, not ended.
        A device that an operator drained stays drained.
        """
        raise NotImplementedError

    def registered(self, host: str) -> Host | None:
        """The host of that name, if it has registered its inventory."""
        raise NotImplementedError

    def drain(self, device_id: str, reason: str) -> None:
        """Grant nothing more on a device; its leases go on. Raises LookupError for a device that is not there."""
        raise NotImplementedError

    def undrain(self, device_id: str) -> None:
        """Grant on the device again. Raises LookupError for a device that is not there."""
        raise NotImplementedError

    def set_foreign(self, device_id: str, memory: int) -> None:
        """Bytes of a device that processes without a lease hold. Raises LookupError for an unknown device."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    def withdraw(self, run_id: str, step_key: str | None = None) -> None:
        """A request, or every request of a run, is not wanted any more."""
        raise NotImplementedError

    def startable(self, pool: str | None = None) -> list[Waiting]:
        """Requests of queued and starting runs that would be granted at once, in their order."""
        raise NotImplementedError

    # --- leases

    def release(self, run_id: str, step_key: str | None = None, *, by: Process | None = None) -> None:
        """Give back a step's lease, or every lease of a run.

        It is free at once, unless a holder other than its claimant and `by` (default: this process) lives, or a
        process that carries its id: then it is `ending`, and free when they are gone.
        """
        raise NotImplementedError

    def lease_of(self, run_id: str, step_key: str) -> Lease | None:
        """The live lease of a step."""
        raise NotImplementedError

    def lease(self, lease_id: str) -> Lease | None:
        """The live lease of that id; None if it has ended, or never was."""
        raise NotImplementedError

    def attach(self, lease_id: str, process: Process) -> None:
        """The lease is not free while this process lives. Raises LeaseLost."""
        raise NotImplementedError

    def detach(self, lease_id: str, process: Process) -> None:
        """The process holds the lease no more."""
        raise NotImplementedError

    def renew(self, lease_id: str) -> Lease:
        """Show other hosts that its holder lives; call it every 15 s or so. `preempt_at` says whether to end.

        Raises:
            LeaseLost: it is not held any more, or has not been renewable for so long that another host may soon take
                its holder for dead. End its processes.
        """
        raise NotImplementedError

    def report_use(self, lease_id: str, *, peak_memory: int) -> None:
        """The most bytes that its processes have used together; a lower figure than before changes nothing."""
        raise NotImplementedError

    def reap(self) -> Reaped:
        """Free what the dead held, end what has outlived its lease, forget who asks no more.

        `claim`, `view` and `startable` do it by themselves, at most once a second on a host.
        """
        raise NotImplementedError

    # --- looking

    def view(self) -> State:
        """The ledger's present state, for reading: it does not change under the reader."""
        raise NotImplementedError

    def changes(self) -> int:
        """A number that grows with every change of a device, a request or a lease."""
        raise NotImplementedError

    def wait_for_change(self, since: int, seconds: float) -> bool:
        """Wait until `changes()` differs from `since`, at most `seconds`. Returns whether it does."""
        raise NotImplementedError

    def history(self, since: float, until: float) -> list[Past]:
        """Leases, live and ended, that held devices at some time in the period; seconds since the epoch."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        raise NotImplementedError


def open_ledger(file: Path | None = None) -> Ledger:
    """The ledger of `accelerators.yml`; one for each URL and process.

    Raises:
        ConfigError: the file cannot be understood.
        LedgerError: the ledger cannot be opened.
    """
    raise NotImplementedError

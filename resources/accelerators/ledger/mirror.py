"""What this process knows of the rows. It is refreshed by reading those that were written since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.ledger import rows
from resources.accelerators.ledger.database import Database
from resources.accelerators.requests import Waiting


def _written_since(columns: str, table: str) -> str:
    return f"SELECT {columns} FROM {table} WHERE version > ?"  # noqa: S608  (names of ours)


def _alive(columns: str, table: str) -> str:
    return f"SELECT {columns}, ended FROM {table} WHERE ended IS NULL"  # noqa: S608


HOSTS = _written_since(rows.HOST, "hosts")
DEVICES = _written_since(rows.DEVICE, "devices")
WAITING = _written_since(f"{rows.WAITING}, ended", "waiting")
LEASES = _written_since(f"{rows.LEASE}, ended", "leases")
ALIVE_WAITING = _alive(rows.WAITING, "waiting")
ALIVE_LEASES = _alive(rows.LEASE, "leases")


class Mirror:
    """The rows as a `State`, with the number of the change up to which it is true.

    Attributes:
        state: what decisions are made on.
        changes: of the ledger, when the state was last refreshed; -1: nothing was read yet.
        marked: ids of waiting requests that were offered devices, or have some reserved.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._held: dict[tuple[str, str], str] = {}
        self._of_run: dict[str, set[str]] = {}
        self.forget()

    def forget(self) -> None:
        """Trust nothing that was read: a transaction failed half-way."""
        self.state = State(self._rules)
        self.changes = -1
        self.marked: set[str] = set()
        self._held.clear()
        self._of_run.clear()

    def refresh(self, database: Database) -> None:
        """Read what has changed. Within a transaction: else the tables may be of different moments."""
        changes, forgotten = database.rows("SELECT changes, forgotten FROM counter")[0]
        if changes == self.changes:
            return
        if self.changes < forgotten or self.changes > changes:
            self.forget()  # rows that this process has yet to hear of are deleted, or the ledger was made anew
        known, since = self.changes >= 0, (self.changes,)
        self._read_inventory(database, since)
        for row in database.rows(WAITING, since) if known else database.rows(ALIVE_WAITING):
            self._take_waiting(row)
        for row in database.rows(LEASES, since) if known else database.rows(ALIVE_LEASES):
            self._take_lease(row)
        self.changes = changes

    def copy(self) -> State:
        """A state that does not change any more."""
        state = State(self._rules)
        for host in self.state.hosts.values():
            state.put_host(host)
        for device in self.state.devices.values():
            state.put_device(device)
        for waiting in self.state.waiting.values():
            state.put_waiting(waiting)
        for lease in self.state.leases.values():
            state.put_lease(lease)
        return state

    def held(self, run_id: str, step_key: str) -> Lease | None:
        """The lease of a step that was not given back yet."""
        lease_id = self._held.get((run_id, step_key))
        return self.state.leases[lease_id] if lease_id else None

    def leases_of(self, run_id: str, step_key: str | None = None) -> list[Lease]:
        """The live leases of a run or of one of its steps."""
        leases = [self.state.leases[lease_id] for lease_id in self._of_run.get(run_id, ())]
        return [lease for lease in leases if step_key in (None, lease.step_key)]

    def put_host(self, host: Host) -> None:
        self.state.put_host(host)

    def put_device(self, device: Device) -> None:
        self.state.put_device(device)

    def put_waiting(self, waiting: Waiting) -> None:
        self.state.put_waiting(waiting)
        if waiting.offered is not None or waiting.reserved:
            self.marked.add(waiting.id)
        else:
            self.marked.discard(waiting.id)

    def drop_waiting(self, waiting_id: str) -> None:
        self.state.drop_waiting(waiting_id)
        self.marked.discard(waiting_id)

    def put_lease(self, lease: Lease) -> None:
        self.state.put_lease(lease)
        self._of_run.setdefault(lease.run_id, set()).add(lease.id)
        key = lease.run_id, lease.step_key
        if lease.state == "held":
            self._held[key] = lease.id
        elif self._held.get(key) == lease.id:
            del self._held[key]

    def drop_lease(self, lease: Lease) -> None:
        self.state.drop_lease(lease.id)
        left = self._of_run[lease.run_id]
        left.discard(lease.id)
        if not left:
            del self._of_run[lease.run_id]
        if self._held.get((lease.run_id, lease.step_key)) == lease.id:
            del self._held[lease.run_id, lease.step_key]

    def _read_inventory(self, database: Database, since: tuple[int]) -> None:
        for row in database.rows(HOSTS, since):
            self.put_host(rows.read_host(row))
        for row in database.rows(DEVICES, since):
            self.put_device(rows.read_device(row))

    def _take_waiting(self, row: Sequence[Any]) -> None:
        if row[-1] is None:
            self.put_waiting(rows.read_waiting(row))
        else:
            self.drop_waiting(f"{row[0]}/{row[1]}")

    def _take_lease(self, row: Sequence[Any]) -> None:
        if row[-1] is None:
            self.put_lease(rows.read_lease(row))
        elif known := self.state.leases.get(row[0]):
            self.drop_lease(known)

"""What a decision writes: each change goes to the rows and to this process's mirror of them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.ledger import rows
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.mirror import Mirror
from resources.accelerators.ledger.records import Outcome
from resources.accelerators.requests import Waiting


def _upsert(table: str, key: str, columns: str) -> str:
    names = [name.strip() for name in columns.split(",")]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    marks = ", ".join("?" for _ in names)
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changes}"  # noqa: S608


PUT_HOST = _upsert("hosts", "name", f"{rows.HOST}, version")
PUT_DEVICE = _upsert("devices", "id", f"{rows.DEVICE}, drained, registered_by, version")
PUT_WAITING = _upsert("waiting", "id", f"id, {rows.WAITING}, source, beat, ended, version")
MARK_WAITING = "UPDATE waiting SET offered = ?, reserved = ?, version = ? WHERE id = ?"
END_WAITING = "UPDATE waiting SET ended = ?, version = ? WHERE id = ?"
PUT_LEASE = _upsert("leases", "id", f"{rows.LEASE}, beat, version")
SET_LEASE = "UPDATE leases SET holders = ?, state = ?, preempt_at = ?, version = ? WHERE id = ?"
END_LEASE = "UPDATE leases SET ended = ?, outcome = ?, version = ? WHERE id = ?"


class Transaction:
    """One write transaction on a ledger, whose mirror is up to date.

    Attributes:
        database, mirror: what it writes to.
        now: seconds since the epoch; the same throughout.
        version: the number of the change that it makes.
        changed: whether it has written anything that others must hear of.
    """

    def __init__(self, database: Database, mirror: Mirror) -> None:
        mirror.refresh(database)
        self.database, self.mirror = database, mirror
        self.now = database.clock()
        self.version = mirror.changes + 1
        self.changed = False

    @property
    def state(self) -> State:
        """The rows, with what this transaction has changed."""
        return self.mirror.state

    def finish(self) -> None:
        """Count the change, so that the others read it."""
        if self.changed:
            self.database.run("UPDATE counter SET changes = ?", (self.version,))
            self.mirror.changes = self.version

    def put_host(self, host: Host) -> None:
        self._run(PUT_HOST, (*rows.host_row(host), self.version))
        self.mirror.put_host(host)

    def put_device(self, device: Device, drained: str | None, registered_by: str) -> None:
        self._run(PUT_DEVICE, (*rows.device_row(device), drained, registered_by, self.version))
        self.mirror.put_device(device)

    def put_waiting(self, waiting: Waiting, *, source: str | None = None) -> None:
        """Add or replace a request. One that has waited under this id before keeps the time of its first asking."""
        before = self.database.rows("SELECT submitted FROM waiting WHERE id = ?", (waiting.id,))
        if before and before[0][0] < waiting.submitted:
            waiting = replace(waiting, submitted=before[0][0])
        values = (waiting.id, *rows.waiting_row(waiting), source, self.version, None, self.version)
        self._run(PUT_WAITING, values)
        self.mirror.put_waiting(waiting)

    def mark_waiting(self, marked: Sequence[Waiting]) -> None:
        """Note what is kept free for requests: their `offered` and `reserved` are others now."""
        if marked:
            self.changed = True
            values = [(one.offered, rows.reserved_text(one), self.version, one.id) for one in marked]
            self.database.run_many(MARK_WAITING, values)
        for one in marked:
            self.mirror.put_waiting(one)

    def end_waiting(self, waiting_id: str, why: str) -> None:
        """It waits no more: `granted`, `withdrawn` or `dropped`."""
        self._run(END_WAITING, (why, self.version, waiting_id))
        self.mirror.drop_waiting(waiting_id)

    def put_lease(self, lease: Lease) -> None:
        """A new lease."""
        self._run(PUT_LEASE, (*rows.lease_row(lease), self.version, self.version))
        self.mirror.put_lease(lease)

    def set_lease(self, lease: Lease) -> None:
        """A lease's holders, state or time of pre-emption are others now."""
        row = rows.lease_row(lease)
        self._run(SET_LEASE, (*row[8:11], self.version, lease.id))
        self.mirror.put_lease(lease)

    def end_lease(self, lease: Lease, outcome: Outcome) -> None:
        """Its devices are free."""
        self._run(END_LEASE, (self.now, outcome, self.version, lease.id))
        self.mirror.drop_lease(lease)

    def _run(self, sql: str, values: tuple[Any, ...]) -> None:
        self.changed = True
        self.database.run(sql, values)

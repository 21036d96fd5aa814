"""The ledger's tables. Every row carries the change in which it was last written, so that readers fetch only
what is new.

Rows of requests and leases are not deleted when they end, but marked: that tells the other processes, and is the
history.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()
_Bytes = sa.BigInteger
_Seconds = sa.Double  # since the epoch, or a length of time
_Json = sa.Text

schema_info = sa.Table("schema_info", metadata, sa.Column("version", sa.Integer, nullable=False))

# One row. `changes` grows by one with every change; rows marked as ended up to change `forgotten` may be deleted.
counter = sa.Table(
    "counter",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("changes", sa.BigInteger, nullable=False),
    sa.Column("forgotten", sa.BigInteger, nullable=False),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cpus", sa.Double, nullable=False),
    sa.Column("memory", _Bytes, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("registered_at", _Seconds, nullable=False),
    sa.Column("site", sa.Text),
    sa.Column("labels", _Json, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, index=True),
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("memory", _Bytes, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("nvlink", sa.Text),
    sa.Column("rdma", sa.Text),
    sa.Column("site", sa.Text),
    sa.Column("shareable", sa.Integer, nullable=False),
    sa.Column("foreign_memory", _Bytes, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("tenants", _Json),
    sa.Column("parent", sa.Text),
    sa.Column("pretended", sa.Integer, nullable=False),
    sa.Column("drained", sa.Text),  # the operator's reason; outlives a new registration
    sa.Column("registered_by", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, index=True),
)

waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # run_id/step_key
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("step_key", sa.Text, nullable=False),
    sa.Column("request", _Json, nullable=False),
    sa.Column("submitted", _Seconds, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("asset", sa.Text, nullable=False),
    sa.Column("claimant", _Json),  # as holders below; one
    sa.Column("offered", _Seconds),
    sa.Column("reserved", _Json, nullable=False),
    sa.Column("source", sa.Text),  # whose queue it stands in; null: a process asked
    sa.Column("beat", sa.BigInteger, nullable=False),  # grows while its claimant lives
    sa.Column("ended", sa.Text),  # granted, withdrawn or dropped; null while it waits
    sa.Column("version", sa.BigInteger, nullable=False, index=True),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("step_key", sa.Text, nullable=False),
    sa.Column("request", _Json, nullable=False),
    sa.Column("shares", _Json, nullable=False),  # [[device, bytes, compute], …]
    sa.Column("granted", _Seconds, nullable=False),
    sa.Column("waited", _Seconds, nullable=False),
    sa.Column("asset", sa.Text, nullable=False),
    sa.Column("holders", _Json, nullable=False),  # [[host, boot id, pid, started], …], the claimant first
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("preempt_at", _Seconds),
    sa.Column("cpus", sa.Double, nullable=False),
    sa.Column("host_memory", _Bytes, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),  # grows while a holder lives
    sa.Column("peak_memory", _Bytes),
    sa.Column("ended", _Seconds),
    sa.Column("outcome", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False, index=True),
)


def _where(condition: sa.ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": condition, "postgresql_where": condition}


sa.Index("waiting_alive", waiting.c.id, **_where(waiting.c.ended.is_(None)))
sa.Index("leases_ended", leases.c.ended)
# However wrong the code is, the database itself refuses a second lease for one step.
_held = _where(sa.and_(leases.c.ended.is_(None), leases.c.state == "held"))
sa.Index("leases_held", leases.c.run_id, leases.c.step_key, unique=True, **_held)
sa.Index("leases_alive", leases.c.id, **_where(leases.c.ended.is_(None)))

# When a host's dead were last looked for, and when a source's queue was last read.
visits = sa.Table(
    "visits",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("visited_at", _Seconds, nullable=False),
)

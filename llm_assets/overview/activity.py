"""What runs and ran: the last runs of the instance, and who holds and waits for devices."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

LAST_RUNS = 20
NAMED_ASSETS = 3  # of a run; the rest are counted
RUN_CHARS = 8  # of a run's id, as the UI shows it


def last_runs(instance: dg.DagsterInstance) -> list[dict[str, Any]]:
    """The newest runs: what, how it ended, when it began, how long it took."""
    return [_run(record) for record in instance.get_run_records(limit=LAST_RUNS)]


def last_run_change(instance: dg.DagsterInstance) -> str:
    """Differs when a run has begun, moved on or ended."""
    found = instance.get_run_records(limit=1, order_by="update_timestamp")
    return f"{found[0].dagster_run.run_id} {found[0].dagster_run.status.value}" if found else "no run"


def devices(now: float) -> list[dict[str, Any]]:
    """Each pool that holds or waits: how many leases, memory, how many wait and how long the longest does.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    from resources.accelerators.ledger.ledger import open_ledger

    state = open_ledger().view()
    pools: dict[str, dict[str, Any]] = {}
    for lease in state.leases.values():
        row = pools.setdefault(lease.request.pool, _idle(lease.request.pool))
        row["leases"] += 1
        row["held_gb"] += sum(share.memory for share in lease.shares) / 1e9
    for waiting in state.waiting.values():
        row = pools.setdefault(waiting.request.pool, _idle(waiting.request.pool))
        row["waiting"] += 1
        row["longest_wait_s"] = max(row["longest_wait_s"], round(now - waiting.submitted))
    return [pools[name] for name in sorted(pools)]


def shown_time(seconds: float | None) -> str:
    """A time in UTC, to the minute; empty where there is none."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _idle(pool: str) -> dict[str, Any]:
    return {"pool": pool, "leases": 0, "held_gb": 0.0, "waiting": 0, "longest_wait_s": 0}


def _run(record: dg.RunRecord) -> dict[str, Any]:
    run, started, ended = record.dagster_run, record.start_time, record.end_time
    keys = sorted(key.to_user_string() for key in run.asset_selection or ())
    more = f" and {len(keys) - NAMED_ASSETS} more" if len(keys) > NAMED_ASSETS else ""
    return {
        "run": run.run_id[:RUN_CHARS],
        "what": ", ".join(keys[:NAMED_ASSETS]) + more if keys else run.job_name,
        "status": run.status.value.lower(),
        "created": shown_time(record.create_timestamp.timestamp()),
        "seconds": round((ended or time.time()) - started, 1) if started else None,
    }

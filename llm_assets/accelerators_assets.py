"""What the accelerators did, as an asset of the platform: who held which device when, who waited, what it cost."""

import time
from typing import Any

import dagster as dg

from llm_assets.reporting import picture, table

KEY = dg.AssetKey(["accelerators"])
SHOWN_SECONDS = 24 * 3600.0
MARGIN = 0.02  # of the time that is shown, before the first lease
TOTAL_COLUMNS = ["name", "leases", "device_hours", "kwh", "usd", "mean_wait_s", "longest_wait_s"]


@dg.asset(
    key=KEY,
    group_name="platform",
    kinds={"matplotlib"},
    tags={"stage": "overview"},
    description="Leases of the last 24 hours: a Gantt chart of the devices, and usage by tenant, pool and asset. A "
    "sensor refreshes it when leases have changed; it holds no device itself.",
)
def accelerators() -> dg.MaterializeResult:
    """The ledger as it is now."""
    return dg.MaterializeResult(metadata=accelerators_metadata(time.time()))


def accelerators_metadata(now: float) -> dict[str, Any]:
    """The picture and the tables, of the 24 hours before `now`, or since the first lease of them."""
    from resources.accelerators.catalogue import catalogue
    from resources.accelerators.gantt import gantt
    from resources.accelerators.ledger.ledger import open_ledger
    from resources.accelerators.timeline import bars
    from resources.accelerators.usage_by import BY, Prices, row, usage_by

    ledger = open_ledger()
    state, past = ledger.view(), ledger.history(now - SHOWN_SECONDS, now)
    since = _start([one.submitted for one in past], now)
    drawn = gantt(list(state.devices.values()), bars(past, state.waiting.values(), state.devices, now), since, now)
    prices = Prices(state.devices, catalogue(), ledger.accelerators)
    usage = {by: usage_by(past, by, since, now, prices) for by in BY}
    waits = [one.lease.waited for one in past]
    return {
        "chart": picture(drawn.png, "devices over time, and who held them"),
        **({"names_in_chart": dict(drawn.stand_ins)} if drawn.stand_ins else {}),
        "devices": len(state.devices),
        "leases": len(past),
        "waiting_now": len(state.waiting),
        "longest_wait_seconds": round(max(waits, default=0.0), 1),
        "device_hours": round(sum(total.device_hours for total in usage["tenant"]), 3),
        **{f"by_{by}": table(map(row, usage[by]), TOTAL_COLUMNS) for by in BY},
    }


def _start(submitted: list[float], now: float) -> float:
    """24 hours ago, or a little before the first that was asked for."""
    earliest = now - SHOWN_SECONDS
    first = max(earliest, min(submitted, default=earliest))
    return max(earliest, min(first - MARGIN * (now - first), now - 1.0))

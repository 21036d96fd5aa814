"""Refreshes the picture of the accelerators when leases have changed. It starts no run: a run could have to wait."""

import time

import dagster as dg

from llm_assets.accelerators_assets import KEY, accelerators_metadata
from sensors.cursors import beginning

EVERY_SECONDS = 600  # each picture stays in the event log: some 30 KB
FIRST_SECONDS = 24 * 3600.0  # how far back the first look goes


@dg.sensor(
    name="accelerators_picture",
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Materialises `accelerators` when a lease has been granted or has ended since the last time.",
)
def accelerators_picture(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """A new picture, or why there is none."""
    from resources.accelerators.errors import LedgerError

    now = time.time()
    seen = beginning(context.cursor, FIRST_SECONDS)
    try:
        latest = last_change(seen, now)
        if latest <= seen:
            return dg.SkipReason("no lease has been granted or has ended since the last picture")
        event = dg.AssetMaterialization(KEY, metadata=accelerators_metadata(now))
    except LedgerError as error:
        return dg.SkipReason(str(error))
    return dg.SensorResult(asset_events=[event], cursor=repr(latest))


def last_change(since: float, now: float) -> float:
    """When a lease was last granted or ended in this time; `since` if none was."""
    from resources.accelerators.ledger.ledger import open_ledger

    past = open_ledger().history(since, now)
    return max((one.lease.granted if one.ended is None else one.ended for one in past), default=since)

"""Tells MLflow what no run could tell it: a server may have been away while the last run ended."""

import dagster as dg

from resources.dagster_platform import PlatformResource

EVERY_SECONDS = 60
IDLE_SECONDS = 60.0  # what is younger is sent by the run that has told it


@dg.sensor(
    name="tracking_catch_up",
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends MLflow what has waited for it for a minute, in a process that ends when nothing waits.",
)
def tracking_catch_up(platform: PlatformResource) -> dg.SkipReason:
    """What MLflow has still to be told. It starts no run, and waits for no server."""
    from resources.state import StateError
    from resources.tracking import relay

    try:
        return dg.SkipReason(relay.catch_up(platform.open(), IDLE_SECONDS))
    except StateError as error:
        return dg.SkipReason(str(error))

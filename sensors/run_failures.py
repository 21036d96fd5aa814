"""Looks at finished runs: tells of what failed, once, and tries again what a retry can help."""

from contextlib import ExitStack

import dagster as dg

from resources.dagster_alerts import AlertsResource
from resources.dagster_platform import PlatformResource
from sensors.cursors import beginning

EVERY_SECONDS = 15  # as exact as a retry's wait need be; a look costs milliseconds


@dg.sensor(
    name="run_failures",
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of failed runs, of failed checks of severity error and of pins: in the log, and where "
    "profiles.yml says so, to Slack or a webhook. Re-executes from failure, after a pause, what failed because a "
    "service, a device or a host was away.",
)
def run_failures(
    context: dg.SensorEvaluationContext, platform: PlatformResource, alerts: AlertsResource
) -> dg.SensorResult | dg.SkipReason:
    """The cursor is the time from which runs are looked at; what was done about each is in the state database."""
    from llm_assets.run_watch import FIRST_SECONDS, WATCH, Watch
    from resources.state import StateError

    if context.repository_def is None:
        raise ValueError("run_failures: the context needs the code location's repository, to retry runs of it")
    opened = platform.open()
    with ExitStack() as stack:
        try:
            stack.enter_context(opened.state.lock(WATCH, timeout=0))
        except TimeoutError:
            return dg.SkipReason("another daemon is looking at the runs")
        except StateError as error:
            return dg.SkipReason(f"{error}. No failure is lost: the next look begins where the last one did")
        upto = Watch(context.instance, opened, context.repository_def).look(beginning(context.cursor, FIRST_SECONDS))
        sent = alerts.open(opened).deliver()
    return dg.SensorResult(
        cursor=repr(upto), skip_reason=dg.SkipReason(f"{sent} alerts told; runs are seen until now")
    )

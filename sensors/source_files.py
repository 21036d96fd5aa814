"""Watches the files of every corpus and the examples of every model that follow their changes.

One sensor for all: one tick and one cursor, however many corpora there are. A source that fails or hangs is told by
name and keeps no other from its run. Each corpus is run by itself: one run from its documents to its served index.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.watching import cursor
from llm_assets.watching.listings import Listings
from llm_assets.watching.looking import Found, Look
from llm_assets.watching.watched import Watched
from resources.dagster_alerts import AlertsResource
from resources.dagster_platform import PlatformResource

if TYPE_CHECKING:
    from llm_assets.jobs import Job

EVERY_SECONDS = 5  # a tick over 10,000 unchanged files costs less than 100 ms: benchmarks/sensor_tick.py
REASONS = 20  # that a tick shows


def source_files_sensors(sources: Sequence[Watched], jobs: "Sequence[Job]") -> list[dg.SensorDefinition]:
    """The sensor; none where nothing is watched.

    Args:
        sources: what is watched.
        jobs: all jobs, those that the sources name among them.
    """
    names = {source.job for source in sources}
    return [_sensor(sources, [job for job in jobs if job.name in names])] if sources else []


def _sensor(sources: Sequence[Watched], jobs: "Sequence[Job]") -> dg.SensorDefinition:
    listings = Listings()  # of this process: a slow listing goes on between two ticks

    @dg.sensor(
        name="source_files",
        minimum_interval_seconds=EVERY_SECONDS,
        jobs=jobs or None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for each corpus whose files were added, changed or deleted, once they have "
        "settled. Notes when the examples of a model have changed. Tells of a source that cannot be listed.",
    )
    def source_files(
        context: dg.SensorEvaluationContext, platform: PlatformResource, alerts: AlertsResource
    ) -> dg.SensorResult:
        opened = platform.open()
        found = Look(context.instance, opened, listings).at(sources, cursor.loads(context.cursor))
        for alert in found.alerts:
            context.log.error(alert.text)
            alerts.open(opened).send(alert)
        return _result(found)

    return source_files


def _result(found: Found) -> dg.SensorResult:
    return dg.SensorResult(
        run_requests=found.requests,
        asset_events=found.events,
        skip_reason=None if found.requests else _reason(found),
        cursor=cursor.dumps(found.seen),
    )


def _reason(found: Found) -> str:
    if not found.reasons:
        files = sum(one.files for one in found.seen.values())
        return f"nothing has changed: {len(found.seen)} sources, {files:,} files"
    more = len(found.reasons) - REASONS
    return "; ".join(found.reasons[:REASONS]) + (f"; and {more} more" if more > 0 else "")

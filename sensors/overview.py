"""Refreshes the overview when something has changed. It starts no run: a run would itself be a change."""

import dagster as dg

from llm_assets.overview.activity import last_run_change
from llm_assets.overview.asset import KEY
from llm_assets.overview.built import last_change
from llm_assets.overview.metadata import overview_metadata
from resources.dagster_platform import PlatformResource
from resources.digests import digest

EVERY_SECONDS = 300  # each overview stays in the event log: some 60 KB


@dg.sensor(
    name="overview_refresh",
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Materialises `overview` when a document, an index, a model or a run has changed.",
)
def overview_refresh(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SensorResult | dg.SkipReason:
    """A new overview, or why there is none."""
    from resources.state import StateError

    try:
        state = platform.open().state
        seen = digest(last_change(state), last_run_change(context.instance))
        if seen == context.cursor:
            return dg.SkipReason("nothing has been built, measured or run since the last overview")
        event = dg.AssetMaterialization(KEY, metadata=overview_metadata(state, context.instance))
    except StateError as error:
        return dg.SkipReason(str(error))
    return dg.SensorResult(asset_events=[event], cursor=seen)

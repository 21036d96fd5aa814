"""The platform at a glance, as an asset."""

import dagster as dg

from llm_assets.overview.metadata import overview_metadata
from llm_assets.reporting import clear_failures
from resources.dagster_platform import PlatformResource

KEY = dg.AssetKey(["overview"])


@dg.asset(
    key=KEY,
    group_name="platform",
    kinds={"matplotlib"},
    tags={"stage": "overview"},
    description="Documents, quarantined files and served vectors of every corpus, quality of "
    "retrieval and of the tuned models over time, the last runs, and who holds or waits for devices. A sensor "
    "refreshes it when something has changed; the totals are plotted over time under Plots.",
)
def overview(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Everything as it is now."""
    with clear_failures("overview"):
        return dg.MaterializeResult(metadata=overview_metadata(platform.open().state, context.instance))

"""The code location of the demo: one asset for each demand and pool. It imports no model library, so runs start fast."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from scripts.demo_pools.plan import KINDS, Kind

WITHOUT_LEASES = "DEMO_POOLS_WITHOUT_LEASES"  # under Dagster's own pools there is no ledger to take a lease from
SECONDS_TAG = "demo/seconds"


def stand_in(kind: Kind) -> dg.AssetsDefinition:
    """An asset that holds its slot while a child process sleeps, as a training process would work."""

    @dg.asset(
        key=[kind.demand, kind.pool],
        pool=kind.pool,
        op_tags={"accelerator/tenant": kind.demand, "accelerator/priority": str(kind.priority)},
        group_name=kind.demand,
        description=f"{kind.seconds:g} s of stand-in work in a slot of the pool {kind.pool}.",
    )
    def work(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with _slot(context, kind.pool) as (environment, metadata):
            subprocess.run(["sleep", context.run.tags[SECONDS_TAG]], env={**os.environ, **environment}, check=True)
        return dg.MaterializeResult(metadata=metadata)

    return work


@contextmanager
def _slot(context: dg.AssetExecutionContext, pool: str) -> Iterator[tuple[Mapping[str, str], dict[str, object]]]:
    metadata: dict[str, object] = {}
    yield {}, metadata


assets = [stand_in(kind) for kind in KINDS]
defs = dg.Definitions(
    assets=assets,
    jobs=[dg.define_asset_job(kind.job, selection=[asset]) for kind, asset in zip(KINDS, assets, strict=True)],
    executor=dg.in_process_executor,
)

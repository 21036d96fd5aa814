"""The code location of the demo: an asset for each demand and pool. It imports no model library: runs start fast."""

import os

import dagster as dg

from llm_assets.accelerators_assets import accelerators
from resources import processes
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from scripts.demo_pools.plan import KINDS, Kind

WITHOUT_LEASES = "DEMO_POOLS_WITHOUT_LEASES"  # under Dagster's own pools there is no ledger to take a lease from
SECONDS_TAG = "demo/seconds"
PICTURE_JOB = "picture"
WARM_UP_JOB = "first"


def stand_in(kind: Kind) -> dg.AssetsDefinition:
    """An asset that holds its slot while a child process sleeps where a training process would work."""

    @dg.asset(
        key=[kind.demand, kind.pool],
        pool=kind.pool,
        op_tags={
            "accelerator/tenant": kind.demand,
            "accelerator/priority": str(kind.priority),
            "accelerator/expected_minutes": str(kind.expected_minutes),
        },
        group_name=kind.demand,
        description=f"{kind.seconds:g} s of stand-in work in a slot of the pool {kind.pool}.",
    )
    def work(context: dg.AssetExecutionContext, accelerator: AcceleratorResource) -> dg.MaterializeResult:
        command = ["sleep", context.run.tags[SECONDS_TAG]]
        if os.environ.get(WITHOUT_LEASES):
            processes.start(command).wait()
            return dg.MaterializeResult()
        with accelerator.lease(context, pool=kind.pool) as held:
            held.start(command).wait()
            return dg.MaterializeResult(metadata=held.metadata())

    return work


@dg.asset(group_name="demo", description="In no pool: the first run of a set-up, before its clock starts.")
def warm_up() -> None:
    """Nothing; its run loads what every run needs."""


assets = [stand_in(kind) for kind in KINDS]
defs = dg.Definitions(
    assets=[*assets, accelerators, warm_up],
    jobs=[
        *(dg.define_asset_job(kind.job, selection=[asset]) for kind, asset in zip(KINDS, assets, strict=True)),
        dg.define_asset_job(PICTURE_JOB, selection=[accelerators]),
        dg.define_asset_job(WARM_UP_JOB, selection=[warm_up]),
    ],
    resources={ACCELERATOR_KEY: AcceleratorResource()},
    executor=dg.in_process_executor,
)

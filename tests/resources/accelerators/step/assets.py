"""Assets that hold a lease, for real runs in a test: what they did and when stands in the folder that a tag names."""

import time
from pathlib import Path

import dagster as dg

from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from tests.resources.accelerators.step.conftest import training

FOLDER_TAG = "folder"


def folder_of(context: dg.AssetExecutionContext) -> Path:
    folder = Path(context.run.tags[FOLDER_TAG])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dg.asset(pool="whole", op_tags={"tenant": "acme"})
def trained(context: dg.AssetExecutionContext, accelerator: AcceleratorResource) -> dg.MaterializeResult:
    """Trains for as long as the run's tag says."""
    folder = folder_of(context)
    with accelerator.lease(context, pool="whole") as held:
        started = time.time()
        with held.start(training(folder, float(context.run.tags["seconds"]))) as tree:
            code = tree.wait()
        if code:
            raise RuntimeError(f"the training ended with exit code {code}")
        (folder / "held").write_text(f"{started} {time.time()}")
        return dg.MaterializeResult(metadata=held.metadata())


RESOURCES = {ACCELERATOR_KEY: AcceleratorResource()}
EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}

defs = dg.Definitions(
    assets=[trained],
    jobs=[dg.define_asset_job(name, [trained], executor_def=executor) for name, executor in EXECUTORS.items()],
    resources=RESOURCES,
)

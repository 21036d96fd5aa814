"""What `benchmarks.kill` kills: a run whose step trains under a lease, with a rank in a session of its own."""

import os
import sys
import time
from pathlib import Path

import dagster as dg

from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource

FOLDER = "BENCHMARK_KILL_FOLDER"
WORKER, STEP, TRAINING, RANK, LEASE = "worker", "step", "training", "rank", "lease"
PARTS = (WORKER, STEP, TRAINING)
VICTIMS = [[part for i, part in enumerate(PARTS) if number >> i & 1] for number in range(1 << len(PARTS))]
NAMES = ["+".join(victims) or "nobody" for victims in VICTIMS]
# As torchrun's ranks: a session of its own. Neither process ends when it is asked to.
TRAIN = """
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
rank = os.fork()
if rank == 0:
    os.setsid()
(folder / ("rank" if rank == 0 else "training")).write_text(str(os.getpid()))
while not (folder / "enough").exists():
    time.sleep(0.1)
"""


@dg.asset(pool="whole", partitions_def=dg.StaticPartitionsDefinition(NAMES))
def trained(context: dg.AssetExecutionContext, accelerator: AcceleratorResource) -> None:
    """Trains until it is told that it is enough; notes who takes part."""
    folder = Path(os.environ[FOLDER]) / context.partition_key
    folder.mkdir(parents=True, exist_ok=True)
    with accelerator.lease(context, pool="whole") as held:
        for name, value in ((WORKER, os.getppid()), (STEP, os.getpid()), (LEASE, held.lease.id)):
            (folder / name).write_text(str(value))
        with held.start([sys.executable, "-c", TRAIN, str(folder)]) as tree:
            while tree.poll() is None:
                time.sleep(0.1)


defs = dg.Definitions(
    assets=[trained],
    jobs=[dg.define_asset_job("train", [trained])],
    resources={ACCELERATOR_KEY: AcceleratorResource()},
    executor=dg.multiprocess_executor,
)

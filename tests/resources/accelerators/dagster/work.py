"""Definitions for the tests of pools: short stand-ins for work on a device, under each executor."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepDelegatingExecutor, StepHandler
from dagster._core.executor.step_delegating.step_handler.base import StepHandlerContext

TRACE = "POOL_TEST_TRACE"  # folder of what the steps did
SECONDS = "seconds"  # run tag: how long each step works
HOLD = "hold"  # run tag: the name of the file that holds its steps


def work(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> None:
    """Work until the time is over, and for as long as a file, `hold`, is in the trace's folder."""
    folder = Path(os.environ[TRACE])
    name = f"{context.run.run_id}-{context.op_execution_context.get_step_execution_context().step.key}"
    started = time.time()
    (folder / f"{name}.begun").write_text(str(os.getpid()))
    seconds = float(context.run.tags.get(SECONDS, "0.2"))
    while time.time() - started < seconds or (folder / context.run.tags.get(HOLD, "hold")).exists():
        time.sleep(0.05)
    done = {"run": context.run.run_id, "begun": started, "ended": time.time(), "pid": os.getpid()}
    with (folder / "done").open("a") as file:
        file.write(json.dumps(done) + "\n")


def _asset(name: str, pool: str | None, **settings: object) -> dg.AssetsDefinition:
    def made(context: dg.AssetExecutionContext) -> None:
        work(context)

    return dg.asset(name=name, pool=pool, **settings)(made)  # pyright: ignore  # settings are passed on


parts = dg.StaticPartitionsDefinition(["a", "b", "c"])


@dg.asset(pool="lora", retry_policy=dg.RetryPolicy(max_retries=1))
def fails_once(context: dg.AssetExecutionContext) -> None:
    """Fails the first time."""
    work(context)
    if context.retry_number == 0 and "always" not in context.run.tags:
        raise RuntimeError("the first try fails")
    if "always" in context.run.tags:
        raise RuntimeError("every try fails")


ASSETS = [
    _asset("embeds", "embed"),
    _asset("adapts", "lora"),
    _asset("tunes", "full"),
    _asset("impossible", "beyond"),
    _asset("counted", "stock"),
    _asset("free", None),
    _asset("refined", "lora", op_tags={"accelerator/memory_gb": "30", "accelerator/tenant": "acme"}),
    _asset("slips", "lora", op_tags={"accelerator/memory_gb": "plenty"}),
    _asset("parted", "lora", partitions_def=parts, backfill_policy=dg.BackfillPolicy.multi_run(1)),
    fails_once,
]


class Subprocesses(StepHandler):
    """Starts each step as a process of its own that knows of the run only what its command line says."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def name(self) -> str:
        return "Subprocesses"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        arguments = step_handler_context.execute_step_args
        key = _one_key(step_handler_context)
        _, *command = arguments.get_command_args()  # `dagster` may not be on the path
        self._started[key] = subprocess.Popen([sys.executable, "-m", "dagster", *command])
        yield from ()

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        code = self._started[_one_key(step_handler_context)].poll()
        return (
            CheckStepHealthResult.healthy() if not code else CheckStepHealthResult.unhealthy(f"it ended with {code}")
        )

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        for process in self._started.values():
            process.terminate()
        yield from ()


def _one_key(context: StepHandlerContext) -> str:
    keys = context.execute_step_args.step_keys_to_execute or []
    return keys[0]


@dg.executor(name="delegating", requirements=dg.multiple_process_executor_requirements())
def delegating(_: dg.InitExecutorContext) -> dg.Executor:
    """A step-delegating executor, as those for Docker and Kubernetes are."""
    return StepDelegatingExecutor(
        Subprocesses(), RetryMode.ENABLED, sleep_seconds=0.2, check_step_health_interval_seconds=1
    )


EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor, "delegating": delegating}


@dg.op(pool="embed")
def embed_op(context: dg.OpExecutionContext) -> None:
    """A step of which a graph has many."""
    work(context)


@dg.graph
def thirty() -> None:
    """Thirty steps that wait side by side."""
    for number in range(30):
        embed_op.alias(f"embed_{number}")()


@dg.op(out=dg.DynamicOut(int))
def spread() -> Iterator[dg.DynamicOutput[int]]:
    """Three parts."""
    for number in range(3):
        yield dg.DynamicOutput(number, mapping_key=str(number))


@dg.op(pool="lora")
def part(context: dg.OpExecutionContext, _number: int) -> None:
    """Work on one of them."""
    work(context)


@dg.graph
def fans_out() -> None:
    """Steps whose keys are known only when the run goes on."""
    spread().map(part)


JOBS = [
    *(
        dg.define_asset_job(f"{asset.key.to_user_string()}__{name}", [asset], executor_def=executor)
        for asset in ASSETS
        for name, executor in EXECUTORS.items()
    ),
    *(thirty.to_job(f"thirty__{name}", executor_def=executor) for name, executor in EXECUTORS.items()),
    *(fans_out.to_job(f"fans_out__{name}", executor_def=executor) for name, executor in EXECUTORS.items()),
    dg.define_asset_job("both__multiprocess", ["embeds", "adapts"], executor_def=dg.multiprocess_executor),
    dg.define_asset_job("slip_beside_work__multiprocess", ["slips", "free"], executor_def=dg.multiprocess_executor),
]

defs = dg.Definitions(assets=ASSETS, jobs=JOBS)

"""Starts run workers as forks of a process that has imported Dagster once.

Dagster's default launcher starts a Python for each run, which costs 2.5 s of a core: with 72 runs on two cores the
demo would measure imports, not waits. The queue, the run worker's own code and the executor are Dagster's.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

from dagster import DagsterInstance
from dagster._cli.api import _execute_run_command_body as execute_run
from dagster._core.instance import InstanceRef
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData

PRELOADED = ["scripts.demo_pools.launcher", "scripts.demo_pools.location", "alembic.command"]


class ForkingRunLauncher(RunLauncher, ConfigurableClass):
    """One worker process a run, forked from a small server that the daemon starts."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._workers: dict[str, ForkServerProcess] = {}
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(PRELOADED)
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ForkingRunLauncher:
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run_id = context.dagster_run.run_id
        worker = self._forks.Process(target=work, args=(self._instance.get_ref(), run_id))
        worker.start()
        self._workers[run_id] = worker

    def terminate(self, run_id: str) -> bool:
        worker = self._workers.get(run_id)
        if worker is None or worker.pid is None or not worker.is_alive():
            return False
        os.kill(worker.pid, signal.SIGINT)
        return True


def work(instance_ref: InstanceRef, run_id: str) -> None:
    """Execute one run; what it does is in its event log."""
    with DagsterInstance.from_ref(instance_ref) as instance:
        execute_run(run_id, instance, lambda _event: None, False)

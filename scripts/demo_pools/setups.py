"""The three set-ups that are compared: the files of a Dagster home each, and its environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.demo_pools.plan import COUNTED, DEVICES, PARTS, POOLS_GB

ROOT = Path(__file__).parents[2]
MODEL = "h100-sxm-80"
HOST = "demo"


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to share the devices.

    Attributes:
        name: in tables and folder names.
        title: what it is, in a few words.
        leases: whether steps take leases of the ledger; otherwise Dagster's own pools count.
        parts: devices of each demand alone, by demand; none: all devices are everybody's.
    """

    name: str
    title: str
    leases: bool = True
    parts: Mapping[str, int] | None = None


OURS = Setup("ours", "accelerator pools")
COUNTING = Setup("counting", "Dagster's own pools", leases=False)
SPLIT = Setup("split", "one fixed part per demand", parts=PARTS)
SETUPS = (OURS, COUNTING, SPLIT)


def make_home(setup: Setup, folder: Path, socket: Path) -> None:
    """Write the files of a fresh Dagster home."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    files = {
        "dagster.yaml": _instance(setup),
        "accelerators.yml": _accelerators(setup),
        "workspace.yaml": _workspace(socket),
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def environment(setup: Setup, folder: Path) -> dict[str, str]:
    """The variables under which the set-up's processes run."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(folder),
        "LLM_ASSETS_ACCELERATORS": str(folder / "accelerators.yml"),
        "LLM_ASSETS_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "DEMO_POOLS_WITHOUT_LEASES": "" if setup.leases else "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
    }


def _instance(setup: Setup) -> dict[str, Any]:
    instance: dict[str, Any] = {
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1, "dequeue_use_threads": True, "dequeue_num_workers": 4},
        },
        "run_launcher": {"module": "scripts.demo_pools.launcher", "class": "ForkingRunLauncher", "config": {}},
        "concurrency": {"runs": {"max_concurrent_runs": 100}, "pools": {"granularity": "op"}},
        "telemetry": {"enabled": False},
        "run_monitoring": {"enabled": True, "poll_interval_seconds": 10, "free_slots_after_run_end_seconds": 5},
    }
    if setup.leases:
        instance["event_log_storage"] = _event_log_storage()
    return instance


def _event_log_storage() -> dict[str, Any]:
    """As the project's own dagster.yaml names it, in this home."""
    own = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))["event_log_storage"]
    return {**own, "config": {"base_dir": {"env": "DAGSTER_HOME"}}}


def _workspace(socket: Path) -> dict[str, Any]:
    return {"load_from": [{"grpc_server": {"socket": str(socket), "location_name": "demo-pools"}}]}


def _accelerators(setup: Setup) -> dict[str, Any]:
    parts = setup.parts or {"": DEVICES}
    return {
        "probe": False,
        "devices": [
            {
                "model": MODEL,
                "count": count,
                "host": f"{HOST}-{name}" if name else HOST,
                "nvlink": f"nvswitch{name}",
                "pretend": True,
            }
            | ({"tenants": [name]} if name else {})
            for name, count in parts.items()
        ],
        "pools": {
            "embed": {"memory_gb": POOLS_GB["embed"], "share": True},
            "inference": {"memory_gb": POOLS_GB["inference"], "share": True},
            "lora": {"memory_gb": POOLS_GB["lora"]},
            "full": {"memory_gb": POOLS_GB["full"], "linked": True},
        },
    }


def limits(setup: Setup) -> Mapping[str, int]:
    """Limits of Dagster's own pools; none where the ledger decides."""
    return {} if setup.leases else COUNTED

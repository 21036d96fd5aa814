"""The three set-ups that are compared: the files of a Dagster home each, and its environment."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.demo_pools.location import WITHOUT_LEASES
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
        "dagster.yaml": _instance(setup, folder),
        "accelerators.yml": _accelerators(setup),
        "workspace.yaml": _workspace(socket),
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def environment(setup: Setup, folder: Path) -> dict[str, str]:
    """The variables that a set-up's processes need beside those of this process."""
    return {
        "DAGSTER_HOME": str(folder),
        "LLM_ASSETS_ACCELERATORS": str(folder / "accelerators.yml"),
        "LLM_ASSETS_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        WITHOUT_LEASES: "" if setup.leases else "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
    }


def _instance(setup: Setup, folder: Path) -> dict[str, Any]:
    """The project's own dagster.yaml in another folder, with a launcher that starts fast; where Dagster's own pools
    count, with its own storages."""
    text = (ROOT / "dagster.yaml").read_text(encoding="utf-8").replace(".state/dagster", str(folder / "dagster"))
    instance: dict[str, Any] = yaml.safe_load(text)
    instance["run_launcher"] = {"module": "scripts.demo_pools.launcher", "class": "ForkingRunLauncher"}
    if not setup.leases:
        for storage in ("run_storage", "event_log_storage", "schedule_storage"):
            del instance[storage]
        instance["storage"] = {"sqlite": {"base_dir": str(folder / "dagster" / "storage")}}
    return instance


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

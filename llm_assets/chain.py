"""Everything that is configured and not manual, run once; which runs that were is kept for `llm_assets.ci_report`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from llm_assets.jobs import READABLE, jobs_of_all, parts

if TYPE_CHECKING:
    from resources.platform import Platform

CHAIN_TAG = "llm-assets/chain"  # of the runs of one chain: its id
MODULE = "llm_assets.definitions"


class ChainError(Exception):
    """The chain has not run to its end; the message says why."""


@dataclass(frozen=True)
class Chain:
    """What a chain runs.

    Attributes:
        id: the value of `CHAIN_TAG`.
        jobs: in their order; empty until the definitions are loaded.
    """

    id: str
    jobs: Sequence[str] = ()


def last_chain(platform: Platform) -> Chain | None:
    """The chain that was begun last on the platform's target; None where there was none."""
    file = _file(platform)
    return Chain(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def run_chain(platform: Platform) -> None:
    """Run what is configured, each job in a process of its own; a job that fails keeps no other from its run.

    Raises:
        ChainError: nothing is configured, or some of it failed.
        ConfigError: the definitions cannot be loaded.
    """
    begun = Chain(uuid4().hex[:12])
    _keep(platform, begun)
    jobs = configured_jobs()
    if not jobs:
        raise ChainError("there is no corpus and no model, or all are `automation: manual`")
    _keep(platform, Chain(begun.id, jobs))
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"  # a job with partitions drops the configuration of its definition
        config.write_text(json.dumps(READABLE), encoding="utf-8")
        failed = [job for job in jobs if not _execute(job, begun.id, config)]
    if failed:
        raise ChainError(f"{', '.join(failed)} failed; the log above says why")


def configured_jobs() -> list[str]:
    """The names of the jobs of which a chain consists."""
    from llm_assets.configs import configured
    from llm_assets.definitions import defs

    return jobs_of_all(parts(defs()), configured())


def _execute(job: str, chain: str, config: Path) -> bool:
    """Run a job as people do, its progress on this terminal. Returns whether it succeeded."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-m", MODULE, "-j", job]
    options = ["-c", str(config), "--tags", json.dumps({CHAIN_TAG: chain})]
    return subprocess.run([*command, *options], check=False).returncode == 0  # noqa: S603


def _keep(platform: Platform, chain: Chain) -> None:
    file = _file(platform)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(chain)), encoding="utf-8")


def _file(platform: Platform) -> Path:
    return platform.profile.state_dir / "chain.json"

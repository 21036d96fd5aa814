"""A training that wants more memory than there is must end as the same training with fewer rows at once.

The limit is a real one: the training's process may not map more than a run with two rows at once did.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import pytest

from llm_assets.models.assets import fine_tune_definitions
from llm_assets.models.memory.asking import plan
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from resources import state_schema as schema
from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE
from resources.accelerators.held import HeldLease
from resources.accelerators.memory_watch import tree_pids
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.dagster_platform import PLATFORM_KEY
from resources.platform import Platform
from resources.processes import ProcessTree
from resources.profile import Profile
from tests.models.test_assets import PlatformAt, metadata
from tests.tiny_model import save_tiny_model

ROOM = 200_000_000  # more than what two rows at once mapped: the run to compare with is not to fail by a hair


@dataclass
class Limited:
    """A folder with a model and a fine-tune of long rows; each run has an instance of its own."""

    folder: Path
    model: Path
    monkeypatch: pytest.MonkeyPatch

    def spec(self, **training: Any) -> FineTuneSpec:
        text = "The cat sits in the old garden by the river. " * 30
        rows = [{"text": f"{number} {text}"} for number in range(24)]
        (self.folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        fixed = {"method": "full", "batch": 16, "max_steps": 2, "max_tokens": 512, "packing": False, "threads": 1}
        fixed |= {"checkpoint_steps": 1, "gradient_checkpointing": False}
        settings = {
            "name": "long",
            "model": f"path:{self.model}",
            "data": {"examples": {"path": "examples.jsonl"}, "held_out": 0.2},
            "training": fixed | training,
            "gate": {"metric": "loss"},
        }
        return FineTuneSpec("acme", self.folder, FineTuneSettings.model_validate(settings))

    def platform(self, name: str) -> Platform:
        return Platform(Profile(state_dir=self.folder / name))

    def run(self, spec: FineTuneSpec, state: str, **options: Any) -> tuple[dg.ExecuteInProcessResult, list[str]]:
        """Materialise the training; returns the result and what was logged."""
        definitions = fine_tune_definitions(spec)
        wanted = [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
        wanted = [asset for asset in wanted if asset.key.path[-1] in ("training_set", "tuned_model")]
        resources = {
            PLATFORM_KEY: PlatformAt(state_dir=str(self.folder / state)),
            ACCELERATOR_KEY: AcceleratorResource(),
        }
        with dg.instance_for_test(temp_dir=str(self.folder)) as instance:
            result = dg.materialize(wanted, resources=resources, instance=instance, **options)  # pyright: ignore[reportArgumentType]
            return result, [entry.user_message for entry in instance.all_logs(result.run_id)]


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"), hidden=256, layers=6)


@pytest.fixture
def limited(tmp_path: Path, long_model: Path, monkeypatch: pytest.MonkeyPatch) -> Limited:
    monkeypatch.setenv(LEDGER_VARIABLE, f"sqlite:///{tmp_path / 'ledger.db'}")
    return Limited(tmp_path, long_model, monkeypatch)


class Watched:
    """Starts as a lease does, under a limit of the address space, and sees how much was mapped."""

    def __init__(self, limit: int | None) -> None:
        self.limit, self.mapped, self.started = limit, 0, 0
        self.each: Callable[[ProcessTree], object] = lambda tree: None
        self._start = HeldLease.start

    def start(self, held: HeldLease, command: Sequence[str], **options: Any) -> ProcessTree:
        self.started += 1
        limits = ["prlimit", f"--as={self.limit}"] if self.limit else []
        tree = self._start(held, [*limits, *command], **options)
        wait = tree.wait

        def looking(timeout: float | None = None) -> int:
            self.mapped = max([self.mapped, *map(mapped, tree_pids(tree.pid))])
            self.each(tree)
            return wait(timeout)

        tree.wait = looking  # pyright: ignore[reportAttributeAccessIssue]
        return tree


def mapped(pid: int) -> int:
    """The most that a process has mapped, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak:")), 0)


def watched(limited: Limited, limit: int | None = None) -> Watched:
    found = Watched(limit)
    limited.monkeypatch.setattr(
        HeldLease, "start", lambda held, command, **options: found.start(held, command, **options)
    )
    return found


def losses(limited: Limited, state: str) -> list[float]:
    (file,) = limited.platform(state).runs("acme", "long").rglob("metrics.jsonl")
    return [json.loads(line)["loss"] for line in file.read_text().splitlines()]


def peaks(platform: Platform) -> dict[int, Mapping[str, Any]]:
    import sqlalchemy as sa

    return {row["facts"]["batch"]: row for row in platform.state.rows(sa.select(schema.memory_peaks))}


@pytest.mark.long
def test_a_training_that_runs_out_goes_on_with_fewer_rows_to_the_same_result(limited: Limited) -> None:
    free = watched(limited)
    limited.run(limited.spec(micro_batch=2), "free")
    limit = free.mapped + ROOM

    tight = watched(limited, limit)
    result, said = limited.run(limited.spec(), "tight")
    assert losses(limited, "tight") == pytest.approx(losses(limited, "free"), rel=2e-3)
    used = metadata(result, limited.spec(), "tuned_model")["rows at once"]
    assert isinstance(used, int)
    assert 1 <= used < 16
    assert tight.started > 1
    (first, *_) = [line for line in said if "memory ran out" in line]
    assert "16 rows at once in pool 'small'" in first
    assert "estimated" in first
    assert "at the peak" in first

    known = peaks(limited.platform("tight"))
    assert known[16]["run_out"] is not None
    assert known[used]["run_out"] is None
    assert known[used]["peak"] > 0

    again = watched(limited, limit)
    result, said = limited.run(limited.spec(seed=1), "tight")
    assert again.started == 1, "the second run begins with what fits"
    assert metadata(result, limited.spec(seed=1), "tuned_model")["rows at once"] == used
    assert not [line for line in said if "memory ran out" in line]


@pytest.mark.long
def test_with_one_row_at_once_the_next_pool_is_asked_and_it_goes_on_there(limited: Limited) -> None:
    pools = {"small": {"memory_gb": 0.3, "share": True}, "larger": {"memory_gb": 4, "share": True}}
    file = limited.folder / "accelerators.yml"
    file.write_text(json.dumps({"pools": pools, "enforce": "kill"}))
    limited.monkeypatch.setenv(FILE_VARIABLE, str(file))
    spec = limited.spec(micro_batch=1, next_pool="larger", memory_gb=0.4)
    result, said = limited.run(spec, "pools")
    told = metadata(result, spec, "tuned_model")
    assert told["pool"] == "larger"
    assert str(told["devices"]).endswith("4 GB"), "not the memory that the first pool was asked for"
    (asked,) = [line for line in said if "asking pool 'larger' instead" in line]
    assert "1 rows at once in pool 'small'" in asked
    assert "0.4 GB granted" in asked


@pytest.mark.long
def test_a_model_that_no_device_holds_alone_is_divided_and_noted_so(limited: Limited) -> None:
    def asked(sharding: Literal["ddp", "fsdp"]) -> int:
        return plan(limited.spec(), devices=2, on="cpu", sharding=sharding).corrected.asked

    each = round((asked("ddp") + asked("fsdp")) / 2e9, 4)
    device = {"model": "a100-sxm-80", "memory_gb": each, "count": 2, "host": "pretended", "pretend": True}
    pools = {"small": {"memory_gb": 2 * each, "devices": 2}}
    file = limited.folder / "accelerators.yml"
    file.write_text(json.dumps({"probe": False, "devices": [device], "pools": pools}))
    limited.monkeypatch.setenv(FILE_VARIABLE, str(file))
    for seed in (0, 1):
        limited.run(limited.spec(seed=seed), "two")
    summaries = [
        json.loads(one.read_text()) for one in limited.platform("two").runs("acme", "long").rglob("training.json")
    ]
    assert [(one["devices"]["world"], one["devices"]["sharding"]) for one in summaries] == [(2, "fsdp")] * 2
    noted = peaks(limited.platform("two"))
    assert [row["facts"]["sharding"] for row in noted.values()] == ["fsdp"]


class Killer:
    """Ends so many trainers by kill -9: the first once it has left a checkpoint, the others when they begin."""

    def __init__(self, limited: Limited, times: int) -> None:
        self._times, self._killed = times, set[int]()
        self._runs = limited.platform("killed").runs("acme", "long")

    def __call__(self, tree: ProcessTree) -> None:
        begun, left_one = tree_pids(tree.pid)[1:], next(self._runs.rglob("checkpoint-*/COMPLETE.json"), None)
        if begun and left_one and tree.pid not in self._killed and len(self._killed) < self._times:
            self._killed.add(tree.pid)
            for pid in begun:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.long
def test_who_kills_a_training_does_not_make_the_next_ones_smaller(limited: Limited) -> None:
    spec, started = limited.spec(micro_batch=4, max_steps=4), watched(limited)
    started.each = Killer(limited, 2)
    result, said = limited.run(spec, "killed")
    assert metadata(result, spec, "tuned_model")["rows at once"] == 4
    assert started.started == 3
    assert len([line for line in said if "killed from outside" in line and "from the last checkpoint" in line]) == 2
    noted = peaks(limited.platform("killed"))
    assert [(batch, row["run_out"]) for batch, row in noted.items()] == [(4, None)]


@pytest.mark.long
def test_a_training_that_is_killed_again_and_again_fails_and_goes_on_when_it_is_run_again(limited: Limited) -> None:
    spec, started = limited.spec(micro_batch=4, max_steps=4), watched(limited)
    started.each = Killer(limited, 3)
    with pytest.raises(dg.Failure, match="killed from outside; run again"):
        limited.run(spec, "killed")
    assert peaks(limited.platform("killed")) == {}
    result, _ = limited.run(spec, "killed")
    assert metadata(result, spec, "tuned_model")["rows at once"] == 4

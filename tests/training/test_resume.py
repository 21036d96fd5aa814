"""A training that was killed must go on as if nothing had happened: same data, same optimiser, same chance."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from llm_assets.training.checkpoints import checkpoint_name, file_digest, latest_whole, seal
from llm_assets.training.jobs import read_rows
from llm_assets.training.reporting import METRICS
from resources.profile import ROOT
from tests.training.tiny_jobs import losses, tiny_job, trained

WEIGHTS = "adapter/adapter_model.safetensors"
DEADLINE_SECONDS = 120
WITH_CHANCE = {"max_steps": 24, "lora": {"dropout": 0.2}}  # dropout: the state of chance counts as well


def killed_at(folder: Path, step: int) -> None:
    """A training in a process of its own, killed once it has reported a step."""
    command = [sys.executable, "-m", "llm_assets.training.train", str(folder / "job.json"), str(folder)]
    deadline = time.monotonic() + DEADLINE_SECONDS
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            while not _reached(folder, step):
                assert process.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline, "did not come so far in time"
                time.sleep(0.01)
        finally:
            process.kill()


def _reached(folder: Path, step: int) -> bool:
    return (folder / METRICS).exists() and any(row["step"] >= step for row in read_rows(folder / METRICS))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    trained(folder, tiny, **WITH_CHANCE)
    return folder


def test_a_killed_training_goes_on_as_if_nothing_had_happened(undisturbed: Path, tiny: Path, tmp_path: Path) -> None:
    tiny_job(tmp_path, tiny, **WITH_CHANCE)
    killed_at(tmp_path, 5)
    checkpoint = latest_whole(tmp_path / "checkpoints")
    assert checkpoint is not None
    assert not (tmp_path / "adapter").exists()
    assert trained(tmp_path, tiny, **WITH_CHANCE) == losses(undisturbed)
    done = json.loads((tmp_path / "training.json").read_text())
    assert (done["steps"], done["steps_of_last_process"]) == (24, 24 - int(checkpoint.name[-8:]))
    assert file_digest(tmp_path / WEIGHTS) == file_digest(undisturbed / WEIGHTS)


def test_it_goes_on_with_another_micro_batch(tiny: Path, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", tiny)
    half = tmp_path / "half"
    with pytest.raises(Ended):
        ended_after(half, tiny, 4)
    assert trained(half, tiny, micro_batch=2) == pytest.approx(whole, rel=5e-3)


def test_a_broken_last_checkpoint_is_passed_over(tiny: Path, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", tiny)
    half = tmp_path / "half"
    with pytest.raises(Ended):
        ended_after(half, tiny, 4)
    (half / "checkpoints" / checkpoint_name(4) / "optimizer.pt").write_bytes(b"PK torn")
    assert trained(half, tiny) == whole
    assert [row["step"] for row in read_rows(half / METRICS)].count(3) == 2, "it went on from step 2"


EARLY: dict[str, Any] = {
    "max_steps": 40,
    "checkpoint_steps": 4,
    "evaluate_every": 4,
    "early_stopping": {"patience": 2, "min_delta": 9},
}


def test_early_stopping_stops_at_the_same_step_after_a_kill(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half, late = tmp_path / "whole", tmp_path / "half", tmp_path / "late"
    trained(whole, tiny, **EARLY)
    with pytest.raises(Ended):
        ended_after(half, tiny, 9, **EARLY)
    trained(half, tiny, **EARLY)
    with monkeypatch.context() as patch:
        patch.setattr("llm_assets.training.train.keep_result", Mock(side_effect=Ended))
        with pytest.raises(Ended):  # its last checkpoint says that it is over
            trained(late, tiny, **EARLY)
    trained(late, tiny, **EARLY)
    for folder in (whole, half, late):
        done = json.loads((folder / "training.json").read_text())
        assert (done["steps"], done["best_step"], done["stopped_early"]) == (12, 4, True)
        assert file_digest(folder / WEIGHTS) == file_digest(whole / WEIGHTS)


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self._file),)


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_runs_no_code_even_with_a_valid_seal(tiny: Path, tmp_path: Path, file: str) -> None:
    with pytest.raises(Ended):
        ended_after(tmp_path, tiny, 4)
    checkpoint = tmp_path / "checkpoints" / checkpoint_name(4)
    torch.save(Trap(tmp_path / "sprung"), checkpoint / file)
    seal(checkpoint.rename(tmp_path / "again"), checkpoint)
    with pytest.raises(pickle.UnpicklingError):
        trained(tmp_path, tiny)
    assert not (tmp_path / "sprung").exists()


class Ended(Exception):
    """Ends a training from inside."""


def ended_after(folder: Path, model: Path, step: int, **changes: Any) -> None:
    """A training in this process that breaks off once the step after the given one is done."""
    from llm_assets.training.reporting import Reporter
    from llm_assets.training.train import train

    class Ending(Reporter):
        def figures(self, values: dict[str, float]) -> None:
            super().figures(values)
            if values["step"] > step:
                raise Ended

    train(tiny_job(folder, model, **changes), folder, Ending(folder / METRICS, None))

"""What breaks a training must be said with its step, and must not take the checkpoints before it along."""

from __future__ import annotations

import errno
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_assets.training import requirements
from llm_assets.training.checkpoints import checkpoint_name, latest_whole
from llm_assets.training.course import CourseError
from llm_assets.training.disk import DiskFull, disk_full_said
from llm_assets.training.failure import FAILURE, TrainingFailure, told
from llm_assets.training.methods import MethodError, trainable
from llm_assets.training.reporting import METRICS, Reporter
from llm_assets.training.train import train
from llm_assets.training.watch import NotFinite, Watch
from tests.training.tiny_jobs import tiny_job, trained

SPARE_BYTES = 100_000  # less than a checkpoint, more than a line of figures


def failure(folder: Path) -> dict:
    return json.loads((folder / FAILURE).read_text())


def test_a_loss_that_is_no_number_is_told_with_its_step_and_examples(tiny: Path, tmp_path: Path) -> None:
    job = tiny_job(tmp_path, tiny, learning_rate=1e30, warmup=0, checkpoint_steps=1)
    with pytest.raises(NotFinite), told(tmp_path):
        train(job, tmp_path, Reporter(tmp_path / METRICS, None))
    found = failure(tmp_path)
    assert found["kind"] == "NotFinite"
    assert found["step"] >= 1
    assert "lower learning_rate" in found["message"].lower()
    assert not (tmp_path / "adapter").exists()
    kept = latest_whole(tmp_path / "checkpoints")
    assert kept is None or int(kept.name[-8:]) < found["step"] or found["step"] == 1


class Breaking(Watch):
    """Breaks a weight after the fourth step."""

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        super().on_step_end(args, state, control, **named)
        if state.global_step == 4:
            next(weight for weight in named["model"].parameters() if weight.requires_grad).data.fill_(math.inf)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("weights are no numbers", {"checkpoint_steps": 2}),
        (
            "the validation loss is nan",
            {"checkpoint_steps": 3, "evaluate_every": 4, "early_stopping": {"patience": 1}},
        ),
    ],
)
def test_what_is_no_number_at_a_step_is_told_with_the_training_and_the_examples(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr("llm_assets.training.train.Watch", Breaking)
    job = tiny_job(tmp_path, tiny, **changes)
    with pytest.raises(NotFinite), told(tmp_path):
        train(job, tmp_path, Reporter(tmp_path / METRICS, None))
    found = failure(tmp_path)
    assert found["message"].startswith(f"acme/tiny: {what} at step 4, which saw the examples e")
    assert (found["kind"], found["step"]) == ("NotFinite", 4)
    assert len(found["example_ids"]) > 1
    assert found["peak_bytes"] > 10**6
    assert all(name in found["message"] for name in found["example_ids"])
    kept = latest_whole(tmp_path / "checkpoints")
    assert kept is not None
    assert kept.name == checkpoint_name(changes["checkpoint_steps"])
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_memory_that_ran_out_has_one_name(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)), told(tmp_path):
        raise error
    assert failure(tmp_path)["kind"] == "OutOfMemory"


def test_another_failure_is_not_called_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailure), told(tmp_path):
        raise TrainingFailure("it broke", step=3)
    assert failure(tmp_path)["kind"] == "TrainingFailure"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_during_a_checkpoint_leaves_the_one_before(
    tiny: Path, small_disk: Path, tmp_path: Path
) -> None:
    class Filling(Reporter):
        def figures(self, values: dict[str, float]) -> None:
            super().figures(values)
            if values["step"] == 3:
                free = shutil.disk_usage(small_disk).free
                (small_disk / "filler").write_bytes(b"x" * (free - SPARE_BYTES))

    with pytest.raises(DiskFull, match="no room for the checkpoint of step 4"):
        train(tiny_job(small_disk, tiny), small_disk, Filling(small_disk / METRICS, None))
    kept = latest_whole(small_disk / "checkpoints")
    assert kept is not None
    assert kept.name.endswith("2")
    (small_disk / "filler").unlink()
    assert trained(small_disk, tiny) == trained(tmp_path / "undisturbed", tiny)


def test_a_quota_that_is_used_up_is_a_full_disk_and_other_errors_are_not(tmp_path: Path) -> None:
    with pytest.raises(DiskFull), disk_full_said(tmp_path / "pending", "x"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(ValueError, match="other"), disk_full_said(tmp_path / "pending", "x"):
        raise ValueError("other")


def test_more_tokens_than_the_model_reads_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="max_tokens is 4096, and path:tiny reads 512 tokens at most"):
        trained(tmp_path, tiny, max_tokens=4096)


def test_qlora_without_bitsandbytes_is_refused_with_the_way_out(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    with pytest.raises(MethodError, match=r"pip install llm-assets\[qlora\].*method: lora"):
        trained(tmp_path, tiny, method="qlora")


def test_qlora_trains_an_adapter_where_bitsandbytes_can(tiny: Path, tmp_path: Path) -> None:
    found = trained(tmp_path, tiny, method="qlora")
    assert found[-1] < found[0] - 0.1
    settings = tiny_job(tmp_path, tiny, method="qlora").settings
    with pytest.raises(MethodError, match="not xla; take method: lora"):
        trainable(str(tiny), settings, "xla", narrow=False)

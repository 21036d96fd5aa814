"""A training that is killed and started again must end where an undisturbed one ends."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_assets.models import fine_tune
from llm_assets.models.children import TrainingError
from llm_assets.models.fine_tune import Run, open_run, train
from llm_assets.models.settings import FineTuneSpec
from llm_assets.training.checkpoints import file_digest, latest_whole
from resources.platform import Platform
from resources.process_supervisor import descendants
from tests.models.real_model import Tuned, rows_of, tiny_fine_tune

DEADLINE_SECONDS = 120


class Interrupt(Exception):
    """Ends the wait for a training, as cancelling a run does."""


def weights(run: Run) -> str:
    return file_digest(run.weights / "adapter_model.safetensors")


def when(fact: Callable[[], object], act: Callable[[], object]) -> Callable[[], None]:
    """Act once, as soon as a fact holds; called while a training runs."""
    deadline, done = time.monotonic() + DEADLINE_SECONDS, []

    def each() -> None:
        assert time.monotonic() < deadline, "did not happen in time"
        if not done and fact():
            done.append(act())

    return each


def raise_interrupt() -> None:
    raise Interrupt


def kill_everything() -> None:
    for pid in descendants(os.getpid()):
        os.kill(pid, signal.SIGKILL)


def test_a_killed_training_goes_on_and_ends_equal(tuned: Tuned, tmp_path: Path, with_model: Platform) -> None:
    spec, rows = tuned.spec, tuned.rows
    run = open_run(with_model, spec, rows)
    assert run.path.name == tuned.run.path.name
    checkpoints = run.path / "checkpoints"
    with pytest.raises(TrainingError, match="was killed"):
        train(run, spec, rows, each=when(lambda: latest_whole(checkpoints), kill_everything))
    assert not run.finished
    assert latest_whole(checkpoints) is not None

    assert train(run, spec, rows)
    assert run.finished
    assert weights(run) == weights(tuned.run)
    assert run.version == tuned.run.version
    assert [row["loss"] for row in run.figures] == [row["loss"] for row in tuned.run.figures]
    assert {path.name for path in run.path.iterdir()} == {"adapter", "job.json", "metrics.jsonl", "training.json"}
    assert not train(run, spec, rows), "a finished run is left as it is"


def test_cancelling_ends_the_process_tree_and_leaves_a_whole_checkpoint(tmp_path: Path, with_model: Platform) -> None:
    spec = tiny_fine_tune(tmp_path, max_steps=400, checkpoint_steps=400)
    run = open_run(with_model, spec, rows_of(spec))
    started = when(lambda: (run.path / "metrics.jsonl").exists(), raise_interrupt)
    with pytest.raises(Interrupt):
        train(run, spec, rows_of(spec), each=started)
    assert not [pid for pid in descendants(os.getpid()) if _runs_training(pid)]
    checkpoint = latest_whole(run.path / "checkpoints")
    assert checkpoint is not None
    assert json.loads((checkpoint / "trainer_state.json").read_text())["global_step"] >= 1


def test_only_what_decides_the_result_names_the_run(tmp_path: Path, with_model: Platform) -> None:
    def key(**changes: object) -> str:
        spec = tiny_fine_tune(tmp_path, **changes)
        return open_run(with_model, spec, rows_of(spec)).key

    assert key() == key(micro_batch=2) == key(threads=2) == key(checkpoint_steps=7)
    assert len({key(), key(seed=1), key(learning_rate=1e-4), key(batch=8)}) == 4


def test_what_a_kill_after_the_end_left_is_removed(tuned: Tuned) -> None:
    (tuned.run.path / "data.jsonl").write_text("a copy of the text")
    (tuned.run.path / "pending").mkdir()
    assert not train(tuned.run, tuned.spec, tuned.rows)
    assert {path.name for path in tuned.run.path.iterdir()} >= {"adapter", "training.json"}
    assert not (tuned.run.path / "data.jsonl").exists()
    assert not (tuned.run.path / "pending").exists()


def test_a_broken_model_is_named_and_nothing_counts_as_trained(tmp_path: Path, with_model: Platform) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "llama"}')
    (broken / "model.safetensors").write_bytes(b"not weights")
    spec = tiny_fine_tune(tmp_path)
    spec = FineTuneSpec(spec.tenant, spec.folder, spec.settings.model_copy(update={"model": "path:broken"}))
    run = open_run(with_model, spec, rows_of(spec))
    with pytest.raises(TrainingError, match=r"train: .+"):
        train(run, spec, rows_of(spec))
    assert not run.finished
    with pytest.raises(fine_tune.UntrainedError, match="materialise acme/places/tuned_model first"):
        fine_tune.newest_run(with_model, spec, rows_of(spec))


def _runs_training(pid: int) -> bool:
    try:
        return b"llm_assets.training.train" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

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
from llm_assets.models.training_set import build_training_set
from llm_assets.training.checkpoints import file_digest, latest_whole
from resources.platform import Platform
from resources.process_supervisor import descendants
from tests.models.real_model import tiny_fine_tune

DEADLINE_SECONDS = 120


class Interrupt(Exception):
    """Ends the wait for a training, as cancelling a run does."""


def rows_of(spec: FineTuneSpec) -> list[dict[str, str]]:
    return list(build_training_set(spec, lambda: ([], "")).rows)


def weights(run: Run) -> str:
    return file_digest(run.adapter / "adapter_model.safetensors")


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


def test_a_killed_training_goes_on_and_ends_equal(tmp_path: Path, with_model: Platform) -> None:
    spec = tiny_fine_tune(tmp_path, max_steps=6)
    rows = rows_of(spec)
    undisturbed = open_run(with_model, spec, rows)
    assert train(undisturbed, spec, rows)
    expected, curve = weights(undisturbed), [row["loss"] for row in undisturbed.figures]
    undisturbed.path.rename(tmp_path / "undisturbed")

    run = open_run(with_model, spec, rows)
    assert run.path == undisturbed.path
    checkpoints = run.path / "checkpoints"
    with pytest.raises(TrainingError, match="was killed"):
        train(run, spec, rows, each=when(lambda: latest_whole(checkpoints), kill_everything))
    assert not run.finished
    resumed_from = latest_whole(checkpoints)
    assert resumed_from is not None

    assert train(run, spec, rows)
    assert weights(run) == expected
    assert [row["loss"] for row in run.figures] == curve
    assert run.finished
    assert sorted(path.name for path in run.path.iterdir()) == [
        "adapter",
        "job.json",
        "metrics.jsonl",
        "training.json",
    ]
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


def test_micro_batches_give_the_same_loss(tmp_path: Path, with_model: Platform) -> None:
    losses = []
    for micro_batch in (4, 2):
        spec = tiny_fine_tune(tmp_path, max_steps=2, micro_batch=micro_batch)
        run = open_run(with_model, spec, rows_of(spec))
        train(run, spec, rows_of(spec))
        losses.append([row["loss"] for row in run.figures])
        run.path.rename(tmp_path / f"micro-{micro_batch}")
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


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
        fine_tune.finished_run(with_model, spec, rows_of(spec))


def _runs_training(pid: int) -> bool:
    try:
        return b"llm_assets.training.train" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

"""Several devices that disagree (on a step, on a sum, on when to stop) give another model, or hang for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_assets.models.children import TrainingError
from llm_assets.models.launching import Layout
from llm_assets.training.checkpoints import latest_whole
from resources.process_supervisor import descendants
from tests.tiny_model import save_tiny_model
from tests.training.tiny_runs import Interrupt, TinyRun, interrupt_when, tiny_run

ONE = Layout()
DDP = Layout(processes=2, sharding="ddp")
FSDP = Layout(processes=2, sharding="fsdp")
SUPERVISOR = "process_supervisor.py"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers."""
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> TinyRun:
    """A LoRA trained by one process."""
    return _finished(tiny_run(tmp_path_factory.mktemp("alone"), tiny_model), ONE)


@pytest.fixture(scope="session")
def alone_full(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> TinyRun:
    """All weights trained by one process."""
    return _finished(tiny_run(tmp_path_factory.mktemp("alone_full"), tiny_model, method="full"), ONE)


def _finished(run: TinyRun, layout: Layout) -> TinyRun:
    run.go(layout)
    return run


def _same(run: TinyRun, other: TinyRun) -> None:
    assert len(run.losses) == 30
    assert other.losses[-1] < other.losses[0] - 0.5, "it learns, so that the comparison says something"
    assert run.losses == pytest.approx(other.losses, abs=0.02)
    assert run.run.key == other.run.key, "how it is carried out names no other run"


def test_two_processes_train_what_one_trains(alone: TinyRun, tiny_model: Path, tmp_path: Path) -> None:
    _same(_finished(tiny_run(tmp_path, tiny_model), DDP), alone)


@pytest.mark.long
@pytest.mark.parametrize("layout", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_all_weights_train_over_two_processes(
    layout: Layout, alone_full: TinyRun, tiny_model: Path, tmp_path: Path
) -> None:
    _same(_finished(tiny_run(tmp_path, tiny_model, method="full"), layout), alone_full)


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "after"),
    [(FSDP, ONE), (ONE, FSDP), (DDP, ONE), (ONE, DDP)],
    ids=["fsdp-one", "one-fsdp", "ddp-one", "one-ddp"],
)
def test_a_stopped_training_goes_on_with_another_number_of_devices(
    before: Layout, after: Layout, alone: TinyRun, tiny_model: Path, tmp_path: Path
) -> None:
    training = tiny_run(tmp_path, tiny_model)
    checkpoints = training.run.path / "checkpoints"
    with pytest.raises(Interrupt):
        training.go(before, each=interrupt_when(lambda: latest_whole(checkpoints)))
    stopped = latest_whole(checkpoints)
    assert stopped is not None
    assert not training.run.finished
    assert {"adapter_model.safetensors", "optimizer.pt", "scheduler.pt"} <= {file.name for file in stopped.iterdir()}
    training.go(after)
    _same(training, alone)


@pytest.mark.long
def test_cancelling_ends_every_rank_within_ten_seconds_and_keeps_the_step(tiny_model: Path, tmp_path: Path) -> None:
    training = tiny_run(tmp_path, tiny_model, max_steps=5000, checkpoint_steps=5000)
    begun: list[float] = []

    def each() -> None:
        if training.run.path.joinpath("metrics.jsonl").exists():
            begun.append(time.monotonic())
            raise Interrupt

    with pytest.raises(Interrupt):
        training.go(FSDP, each=each)
    assert time.monotonic() - begun[0] < 10
    assert not _trainers()
    assert latest_whole(training.run.path / "checkpoints") is not None


@pytest.mark.long
@pytest.mark.parametrize("victim", ["llm_assets.training.torchrun", "llm_assets.training.rank"])
def test_a_killed_process_takes_all_others_with_it(victim: str, tiny_model: Path, tmp_path: Path) -> None:
    training = tiny_run(tmp_path, tiny_model, max_steps=5000)
    killed: list[int] = []

    def each() -> None:
        if not killed and training.run.path.joinpath("metrics.jsonl").exists():
            killed.append(next(pid for pid, words in _trainers() if victim in words and SUPERVISOR not in words))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(TrainingError, match="was killed"):
        training.go(DDP, each=each)
    assert not _trainers()


@pytest.mark.long
def test_no_rank_outlives_the_supervisor(tiny_model: Path, tmp_path: Path) -> None:
    training = tiny_run(tmp_path, tiny_model, max_steps=5000)
    ranks: list[int] = []

    def each() -> None:
        if not ranks and training.run.path.joinpath("metrics.jsonl").exists():
            ranks.extend(pid for pid, words in _trainers() if "llm_assets.training.rank" in words)
            supervisor = next(pid for pid, words in _trainers() if SUPERVISOR in words)
            os.kill(supervisor, signal.SIGKILL)

    with pytest.raises(TrainingError):
        training.go(DDP, each=each)
    assert len(ranks) == 2
    _until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _words(pid) for pid in ranks))


def _trainers() -> list[tuple[int, str]]:
    """This process's torchruns, ranks and their supervisor; other tests' children, such as an embedder, are not."""
    found = [(pid, _words(pid)) for pid in descendants(os.getpid())]
    return [(pid, words) for pid, words in found if "llm_assets.training" in words]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _until(fact: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)

"""A step that is divided unequally, or a batch in a shape of its own, costs a wrong gradient or a compilation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from llm_assets.models import children
from llm_assets.models.children import Killed, OutOfMemory, TrainingError, run_job
from llm_assets.training.batching import token_losses, with_answers
from llm_assets.training.devices import Devices, loading_arguments
from llm_assets.training.devices.xla import bucket, widened
from llm_assets.training.encoding import Encoded

GB = 10**9


@pytest.mark.parametrize(
    ("world", "batch", "micro_batch", "expected"),
    [(1, 16, None, (16, 1)), (2, 16, None, (8, 1)), (2, 16, 4, (4, 2)), (4, 16, 8, (4, 1)), (2, 12, 4, (3, 2))],
)
def test_a_step_has_the_same_examples_on_any_number_of_devices(
    world: int, batch: int, micro_batch: int | None, expected: tuple[int, int]
) -> None:
    micro, accumulation = Devices("cpu", world, 0).split(batch, micro_batch)
    assert (micro, accumulation) == expected
    assert micro * accumulation * world == batch


def test_a_step_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch is 16, which 3 devices cannot share equally; take 15 or 18"):
        Devices("cuda", 3, 0).split(16, None)


def test_lengths_fall_into_few_buckets() -> None:
    assert [bucket(length) for length in (1, 32, 33, 48, 49, 65, 97, 500)] == [32, 32, 48, 48, 64, 96, 128, 512]
    assert len({bucket(length) for length in range(1, 2049)}) == 13


def test_a_widened_batch_has_the_same_losses() -> None:
    torch.manual_seed(0)
    examples = [Encoded((5, 6, 7), (8, 9), False), Encoded((5,), (6, 7, 8), False)]
    batch = with_answers(examples, 0)
    wide = widened(batch)
    assert wide["input_ids"].shape == wide["attention_mask"].shape == wide["labels"].shape == (2, 32)
    assert wide["attention_mask"].sum() == batch["attention_mask"].sum()
    assert wide["input_ids"][:, -5:].tolist() == batch["input_ids"].tolist()
    logits = torch.randn(2, 32, 10)
    losses = token_losses(logits[:, -batch["logits_to_keep"] :], batch["labels"])
    widened_losses = token_losses(logits[:, -wide["logits_to_keep"] :], wide["labels"])
    assert widened_losses.sum(1).tolist() == pytest.approx(losses.sum(1).tolist())


def test_a_model_that_is_only_used_is_spread_over_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loading_arguments() == {"dtype": "auto"}, "on a CPU nothing is placed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert loading_arguments()["device_map"] == {"": 0}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((80 - 40 * device) * GB, 80 * GB))
    found = loading_arguments()
    assert found["device_map"] == "auto"
    assert 73 * GB < found["max_memory"][0] < 74 * GB
    assert 36 * GB < found["max_memory"][1] < 37 * GB


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, less: str = "") -> None:
    (tmp_path / "job_module.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run_job("job_module", tmp_path / "job.json", tmp_path, less=less)


def test_a_killed_job_has_run_out_of_memory_only_where_the_kernel_says_so_and_says_how_much_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, signal, time\nkept = b'x' * 200_000_000\ntime.sleep(1.5)\nos.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(Killed, match="killed from outside"):
        _run(tmp_path, monkeypatch, code)
    counted = iter(range(2))
    monkeypatch.setattr(children, "oom_kills", lambda: next(counted))
    with pytest.raises(OutOfMemory, match="killed for want of memory") as caught:
        _run(tmp_path, monkeypatch, code)
    assert 200_000_000 < (caught.value.peak_bytes or 0) < 400_000_000


def test_a_job_that_says_it_ran_out_gives_its_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = '{"kind": "OutOfMemory", "message": "no room", "peak_bytes": 7}'
    code = f"import sys, pathlib\npathlib.Path(sys.argv[2], 'failure.json').write_text('{failure}')\nsys.exit(1)"
    with pytest.raises(OutOfMemory, match=r"no room; lower answers\.batch") as caught:
        _run(tmp_path, monkeypatch, code, less="lower answers.batch")
    assert caught.value.peak_bytes == 7


def test_another_failure_is_not_one_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="exit code 3") as caught:
        _run(tmp_path, monkeypatch, "import sys\nsys.exit(3)")
    assert not isinstance(caught.value, OutOfMemory)


def test_the_training_code_needs_neither_dagster_nor_a_database() -> None:
    forbidden = "{'dagster', 'sqlalchemy', 'lancedb', 'psycopg2', 'unstructured'}"
    code = f"import sys, llm_assets.training.train; print(sorted({forbidden} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

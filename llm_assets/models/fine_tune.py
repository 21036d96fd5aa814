"""A fine-tune: a run directory keyed by what determines the result, filled by a process of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models.children import run_job
from llm_assets.models.training_set import TRAIN, rows_digest
from llm_assets.training.checkpoints import file_digest, is_whole
from llm_assets.training.jobs import TrainJob, read_rows, write_rows
from llm_assets.training.reporting import METRICS
from resources import processes
from resources import state_schema as schema
from resources.digests import digest, digest_json
from resources.language_model import LanguageModel, open_language_model

if TYPE_CHECKING:
    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform
    from resources.processes import Start

TRAINER_VERSION = "1"  # part of the run's key: raise it when the same job gives another result
KEY_CHARS = 16
ADAPTER, SUMMARY = "adapter", "training.json"

Each = Callable[[], None]


class UntrainedError(RuntimeError):
    """There is no finished training for the configured fine-tune yet."""


@dataclass(frozen=True)
class Run:
    """A training: finished, under way or not begun.

    Attributes:
        path: its folder.
        key: digest of what determines the result: base model, data, decisive settings.
        base: the base model.
    """

    path: Path
    key: str
    base: LanguageModel

    @property
    def adapter(self) -> Path:
        """The folder of the tuned weights."""
        return self.path / ADAPTER

    @property
    def finished(self) -> bool:
        """Whether the result is there, whole."""
        return is_whole(self.adapter)

    @property
    def version(self) -> str:
        """Names the tuned model by its content."""
        return digest(self.key, file_digest(self.adapter / "adapter_model.safetensors"))[:KEY_CHARS]

    @property
    def summary(self) -> dict[str, Any]:
        """Figures of the finished training."""
        return json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))

    @property
    def figures(self) -> list[dict[str, float]]:
        """Step, loss, learning rate and rate of each step; a step that was repeated after a kill counts once."""
        rows = read_rows(self.path / METRICS)
        return [row for _, row in sorted({row["step"]: row for row in rows}.items())]


def open_run(platform: Platform, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> Run:
    """The run of a fine-tune on a training set.

    Args:
        platform: where runs and converted models lie.
        spec: the fine-tune.
        rows: of the training set, both sides.

    Raises:
        ModelError: the base model cannot be used.
    """
    base = open_language_model(spec.settings.model, base=spec.folder, cache_dir=platform.cache)
    trained = [dict(row) for row in rows if row["split"] == TRAIN]
    key = digest_json([TRAINER_VERSION, base.digest, rows_digest(trained), spec.settings.training.decisive])
    return Run(platform.runs(spec.tenant, spec.name) / key[:KEY_CHARS], key, base)


def train(
    run: Run,
    spec: FineTuneSpec,
    rows: Sequence[Mapping[str, Any]],
    *,
    start: Start = processes.start,
    each: Each = lambda: None,
) -> bool:
    """Train until the run is finished; a finished one is left as it is, a killed one goes on.

    Args:
        run: from `open_run`.
        spec: the fine-tune.
        rows: of the training set.
        start: starts the training process: a lease's, or `processes.start`.
        each: called while it runs.

    Returns:
        Whether anything was trained.

    Raises:
        TrainingError: the process failed.
    """
    if run.finished:
        _tidy(run)
        return False
    shutil.rmtree(run.adapter, ignore_errors=True)  # broken: sealed once, but not whole any more
    run.path.mkdir(parents=True, exist_ok=True)
    data = run.path / "data.jsonl"
    write_rows(data, [dict(row) for row in rows if row["split"] == TRAIN])
    settings = spec.settings.training
    job = TrainJob(
        model=str(run.base.path),
        reference=run.base.reference,
        data=str(data),
        settings=settings.model_dump(),
        threads=settings.threads,
        label=spec.id,
    )
    job.write(run.path / "job.json")
    module = "llm_assets.training.train"
    run_job(module, run.path / "job.json", run.path, threads=settings.threads, start=start, each=each)
    _tidy(run)
    return True


def _tidy(run: Run) -> None:
    """What a finished run needs no more. The text lives in the training set only."""
    (run.path / "data.jsonl").unlink(missing_ok=True)
    for folder in ("pending", "checkpoints"):
        shutil.rmtree(run.path / folder, ignore_errors=True)


def remember_documents(platform: Platform, spec: FineTuneSpec, run: Run, rows: Sequence[Mapping[str, Any]]) -> int:
    """Note which documents a version has been trained on, for lineage and `forget`. Returns how many."""
    documents = sorted({row["doc_id"] for row in rows if row["split"] == TRAIN and row["doc_id"]})
    if spec.corpus is None or not documents:
        return 0
    who = {"tenant": spec.tenant, "model": spec.name, "version": run.version, "corpus": spec.corpus}
    platform.state.put(schema.trained_on, [{**who, "doc_id": doc_id} for doc_id in documents])
    return len(documents)


def finished_run(platform: Platform, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> Run:
    """The finished run of the configured fine-tune.

    Raises:
        UntrainedError: it is not finished.
    """
    run = open_run(platform, spec, rows)
    if not run.finished:
        raise UntrainedError(
            f"{spec.id}: this base model has not been trained on the present training set with the present "
            f"settings; materialise {spec.id}/tuned_model first"
        )
    return run

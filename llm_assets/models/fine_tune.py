"""A fine-tune: a run directory keyed by what determines the result, filled by a process of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets.models.children import PLAIN, run_job
from llm_assets.models.launching import Layout
from llm_assets.models.settings import TrainingSettings
from llm_assets.models.training_set import TRAIN, rows_digest
from llm_assets.training.checkpoints import BROKEN, is_whole, put_aside, sealed_digests
from llm_assets.training.jobs import SUMMARY, TrainJob, read_rows, result_folder, write_rows
from llm_assets.training.reporting import METRICS
from resources import processes
from resources import state_schema as schema
from resources.digests import digest, digest_json
from resources.language_model import LanguageModel, open_language_model
from resources.state import now

if TYPE_CHECKING:
    from llm_assets.models.settings import FineTuneSpec, Method
    from resources.platform import Platform
    from resources.processes import Start

TRAINER_VERSION = "2"  # part of the run's key: raise it when the same job gives another result
KEY_CHARS = 16

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
        data: digest of the rows that are trained on.
        settings: how it is trained.
    """

    path: Path
    key: str
    base: LanguageModel
    data: str
    settings: TrainingSettings

    @property
    def method(self) -> Method:
        """What is trained: an adapter (`lora`, `qlora`) or all weights (`full`)."""
        return self.settings.method

    @property
    def weights(self) -> Path:
        """The sealed folder of the tuned weights: an adapter, or a whole model."""
        return self.path / result_folder(self.method)

    @property
    def finished(self) -> bool:
        """Whether the result is there, whole."""
        return is_whole(self.weights)

    @property
    def version(self) -> str:
        """Names the tuned model by its content, as its seal says it; `finished` compares the two."""
        sealed = sealed_digests(self.weights)
        files = sorted(name for name in sealed if name.endswith(".safetensors") and "/" not in name)
        return digest(self.key, *(sealed[name] for name in files))[:KEY_CHARS]

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
    settings, data = spec.settings.training, trained_digest(rows)
    key = digest_json([TRAINER_VERSION, base.digest, data, settings.decisive])
    return Run(platform.runs(spec.tenant, spec.name) / key[:KEY_CHARS], key, base, data, settings)


def trained_digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Digest of those rows of a training set that are trained on."""
    return rows_digest([dict(row) for row in rows if row["split"] == TRAIN])


def train(
    run: Run,
    spec: FineTuneSpec,
    rows: Sequence[Mapping[str, Any]],
    *,
    start: Start = processes.start,
    each: Each = lambda: None,
    layout: Layout = PLAIN,
    kept_tokens: int | None = None,
) -> bool:
    """Train until the run is finished; a finished one is left as it is, a killed one goes on.

    Args:
        run: from `open_run`.
        spec: the fine-tune.
        rows: of the training set.
        start: starts the training process: a lease's, or `processes.start`.
        each: called while it runs.
        layout: how many processes train together, and on what.
        kept_tokens: the most tokens at once whose activations fit; None: not known.

    Returns:
        Whether anything was trained.

    Raises:
        TrainingError: the process failed.
    """
    if run.finished:
        _tidy(run)
        return False
    put_aside(run.weights)
    run.path.mkdir(parents=True, exist_ok=True)
    data = run.path / "data.jsonl"
    write_rows(data, [dict(row) for row in rows if row["split"] == TRAIN])
    settings = run.settings
    job = TrainJob(
        model=str(run.base.path),
        reference=run.base.reference,
        data=str(data),
        settings=settings.model_dump(),
        threads=settings.threads,
        label=spec.id,
        provenance=provenance(run),
        kept_tokens=kept_tokens,
    )
    job.write(run.path / "job.json")
    module = "llm_assets.training.train"
    run_job(
        module, run.path / "job.json", run.path, threads=settings.threads, start=start, each=each, processes=layout
    )
    _tidy(run)
    return True


def _tidy(run: Run) -> None:
    """What a finished run needs no more. The text lives in the training set only."""
    (run.path / "data.jsonl").unlink(missing_ok=True)
    for folder in (run.path / "pending", run.path / "checkpoints", *run.path.glob(f"{BROKEN}*")):
        shutil.rmtree(folder, ignore_errors=True)


def remember_documents(platform: Platform, spec: FineTuneSpec, run: Run, rows: Sequence[Mapping[str, Any]]) -> int:
    """Note which documents a version has been trained on, for lineage and `forget`. Returns how many."""
    documents = sorted({row["doc_id"] for row in rows if row["split"] == TRAIN and row["doc_id"]})
    if spec.corpus is None or not documents:
        return 0
    who = {"tenant": spec.tenant, "model": spec.name, "version": run.version, "corpus": spec.corpus}
    platform.state.put(schema.trained_on, [{**who, "doc_id": doc_id} for doc_id in documents])
    return len(documents)


def provenance(run: Run) -> dict[str, Any]:
    """What a result is made of; it is sealed with the weights, which are refused on another base model."""
    return {
        "base": run.base.reference,
        "base_digest": run.base.digest,
        "method": run.method,
        "trainer": TRAINER_VERSION,
        "data": run.data,
        "settings": run.settings.decisive,
    }


def remember_run(platform: Platform, spec: FineTuneSpec, run: Run) -> None:
    """Note that this is the newest finished run of a fine-tune: what is evaluated and promoted next."""
    row = {
        "tenant": spec.tenant,
        "model": spec.name,
        "key": run.key,
        "version": run.version,
        "base": run.base.reference,
        "base_digest": run.base.digest,
        "data": run.data,
        "settings": run.settings.model_dump(mode="json"),
        "trained_at": now(),
    }
    with platform.state.write() as connection:
        connection.execute(schema.trained_runs.insert().values(**row))


def newest_run(platform: Platform, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> Run:
    """The run that `tuned_model` materialised last, with whatever parameters it was launched.

    Args:
        platform: where runs lie.
        spec: the fine-tune.
        rows: of the training set as it is now, both sides.

    Raises:
        UntrainedError: there is none; or the training set or the base model has changed since; or its files are gone.
        ModelError: the base model cannot be used.
    """
    table = schema.trained_runs
    of_this = (table.c.tenant == spec.tenant, table.c.model == spec.name)
    row = platform.state.first(sa.select(table).where(*of_this).order_by(table.c.seq.desc()).limit(1))
    advice = f"materialise {spec.id}/tuned_model first"
    if row is None:
        raise UntrainedError(f"{spec.id}: nothing has been trained yet; {advice}")
    if row["data"] != trained_digest(rows):
        raise UntrainedError(f"{spec.id}: the training set has changed since {row['version']} was trained; {advice}")
    base = open_language_model(row["base"], base=spec.folder, cache_dir=platform.cache)
    if base.digest != row["base_digest"]:
        raise UntrainedError(f"{spec.id}: {row['base']} has changed since {row['version']} was trained; {advice}")
    settings = TrainingSettings.model_validate(row["settings"])
    run = Run(platform.runs(spec.tenant, spec.name) / row["key"][:KEY_CHARS], row["key"], base, row["data"], settings)
    if not run.finished:
        raise UntrainedError(
            f"{spec.id}: the weights of {row['version']} are not in {run.weights} any more; {advice}"
        )
    return run

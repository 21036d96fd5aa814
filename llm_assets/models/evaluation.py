"""The examination: base model against tuned model on the held-out examples, with how sure each figure is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets import evaluations
from llm_assets.models.children import run_job
from llm_assets.models.fine_tune import KEY_CHARS, Each, Run, UntrainedError
from llm_assets.models.scoring import Estimate, accurate, exact_match, mean, paired_difference, share
from llm_assets.models.training_set import HELD_OUT, rows_digest
from llm_assets.training.jobs import EvaluateJob, read_rows, write_rows
from resources import processes
from resources.digests import digest_json

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform
    from resources.processes import Start
    from resources.state import State
    from resources.tables import Table

EVALUATOR_VERSION = "1"  # part of the key: raise it when the same models would get other figures
ANSWERS = "answers.jsonl"
ANSWER_COLUMNS = (
    *("example_id", "version", "tokens"),
    *("base_answer", "base_accurate", "base_exact", "base_loss"),
    *("tuned_answer", "tuned_accurate", "tuned_exact", "tuned_loss"),
)


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        version: of the tuned model.
        rows: one an example: answers, whether they are right, losses.
        estimates: `accuracy`, `exact_match` and `loss` of the tuned model, the same with `base_` of the base
            model, and with `_gain` the paired difference, positive where the tuned model is better.
    """

    version: str
    rows: list[dict[str, Any]]
    estimates: dict[str, Estimate]

    @property
    def metrics(self) -> dict[str, float]:
        """The values alone."""
        return {name: estimate.value for name, estimate in self.estimates.items()}


def pending(run: Run, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the models have still to be asked."""
    return not (_folder(run, spec, examined_rows(spec, rows)) / ANSWERS).exists()


def ask(
    run: Run,
    spec: FineTuneSpec,
    rows: Sequence[Mapping[str, Any]],
    *,
    start: Start = processes.start,
    each: Each = lambda: None,
) -> None:
    """Put the held-out examples to both models and keep their answers.

    Args:
        run: finished.
        spec: the fine-tune.
        rows: of the training set.
        start: starts the process: a lease's, or `processes.start`.
        each: called while it runs.

    Raises:
        TrainingError: the process failed.
    """
    held_out = examined_rows(spec, rows)
    folder = _folder(run, spec, held_out)
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.jsonl"
    write_rows(data, held_out)
    job = _job(run, spec, data)
    job.write(folder / "job.json")
    module = "llm_assets.training.evaluate"
    run_job(module, folder / "job.json", folder, threads=job.threads, start=start, each=each)
    data.unlink()  # the text lives in the training set only


def judge(run: Run, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> Evaluation:
    """Judge the answers that `ask` has kept.

    Raises:
        UntrainedError: there are none.
    """
    held_out = examined_rows(spec, rows)
    file = _folder(run, spec, held_out) / ANSWERS
    if not file.exists():
        raise UntrainedError(f"{spec.id}: version {run.version} was not examined; materialise {spec.id}/evaluation")
    answers = {row["example_id"]: row for row in read_rows(file)}
    judged = [_judged(row, answers[row["example_id"]], run.version) for row in held_out]
    return Evaluation(run.version, judged, _estimates(judged))


def examined_rows(spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The held-out rows that are asked: all, or the first by digest."""
    held_out = sorted((dict(row) for row in rows if row["split"] == HELD_OUT), key=lambda row: row["example_id"])
    return held_out[: spec.settings.evaluation.max_examples]


def evaluation_table(platform: Platform, spec: FineTuneSpec) -> Table:
    """The latest evaluation, one row an example."""
    return platform.tables(spec.tenant, spec.name).table("evaluation", _schema, "example_id")


def store_evaluation(platform: Platform, spec: FineTuneSpec, evaluation: Evaluation) -> None:
    """Keep the rows in the table and the figures in the state database."""
    table = evaluation_table(platform, spec)
    versions = sorted({evaluation.version, *table.column("version")})
    table.replace("version", versions, evaluation.rows)
    estimates = {name: asdict(estimate) for name, estimate in evaluation.estimates.items()}
    details = {"estimates": estimates, "examples": len(evaluation.rows)}
    subject = evaluation.version
    evaluations.record(platform.state, spec.tenant, "model", spec.name, subject, evaluation.metrics, details)


def latest_metrics(state: State, tenant: str, model: str) -> dict[str, float]:
    """The figures of the last evaluation; empty where there is none."""
    found = evaluations.latest(state, tenant, "model", model)
    return found.metrics if found else {}


def _folder(run: Run, spec: FineTuneSpec, held_out: list[dict[str, Any]]) -> Path:
    """Keyed by what determines the answers."""
    settings = spec.settings.evaluation
    key = digest_json([EVALUATOR_VERSION, run.version, rows_digest(held_out), settings.max_new_tokens])
    return run.path / "evaluations" / key[:KEY_CHARS]


def _job(run: Run, spec: FineTuneSpec, data: Path) -> EvaluateJob:
    training = spec.settings.training
    return EvaluateJob(
        model=str(run.base.path),
        adapter=str(run.weights),
        data=str(data),
        settings=spec.settings.evaluation.model_dump(),
        max_tokens=training.max_tokens,
        chat=training.chat,
        threads=training.threads,
        label=spec.id,
    )


def _judged(row: Mapping[str, Any], answer: Mapping[str, Any], version: str) -> dict[str, Any]:
    judged: dict[str, Any] = {"example_id": row["example_id"], "version": version, "tokens": answer["tokens"]}
    for side in ("base", "tuned"):
        said = answer[f"{side}_answer"] if row["prompt"] else None
        judged |= {f"{side}_answer": said, f"{side}_loss": answer[f"{side}_loss"]}
        judged[f"{side}_accurate"] = None if said is None else accurate(said, row["completion"])
        judged[f"{side}_exact"] = None if said is None else exact_match(said, row["completion"])
    return judged


def _estimates(rows: Sequence[Mapping[str, Any]]) -> dict[str, Estimate]:
    tokens = [row["tokens"] for row in rows]
    base_loss, tuned_loss = [row["base_loss"] for row in rows], [row["tuned_loss"] for row in rows]
    found = {
        "loss": mean(tuned_loss, tokens),
        "base_loss": mean(base_loss, tokens),
        "loss_gain": paired_difference(tuned_loss, base_loss, tokens),
    }
    asked = [row for row in rows if row["tuned_answer"] is not None]
    for name, column in (("accuracy", "accurate"), ("exact_match", "exact")) if asked else ():
        base, tuned = [row[f"base_{column}"] for row in asked], [row[f"tuned_{column}"] for row in asked]
        found |= {name: share(tuned), f"base_{name}": share(base), f"{name}_gain": paired_difference(base, tuned)}
    return found


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"tokens": pa.int32(), "accurate": pa.bool_(), "exact": pa.bool_(), "loss": pa.float64()}
    return pa.schema(
        [(name, types.get(name, types.get(name.partition("_")[2], pa.string()))) for name in ANSWER_COLUMNS]
    )

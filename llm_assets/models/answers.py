"""Batch inference: the promoted model answers every input once; what has not changed is not asked again.

An answer is kept by what determines it: the model's version, the prompt, the settings. The process that holds the
device writes batch after batch into a work file; a killed run's whole batches are taken over by the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models import lineage, promotion
from llm_assets.models.children import run_job
from llm_assets.models.inputs import Input
from llm_assets.training.answer_job import ANSWERS, AnswerJob
from llm_assets.training.jobs import read_rows, write_rows
from resources import processes
from resources.digests import digest_all, digest_json
from resources.language_model import LanguageModel, open_language_model

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.models.lineage import Lineage
    from llm_assets.models.settings import AnswersSettings, FineTuneSpec
    from resources.platform import Platform
    from resources.processes import Start
    from resources.tables import Table

ANSWERER_VERSION = "1"  # part of an answer's key: raise it when the same model would get other answers
COLUMNS = ("input_id", "answer_key", "version", "prompt", "answer", "origin", "corpus", "doc_id")


class NothingPromotedError(RuntimeError):
    """There is no promoted model to ask."""


@dataclass(frozen=True)
class Answerer:
    """The promoted model of a fine-tune, ready to be asked.

    Attributes:
        made: from what its version came.
        base: its base model.
        weights: folder of its weights.
    """

    made: Lineage
    base: LanguageModel
    weights: Path

    @property
    def version(self) -> str:
        """Of the promoted model."""
        return self.made.version

    @property
    def training(self) -> Mapping[str, Any]:
        """How it was trained: prompts are encoded in the same way."""
        return self.made.config["training"]

    def key(self, prompt: str, settings: AnswersSettings) -> str:
        """What determines an answer."""
        encoded = [self.training["max_tokens"], self.training["chat"]]
        return digest_json([ANSWERER_VERSION, self.version, prompt, settings.decisive, *encoded])


def promoted_answerer(platform: Platform, spec: FineTuneSpec, version: str | None = None) -> Answerer:
    """The promoted model, or an earlier promoted version of it.

    Args:
        platform: where models lie.
        spec: the fine-tune.
        version: that is or was promoted; None is the promoted one.

    Raises:
        NothingPromotedError: there is none, or its weights are gone.
        ModelError: its base model cannot be used.
    """
    return find_answerer(platform, spec.tenant, spec.name, spec.folder, version)


def find_answerer(
    platform: Platform, tenant: str, model: str, folder: Path | None, version: str | None = None
) -> Answerer:
    """As `promoted_answerer`, by name; `folder` is where a relative path of the base model starts."""
    name, kept = f"{tenant}/{model}", promotion.history(platform.state, tenant, model)
    found = next((entry for entry in kept if version in (None, entry.version)), None)
    if found is None:
        known = ", ".join(dict.fromkeys(entry.version for entry in kept)) or "nothing"
        asked = f"version {version} is not promoted, nor kept; kept" if version else "nothing is promoted; promoted"
        raise NothingPromotedError(f"{name}: {asked}: {known}. Materialise {name}/promoted_model")
    made = lineage.find(platform.state, tenant, model, found.version)
    if made is None or not found.path.is_dir():
        raise NothingPromotedError(f"{name}: the weights of version {found.version} are not in {found.path} any more")
    base = open_language_model(made.base, base=folder, cache_dir=platform.cache)
    if base.digest != made.base_digest:
        raise NothingPromotedError(
            f"{name}: {made.base} has changed since version {found.version} was trained; bring it back, or train"
        )
    return Answerer(made, base, found.path)


def missing(table: Table, inputs: Sequence[Input], answerer: Answerer, settings: AnswersSettings) -> list[Input]:
    """The inputs that the table has no answer of this model for."""
    kept = set(table.column("answer_key"))
    return [one for one in inputs if answerer.key(one.prompt, settings) not in kept]


def answer(
    platform: Platform,
    spec: FineTuneSpec,
    settings: AnswersSettings,
    answerer: Answerer,
    inputs: Sequence[Input],
    *,
    start: Start = processes.start,
    each: Callable[[], None] = lambda: None,
) -> int:
    """Make the table hold exactly the answers of this model to these inputs.

    Args:
        platform: where the table lies.
        spec: the fine-tune.
        settings: what is asked.
        answerer: who is asked.
        inputs: all of them.
        start: starts the process: a lease's, or `processes.start`.
        each: called while it runs.

    Returns:
        How many were asked now.

    Raises:
        TrainingError: the process failed.
    """
    table, folder = answers_table(platform, spec), work_folder(platform, spec)
    _drop_unwanted(table, inputs)
    _take_over(table, folder, answerer, inputs, settings)
    asked = missing(table, inputs, answerer, settings)
    if asked:
        _ask(folder, spec, settings, answerer, asked, start, each)
        _take_over(table, folder, answerer, inputs, settings)
    shutil.rmtree(folder, ignore_errors=True)  # the text lives in the table only
    return len(asked)


def answers_table(platform: Platform, spec: FineTuneSpec) -> Table:
    """One row an input: its prompt, the answer, the version that gave it, and the document it comes from."""
    return platform.tables(spec.tenant, spec.name).table("answers", _schema, "input_id")


def work_folder(platform: Platform, spec: FineTuneSpec) -> Path:
    """Where a run keeps what it has until it is in the table; `forget` removes it."""
    return platform.runs(spec.tenant, spec.name) / "answers"


def data_version(table: Table) -> str:
    """Digest of the answers: equal for the same answers to the same inputs."""
    rows = (row for batch in table.scan(["input_id", "answer"]) for row in batch.to_pylist())
    return digest_all(f"{row['input_id']} {row['answer']}" for row in rows)


def _ask(
    folder: Path,
    spec: FineTuneSpec,
    settings: AnswersSettings,
    answerer: Answerer,
    asked: Iterable[Input],
    start: Start,
    each: Callable[[], None],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.jsonl"
    write_rows(data, [{"key": answerer.key(one.prompt, settings), "prompt": one.prompt} for one in asked])
    job = AnswerJob(
        model=str(answerer.base.path),
        weights=str(answerer.weights),
        data=str(data),
        max_tokens=answerer.training["max_tokens"],
        chat=answerer.training["chat"],
        max_new_tokens=settings.max_new_tokens,
        one_line=settings.one_line,
        batch=settings.batch,
        threads=answerer.training.get("threads"),
        label=spec.id,
    )
    job.write(folder / "job.json")
    module = "llm_assets.training.answer"
    run_job(
        module,
        folder / "job.json",
        folder,
        threads=job.threads,
        start=start,
        each=each,
        less="lower answers.batch",
    )


def _take_over(
    table: Table, folder: Path, answerer: Answerer, inputs: Sequence[Input], settings: AnswersSettings
) -> None:
    """Put finished answers of the work file into the table, in one transaction."""
    file = folder / ANSWERS
    if not file.exists():
        return
    said = {row["key"]: row["answer"] for row in read_rows(file)}
    keyed = [(one, answerer.key(one.prompt, settings)) for one in inputs]
    rows = [_row(one, key, answerer.version, said[key]) for one, key in keyed if key in said]
    table.replace("input_id", [row["input_id"] for row in rows], rows)


def _drop_unwanted(table: Table, inputs: Sequence[Input]) -> None:
    wanted = {one.input_id for one in inputs}
    table.delete("input_id", sorted(set(table.column("input_id")) - wanted))


def _row(one: Input, key: str, version: str, said: str) -> dict[str, Any]:
    origin = {"origin": one.origin, "corpus": one.corpus, "doc_id": one.doc_id}
    return {"input_id": one.input_id, "answer_key": key, "version": version, "prompt": one.prompt, "answer": said} | (
        origin
    )


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in COLUMNS])

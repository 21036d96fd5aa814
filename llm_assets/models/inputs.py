"""The rows that a promoted model is asked about, each with its prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from llm_assets.models.corpus_examples import check_template, fields_of
from llm_assets.models.examples import ExamplesError, read_content, read_table
from llm_assets.models.training_set import corpus_chunks
from resources.digests import digest

if TYPE_CHECKING:
    from llm_assets.models.settings import AnswersSettings, FineTuneSpec
    from resources.platform import Platform

PARQUET_ROWS = 1024


@dataclass(frozen=True)
class Input:
    """One thing to ask.

    Attributes:
        input_id: names the row.
        prompt: what the model is given.
        origin: `file`, or the URI of the document it comes from.
        corpus, doc_id: that document.
    """

    input_id: str
    prompt: str
    origin: str = "file"
    corpus: str | None = None
    doc_id: str | None = None


def read_inputs(platform: Platform, spec: FineTuneSpec, settings: AnswersSettings) -> list[Input]:
    """All inputs, one for each id.

    Raises:
        ExamplesError: the file is malformed, a column is missing, two rows have one name, or the corpus is not there.
    """
    if settings.inputs.corpus:
        chunks, source = corpus_chunks(platform, spec, settings.inputs.corpus)
        return list(_of_corpus(settings, chunks, source))
    return list(_of_file(settings, inputs_file(spec, settings)))


def inputs_file(spec: FineTuneSpec, settings: AnswersSettings) -> Path:
    """The file of inputs."""
    return (settings.inputs.base or spec.folder) / (settings.inputs.path or "")


def inputs_version(spec: FineTuneSpec, settings: AnswersSettings) -> str:
    """Digest of the file of inputs.

    Raises:
        ExamplesError: it cannot be read.
    """
    return digest(read_content(inputs_file(spec, settings)))


def template_names(template: str) -> list[str]:
    """The columns that a template holds.

    Raises:
        ExamplesError: it is malformed, or looks into a column.
    """
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ExamplesError(f"answers.prompt: {error}; a literal brace is written twice") from None
    for name in names:
        if not name or any(mark in name for mark in ".[]"):
            raise ExamplesError(f"answers.prompt: {{{name}}} is no column; a literal brace is written twice")
    return names


def _of_corpus(settings: AnswersSettings, chunks: Iterable[Mapping[str, Any]], source: str) -> Iterator[Input]:
    check_template("answers.prompt", settings.prompt)
    for row in chunks:
        prompt = settings.prompt.format(**fields_of(row, source))
        yield Input(row["chunk_id"], prompt, row["uri"], settings.inputs.corpus, row["doc_id"])


def _of_file(settings: AnswersSettings, file: Path) -> Iterator[Input]:
    names, key, seen = template_names(settings.prompt), settings.inputs.key, dict[str, int]()
    for line, row in _rows(file):
        for name in [*names, *([key] if key else [])]:
            if row.get(name) is None:
                raise ExamplesError(
                    f"{file}, line {line}: has no '{name}'; columns there: {', '.join(map(str, row))}"
                )
        prompt = settings.prompt.format(**{name: row[name] for name in names})
        if not prompt.strip():
            raise ExamplesError(f"{file}, line {line}: gives an empty prompt")
        input_id = str(row[key]) if key else digest("input", prompt)
        if key and input_id in seen:
            raise ExamplesError(f"{file}, line {line}: {key} '{input_id}' is also that of line {seen[input_id]}")
        if input_id not in seen:
            yield Input(input_id, prompt)
        seen[input_id] = line


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if file.suffix.lower() != ".parquet":
        yield from read_table(file)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            batches = (row for batch in table.iter_batches(PARQUET_ROWS) for row in batch.to_pylist())
            yield from enumerate(batches, 1)
    except (OSError, pa.ArrowInvalid) as error:
        raise ExamplesError(f"{file}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None

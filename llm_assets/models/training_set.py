"""The training set: examples from a file, from a corpus, or both; divided, and the division measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_assets.models.contamination import Contamination, contamination_of
from llm_assets.models.corpus_examples import COLUMNS, corpus_examples
from llm_assets.models.datasets import read_dataset
from llm_assets.models.examples import Example, ExamplesError, read_examples
from llm_assets.models.splitting import Split, compared, split
from resources.digests import digest_all

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform
    from resources.tables import Table

CODE_VERSION = "1"
TRAIN, HELD_OUT = "train", "held_out"
ROW_COLUMNS = ("example_id", "prompt", "completion", "messages", "split", "origin", "corpus", "doc_id")

Chunks = Callable[[], tuple[Sequence[dict[str, Any]], str]]


@dataclass(frozen=True)
class TrainingSet:
    """Rows as the table holds them, and how they came about."""

    rows: tuple[dict[str, Any], ...]
    division: Split
    contamination: Contamination
    from_file: int
    from_corpus: int

    @property
    def digest(self) -> str:
        """Of the content: the data version."""
        return rows_digest(self.rows)

    @property
    def warnings(self) -> list[str]:
        """What makes the set doubtful, though it can be trained on."""
        answers = {row["completion"].strip() for row in self.rows if row["prompt"]}
        asked = sum(bool(row["prompt"]) for row in self.rows)
        if asked > 1 and len(answers) == 1:
            return [f"all {asked} examples have one answer: a model learns to say it whatever it is asked"]
        return []

    def count(self, side: str) -> int:
        """Rows of `train` or `held_out`."""
        return sum(row["split"] == side for row in self.rows)


def build_training_set(spec: FineTuneSpec, chunks: Chunks) -> TrainingSet:
    """Gather, deduplicate, divide and measure.

    Args:
        spec: the fine-tune.
        chunks: gives the corpus' chunk rows and its source's path; called only if a corpus is named.

    Raises:
        ExamplesError: examples are missing or malformed, or too few to divide.
    """
    data, file = spec.settings.data, spec.examples_file
    from_file = read_examples(file, data.examples.columns) if file and data.examples else []
    from_file += read_dataset(data.dataset, spec.folder) if data.dataset else []
    from_corpus = corpus_examples(data.corpus, *chunks()) if data.corpus else []
    division = split(
        [*from_file, *from_corpus],
        held_out=data.held_out,
        duplicates_at=data.duplicates_at,
        together_at=data.together_at,
        seed=data.seed,
    )
    if not division.train or not division.held_out:
        raise ExamplesError(
            f"training set: {len(from_file) + len(from_corpus)} examples are {division.groups} that differ enough "
            "to be divided; at least 2 are needed. Add examples, or raise data.together_at"
        )
    rows = [_row(example, TRAIN, spec.corpus) for example in division.train]
    rows += [_row(example, HELD_OUT, spec.corpus) for example in division.held_out]
    return TrainingSet(
        tuple(rows), division, contamination(division, data.together_at), len(from_file), len(from_corpus)
    )


def contamination(division: Split, near_at: float = 1.0) -> Contamination:
    """Measure what of the examined prompts stands in the trained ones."""
    examined = [(example.example_id, compared(example)) for example in division.held_out]
    return contamination_of([compared(example) for example in division.train], examined, near_at)


def rows_digest(rows: Sequence[dict[str, Any]]) -> str:
    """Digest of a set of rows: content, origin and side of each."""
    return digest_all(f"{row['example_id']} {row['split']} {row['doc_id'] or ''}" for row in rows)


def training_set_table(platform: Platform, spec: FineTuneSpec) -> Table:
    """The training set of a fine-tune."""
    return platform.tables(spec.tenant, spec.name).table("training_set", _schema, "example_id")


def store_training_set(platform: Platform, spec: FineTuneSpec, training_set: TrainingSet) -> None:
    """Make the table hold exactly this training set, in one transaction."""
    platform.runs(spec.tenant, spec.name).mkdir(parents=True, exist_ok=True)  # `forget` finds the fine-tune by it
    training_set_table(platform, spec).replace("split", [TRAIN, HELD_OUT], training_set.rows)


def load_training_set(platform: Platform, spec: FineTuneSpec) -> list[dict[str, Any]]:
    """All rows, in the order of their ids."""
    rows = [row for batch in training_set_table(platform, spec).scan(ROW_COLUMNS) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row["example_id"])


def corpus_chunks(
    platform: Platform, spec: FineTuneSpec, corpus: str | None = None
) -> tuple[list[dict[str, Any]], str]:
    """The chunks of a corpus, by default of the one that the fine-tune learns from, and the path of its source.

    Raises:
        ExamplesError: there is no such corpus.
    """
    from llm_assets.configs import corpora
    from llm_assets.corpora.chunks import chunks_table

    corpus = corpus or spec.corpus
    name = f"{spec.tenant}/{corpus}"
    source = next((found.settings.source.path for found in corpora(spec.tenant) if found.id == name), None)
    if corpus is None or source is None:
        raise ExamplesError(f"there is no corpus {name}")
    table = chunks_table(platform, spec.tenant, corpus)
    return [row for batch in table.scan(COLUMNS) for row in batch.to_pylist()], source


def _row(example: Example, side: str, corpus: str | None) -> dict[str, Any]:
    return {
        "example_id": example.example_id,
        "prompt": example.prompt,
        "completion": example.completion,
        "messages": example.messages,
        "split": side,
        "origin": example.origin,
        "corpus": corpus if example.doc_id else None,
        "doc_id": example.doc_id,
    }


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in ROW_COLUMNS])

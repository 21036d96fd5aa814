"""The training set: examples from a file, from a corpus, or both; divided, and the division measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_assets.models.corpus_examples import COLUMNS, corpus_examples
from llm_assets.models.examples import Example, ExamplesError, read_examples
from llm_assets.models.similarity import normalised, overlap, windows, without_frame
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
COPIED = 0.5  # an examined prompt with this share of its text in the training prompts counts as given away

Chunks = Callable[[], tuple[Sequence[dict[str, Any]], str]]


@dataclass(frozen=True)
class Contamination:
    """How much of the examination stands in the training examples.

    Attributes:
        exact: examined prompts that are also trained on, width, case and spacing aside. 0 by construction.
        given_away: examined prompts of which at least half stands, in long runs, in training prompts.
        mean_overlap: share of an examined prompt's runs that stand in training prompts, mean; 0 to 1.
        worst: example_id and overlap of the examined prompts with the most, worst first.
    """

    exact: int
    given_away: int
    mean_overlap: float
    worst: tuple[tuple[str, float], ...]


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
    return TrainingSet(tuple(rows), division, contamination(division), len(from_file), len(from_corpus))


def contamination(division: Split) -> Contamination:
    """Measure what of the examined prompts stands in the trained ones."""
    both = [*division.train, *division.held_out]
    texts = without_frame([compared(example) for example in both])
    trained, examined = texts[: len(division.train)], texts[len(division.train) :]
    copied = {window for text in trained for window in windows(normalised(text))}
    known = {normalised(text) for text in trained}
    overlaps = [overlap(text, copied) for text in examined]
    ranked = sorted(
        zip((e.example_id for e in division.held_out), overlaps, strict=True), key=lambda p: (-p[1], p[0])
    )
    return Contamination(
        exact=sum(normalised(text) in known for text in examined),
        given_away=sum(share >= COPIED for share in overlaps),
        mean_overlap=sum(overlaps) / len(overlaps),
        worst=tuple((example_id, round(share, 4)) for example_id, share in ranked[:5]),
    )


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


def corpus_chunks(platform: Platform, spec: FineTuneSpec) -> tuple[list[dict[str, Any]], str]:
    """The chunks of the corpus that the fine-tune names, and the path of its source.

    Raises:
        ExamplesError: there is no such corpus.
    """
    from llm_assets.configs import corpora
    from llm_assets.corpora.chunks import chunks_table

    name = f"{spec.tenant}/{spec.corpus}"
    source = next((found.settings.source.path for found in corpora(spec.tenant) if found.id == name), None)
    if spec.corpus is None or source is None:
        raise ExamplesError(f"data.corpus: there is no corpus {name}")
    table = chunks_table(platform, spec.tenant, spec.corpus)
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

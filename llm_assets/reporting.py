"""What people see of a materialisation in the Dagster UI: counts, rates, tables and pictures.

No text of a document goes into metadata: the event log is not reached by `forget`.
"""

from __future__ import annotations

import base64
import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

FULL_DISK = ("No space left on device", "database or disk is full", "Disk quota exceeded")
TABLE_ROWS = 200  # rows of a table in metadata; more makes the page slow


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """A table as metadata; at most `TABLE_ROWS` rows of it."""
    records = [dg.TableRecord({name: _cell(row.get(name)) for name in columns}) for row in rows]
    schema = dg.TableSchema([dg.TableColumn(name, _type(records, name)) for name in columns])
    return dg.MetadataValue.table(records[:TABLE_ROWS], schema=schema)


def counts(values: Iterable[str | None], name: str) -> dg.TableMetadataValue:
    """How often each value occurs, most frequent first."""
    ordered = Counter(value or "unknown" for value in values).most_common()
    return table([{name: value, "count": count} for value, count in ordered], [name, "count"])


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """A PNG picture as metadata."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def rate(count: float, seconds: float) -> float:
    """Count per second, rounded; 0 where nothing was done."""
    return round(count / seconds, 1) if count and seconds > 0 else 0.0


@contextmanager
def clear_failures(subject: str) -> Iterator[None]:
    """Turn errors that people can mend into a failure that says so, without a retry and without a traceback first."""
    from resources.config_errors import ConfigError
    from resources.state import StateError

    try:
        yield
    except Exception as error:
        if _disk_is_full(error):
            raise dg.Failure(
                f"{subject}: the disk is full. What was finished is kept; make room and run it again.",
                allow_retries=False,
            ) from error
        if isinstance(error, (ConfigError, StateError, *_named_errors())):
            raise dg.Failure(f"{subject}: {error}", allow_retries=False) from error
        raise


def _disk_is_full(error: BaseException | None) -> bool:
    """Python says it by number; Lance, SQLite and child processes say it in words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        if any(words in str(error) for words in FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False


def _named_errors() -> tuple[type[Exception], ...]:
    """Errors of the parts whose message already names the thing, the place and the way out."""
    from llm_assets.corpora.documents import EmptySourceError
    from llm_assets.corpora.evaluation import NothingServedError
    from llm_assets.corpora.retrieval import EvaluationSetError
    from llm_assets.corpora.vector_index import NotEmbeddedError
    from llm_assets.models.children import TrainingError
    from llm_assets.models.evaluation.judging import EvaluationError
    from llm_assets.models.examples import ExamplesError
    from llm_assets.models.fine_tune import UntrainedError
    from llm_assets.models.launching import LaunchError
    from llm_assets.models.promotion import PromotionError
    from resources.accelerators.errors import AcceleratorError
    from resources.embedder.process import EmbeddingError
    from resources.model_sources import ModelError
    from resources.sources import SourceError
    from resources.vector_index import VectorIndexError

    return (
        AcceleratorError,
        EmbeddingError,
        EmptySourceError,
        EvaluationError,
        EvaluationSetError,
        ExamplesError,
        LaunchError,
        ModelError,
        NotEmbeddedError,
        NothingServedError,
        PromotionError,
        SourceError,
        TrainingError,
        UntrainedError,
        VectorIndexError,
    )


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 4)
    return value if isinstance(value, str | int) or value is None else str(value)


def _type(records: Sequence[dg.TableRecord], name: str) -> str:
    kinds = {type(record.data[name]) for record in records} - {type(None)}
    if kinds and kinds <= {int}:
        return "int"
    return "float" if kinds and kinds <= {int, float} else "string"

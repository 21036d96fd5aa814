"""Take a document out of what fine-tunes keep, and say which versions have learned from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from resources import state_schema as schema

if TYPE_CHECKING:
    from resources.platform import Platform
    from resources.state import State


def forget_examples(platform: Platform, tenant: str, corpus: str, doc_id: str) -> int:
    """Remove examples made of a document from every training set, evaluation and run directory of the tenant.

    Weights that have learned from it are not changed: see `trained_models`.

    Returns:
        The number of examples removed.
    """
    removed = 0
    for folder in sorted(platform.runs(tenant, "*").parent.glob("*")):
        with platform.state.lock(f"model/{tenant}/{folder.name}"):
            removed += _forget_in(platform, tenant, folder, (corpus, doc_id))
            _forget_answers(platform, tenant, folder, (corpus, doc_id))
    return removed


def trained_models(state: State, tenant: str, corpus: str, doc_id: str) -> list[str]:
    """Every version that was trained on a document, as `tenant/name version`."""
    table = schema.trained_on
    query = sa.select(table.c.model, table.c.version).where(
        table.c.tenant == tenant, table.c.corpus == corpus, table.c.doc_id == doc_id
    )
    return sorted(f"{tenant}/{row['model']} {row['version']}" for row in state.rows(query))


def _forget_in(platform: Platform, tenant: str, runs: Path, document: tuple[str, str]) -> int:
    tables = platform.tables(tenant, runs.name)
    if "training_set" not in tables.names():
        return 0
    examples = tables.existing("training_set")
    rows = [row for batch in examples.scan(["example_id", "corpus", "doc_id"]) for row in batch.to_pylist()]
    ids = [row["example_id"] for row in rows if (row["corpus"], row["doc_id"]) == document]
    for name in ("training_set", "evaluation"):
        table = tables.existing(name)
        table.delete("example_id", ids)
        table.purge()
    _clear(runs)
    return len(ids)


def _forget_answers(platform: Platform, tenant: str, runs: Path, document: tuple[str, str]) -> None:
    """Prompts hold passages, and answers may repeat them."""
    shutil.rmtree(runs / "answers", ignore_errors=True)
    tables = platform.tables(tenant, runs.name)
    if "answers" in tables.names():
        table = tables.existing("answers")
        rows = [row for batch in table.scan(["input_id", "corpus", "doc_id"]) for row in batch.to_pylist()]
        table.delete("input_id", [row["input_id"] for row in rows if (row["corpus"], row["doc_id"]) == document])
        table.purge()


def _clear(runs: Path) -> None:
    """What run directories hold of examples: copies that a killed run left, and answers. All is made again."""
    for copy in runs.glob("*/*data.jsonl*"):
        copy.unlink()
    shutil.rmtree(runs / "evaluations", ignore_errors=True)
    for evaluations in runs.glob("*/evaluations"):  # of earlier releases
        shutil.rmtree(evaluations)

"""A promoted model as a folder for others: merged into one model, or the adapter alone, with its card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llm_assets.models.answers import Answerer, find_answerer
from llm_assets.models.cards import CARD, FOLDER
from llm_assets.models.children import run_job
from llm_assets.training.checkpoints import is_whole
from llm_assets.training.export_job import ExportJob
from llm_assets.training.jobs import PROVENANCE, result_folder

if TYPE_CHECKING:
    from resources.platform import Platform

SHARD = "5GB"
CHECKPOINT_MARKS = (".json", ".safetensors", ".jinja", ".txt", ".model")  # what a model folder is made of


class ExportError(RuntimeError):
    """A model cannot be exported; the message says why."""


def export(
    platform: Platform,
    tenant: str,
    model: str,
    target: Path,
    *,
    merge: bool,
    version: str | None = None,
    folder: Path | None = None,
) -> Answerer:
    """Write a promoted model into a folder; it appears whole or not at all.

    Args:
        platform: where models lie.
        tenant, model: whose it is.
        target: must not exist, or be empty.
        merge: whether an adapter is merged into its base model; a full fine-tune is one model already.
        version: that is or was promoted; None is the promoted one.
        folder: where a relative path of the base model starts.

    Returns:
        What was exported.

    Raises:
        ExportError: the target holds something, or the weights are not whole.
        NothingPromotedError: there is no such version.
        TrainingError: the weights cannot be merged or written.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise ExportError(f"{target}: is not empty; nothing is overwritten. Name a new folder")
    answerer = find_answerer(platform, tenant, model, folder, version)
    if not is_whole(answerer.weights):
        raise ExportError(f"{answerer.weights}: is not whole: a file is missing or changed; bring back a copy")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        written = Path(scratch) / "model"
        written.mkdir(mode=0o755)
        if merge or answerer.weights.name == result_folder("full"):
            _merge(answerer, written, Path(scratch))
        else:
            _copy(answerer.weights, written)
        _card(answerer, written)
        if target.is_dir():
            target.rmdir()
        written.rename(target)
    return answerer


def _merge(answerer: Answerer, written: Path, scratch: Path) -> None:
    job = ExportJob(str(answerer.base.path), str(answerer.weights), str(written), SHARD)
    job.write(scratch / "job.json")
    less = "make room in main memory, which must hold the whole model"
    run_job("llm_assets.training.export", scratch / "job.json", scratch, less=less)


def _copy(weights: Path, written: Path) -> None:
    for file in weights.iterdir():
        if file.suffix in CHECKPOINT_MARKS:
            shutil.copyfile(file, written / file.name)


def _card(answerer: Answerer, written: Path) -> None:
    """The card, and what the weights were made of."""
    card = answerer.weights.parent / FOLDER / CARD
    for source, name in ((card, CARD), (answerer.weights / PROVENANCE, PROVENANCE)):
        if source.is_file():
            shutil.copyfile(source, written / name)

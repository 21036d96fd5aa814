"""The chain of a corpus in a process that a test kills: small batches, so that it has many moments to be killed in.

Run as `python -m tests.end_to_end.killed_chain STATE FOLDER [URI]`; it says `ready` when the work begins. With a URI
that document is forgotten instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.chain import run_chain
from llm_assets.corpora import chunks, documents, embeddings, vector_index
from llm_assets.corpora.settings import CorpusSettings, CorpusSpec
from llm_assets.forgetting import forget
from resources.platform import Platform
from resources.profile import Profile


def build(state_dir: Path, folder: Path) -> Platform:
    """Bring the corpus `acme/handbook` over `folder/documents` up to date, under its lock."""
    platform = Platform(Profile(state_dir=state_dir, workers=1))
    settings = CorpusSettings.model_validate({"name": "handbook", "source": {"path": "documents"}})
    with platform.state.lock("corpus/acme/handbook"):
        run_chain(platform, CorpusSpec("acme", folder, settings))
    return platform


def forget_one(state_dir: Path, uri: str) -> None:
    """Forget a document, as the command does."""
    forget(Platform(Profile(state_dir=state_dir)), uri)


if __name__ == "__main__":
    print("ready", flush=True)
    if sys.argv[3:]:
        forget_one(Path(sys.argv[1]), sys.argv[3])
    else:
        documents.BATCH_DOCUMENTS = chunks.BATCH_DOCUMENTS = 4
        embeddings.BATCH_TEXTS = vector_index.BATCH_ROWS = 8
        build(Path(sys.argv[1]), Path(sys.argv[2]))

"""The process that holds the device and embeds: settings and texts come by stdin, vectors go by stdout.

    python -m llm_assets.training.embedding_worker

Started by `resources.embedder.process`, whose messages it answers one by one until its stdin ends. It imports no
Dagster, and no torch where the model has been exported.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import IO, Any

from resources.embedder.embedder import Embedder, open_embedder
from resources.embedder.frames import read_message, write_message
from resources.model_sources import ModelError


def main() -> None:
    answers = claim_stdout()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    settings = read_message(sys.stdin.buffer)
    if settings is None:
        return
    try:
        embedder = opened(settings)
    except ModelError as error:
        write_message(answers, {"error": str(error)})
        return
    write_message(answers, {"runtime": embedder.runtime.name, "precision": embedder.runtime.precision})
    while (request := read_message(sys.stdin.buffer)) is not None:
        embed = embedder.embed_queries if request["query"] else embedder.embed
        write_message(answers, {}, embed(request["texts"]))


def claim_stdout() -> IO[bytes]:
    """The stream of answers; whatever else writes to stdout, C libraries included, goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def opened(settings: dict[str, Any]) -> Embedder:
    """The embedder with its runtime loaded; the first use on this machine exports the model."""
    base = settings["base"]
    embedder = open_embedder(
        settings["reference"],
        base=Path(base) if base else None,
        cache_dir=Path(settings["cache_dir"]),
        runtime=settings["runtime"],
        threads=settings["threads"],
    )
    _ = embedder.runtime
    return embedder


if __name__ == "__main__":
    main()

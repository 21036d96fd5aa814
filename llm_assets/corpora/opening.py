"""From a corpus's settings to the parts that do the work: source, parser, chunker, embedder, vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_assets.corpora.embeddings import EmbeddingStore
from resources import processes

if TYPE_CHECKING:
    from llm_assets.corpora.chunking import Chunker
    from llm_assets.corpora.parsing import ParseOptions
    from llm_assets.corpora.settings import CorpusSpec
    from resources.embedder import Embedder
    from resources.platform import Platform
    from resources.processes import Start
    from resources.sources import Source


def open_source(spec: CorpusSpec) -> Source:
    """The files of a corpus."""
    from resources.sources import open_source

    source = spec.settings.source
    return open_source(
        source.path,
        base=source.base or spec.folder,
        include=source.include,
        exclude=source.exclude,
        storage_options=source.options,
    )


def parse_options(spec: CorpusSpec) -> ParseOptions:
    """How its files are parsed."""
    from llm_assets.corpora.parsing import ParseOptions

    parse = spec.settings.parse
    return ParseOptions(
        strategy=parse.strategy,
        timeout_seconds=parse.timeout_seconds,
        memory_gb=parse.memory_gb,
        max_bytes=int(parse.max_mb * 1e6),
    )


def open_embedder(platform: Platform, spec: CorpusSpec) -> Embedder:
    """The embedder of a corpus; no framework is imported before it embeds."""
    from resources.embedder import open_embedder

    settings = spec.settings.embedder
    return open_embedder(
        settings.model,
        base=spec.folder,
        cache_dir=platform.cache,
        runtime=settings.runtime,
        threads=settings.threads,
        languages=settings.languages,
    )


def open_store(platform: Platform, spec: CorpusSpec, start: Start = processes.start) -> EmbeddingStore:
    """The vectors of its texts; `start` starts the process that embeds what is missing."""
    return EmbeddingStore(platform, spec, open_embedder(platform, spec), start)


def open_chunker(platform: Platform, spec: CorpusSpec) -> Chunker:
    """What cuts its documents."""
    from llm_assets.corpora.chunking import Chunker

    embedder, chunk = open_embedder(platform, spec), spec.settings.chunk
    return Chunker(embedder.tokens, min(chunk.max_tokens, embedder.max_tokens), chunk.overlap_tokens)

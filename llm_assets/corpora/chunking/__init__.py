"""Elements of a document to chunks of text that an embedder reads whole."""

from llm_assets.corpora.chunking.chunker import Chunk, Chunker

__all__ = ["Chunk", "Chunker"]

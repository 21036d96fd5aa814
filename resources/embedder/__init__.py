"""Texts to vectors: what a sentence-transformers folder defines, computed by the lightest runtime that matches it."""

from resources.embedder.embedder import Embedder, open_embedder
from resources.embedder.process import EmbedderProcess
from resources.embedder.tokens import TokenCounter

__all__ = ["Embedder", "EmbedderProcess", "TokenCounter", "open_embedder"]

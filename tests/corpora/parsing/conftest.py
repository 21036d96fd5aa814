"""Folders of real documents as sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resources.sources import Source, open_source


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[dict[str, bytes]], Source]:
    """Writes files by name and opens their folder as a source."""

    def write(files: dict[str, bytes]) -> Source:
        for name, content in files.items():
            (tmp_path / "documents" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "documents" / name).write_bytes(content)
        return open_source("documents", base=tmp_path)

    return write

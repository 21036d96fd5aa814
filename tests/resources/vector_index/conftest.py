"""Every backend that the conformance tests run against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.vector_index import IndexSpec, Snapshot, VectorIndex
from resources.vector_index.lancedb import LanceIndex
from tests.resources.vector_index.corpus import DIMENSION, batches

BACKENDS: dict[str, Callable[[Path], VectorIndex]] = {"lance": lambda folder: LanceIndex(folder / "index")}


@pytest.fixture(params=sorted(BACKENDS))
def index(request: pytest.FixtureRequest, tmp_path: Path) -> VectorIndex:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def filled(index: VectorIndex) -> Callable[[list[dict[str, Any]]], Snapshot]:
    """Make the collection `handbook` hold some rows."""

    def fill(rows: list[dict[str, Any]]) -> Snapshot:
        index.create("handbook", IndexSpec(DIMENSION))
        return index.apply("handbook", index.latest("handbook"), batches(rows), [])

    return fill

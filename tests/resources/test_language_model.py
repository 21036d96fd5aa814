"""Models are untrusted: pickles are refused, and a half-converted model is never used."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.language_model import open_language_model
from resources.model_sources import ModelError


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"{}")
    return path


def test_a_folder_of_safetensors_is_used_as_it_is(tmp_path: Path) -> None:
    model = folder(tmp_path / "m", "config.json", "model.safetensors")
    found = open_language_model("path:m", base=tmp_path, cache_dir=tmp_path / "cache")
    assert found.path == model


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder(tmp_path / "m", "config.json", "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickles.*pytorch_model\.bin"):
        open_language_model("path:m", base=tmp_path, cache_dir=tmp_path / "cache")


def test_a_model_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    folder(tmp_path / "other")
    with pytest.raises(ModelError, match=r"model 'path:gone'.*has: other"):
        open_language_model("path:gone", base=tmp_path, cache_dir=tmp_path / "cache")


def test_a_broken_gguf_file_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF and then nothing")
    cache = tmp_path / "cache"
    with pytest.raises(ModelError, match=r"m\.gguf cannot be converted to safetensors: .+"):
        open_language_model("path:m.gguf", base=tmp_path, cache_dir=cache)
    assert not list((cache / "language_models").iterdir())

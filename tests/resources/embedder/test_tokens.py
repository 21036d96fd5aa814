"""Guards against counts that the embedder's own truncation contradicts."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from resources.embedder import TokenCounter, open_embedder
from tests.resources.embedder.conftest import MINILM


@pytest.fixture
def tokens(tmp_path: Path) -> TokenCounter:
    return open_embedder(MINILM, cache_dir=tmp_path).tokens


def test_long_texts_are_counted_whole_and_short_ones_without_padding(tokens: TokenCounter) -> None:
    assert tokens.count(["lease", "lease " * 1000, ""]) == [1, 1000, 0]


def test_token_places_are_characters_not_bytes(tokens: TokenCounter) -> None:
    assert tokens.starts(["契約 lease"]) == [[0, 1, 3]]


def test_coverage_tells_served_text_from_unserved(tokens: TokenCounter) -> None:
    assert tokens.coverage("The tenant pays a deposit on signing.") == 1.0
    assert tokens.coverage("賃借人は契約締結時に敷金を支払うものとする。") < 0.1
    assert tokens.coverage("12 / 34") == 1.0


def test_a_counter_travels_to_another_process(tokens: TokenCounter) -> None:
    tokens.count(["lease"])  # the tokenizer is loaded by now
    assert pickle.loads(pickle.dumps(tokens)).count(["lease agreement"]) == [2]

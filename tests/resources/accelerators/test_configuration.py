"""Guards against a slip in accelerators.yml that is taken silently, or refused without saying where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resources.accelerators.configuration import load_accelerators
from resources.config_errors import ConfigError


@pytest.fixture
def written(tmp_path: Path):
    """Writes an accelerators.yml and gives its path."""

    def write(text: str) -> Path:
        file = tmp_path / "accelerators.yml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_sizes_are_decimal_and_true_means_nvlink(written) -> None:
    pool = load_accelerators(written("pools:\n  full: {memory_gb: 180, linked: true}\n")).pools["full"]
    assert (pool.memory, pool.linked) == (180_000_000_000, "nvlink")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("pools:\n  lora: {memory_gb: -1}\n", 2, "greater than 0"),
        ("pools:\n  lora: {memory_gb: 60, memory: 4}\n", 2, "unknown field (did you mean 'memory_gb'?)"),
        ("pools:\n  lora: {memory_gb: 9999999999}\n", 2, "less than or equal to"),
        ("pools:\n  lora: {memory_gb: 60, cpus: .inf}\n", 2, "finite"),
        ("pools:\n  lora: {memory_gb: 60, compute: 0.5}\n", 2, "set share: true"),
        ("pools:\n  lora: {memory_gb: 60, share: true, devices: 2}\n", 2, "share is for one device"),
        ("pools:\n  two words: {memory_gb: 60}\n", 1, "neither spaces nor slashes"),
        ("policy:\n  name: topsis\n  weights: {cost: -1}\n", 3, "not negative"),
        ("policy:\n  name: topsis\n  weights: {cost: 0}\n", 3, "above 0"),
        ("policy: {name: worst_fit}\n", 1, "'best_fit'"),
        ("tenants:\n  a: {share: 0}\n", 2, "greater than 0"),
        ("devices:\n  - {model: t4, host: a, count: 2, ids: [x]}\n", 2, "count is 2"),
        ("devices:\n  - {model: t4, host: a, ids: [x]}\n  - {model: t4, host: b, ids: [x]}\n", 1, "have the id 'x'"),
    ],
)
def test_a_slip_is_refused_with_its_line(written, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_accelerators(written(text))
    assert f"accelerators.yml:{line}" in str(refused.value)
    assert said in str(refused.value)


def test_a_changed_file_is_read_again(written) -> None:
    file = written("pools:\n  a: {memory_gb: 1}\n")
    assert set(load_accelerators(file).pools) == {"a"}
    written("pools:\n  b: {memory_gb: 1}\n")
    os.utime(file, ns=(1, 1))
    assert set(load_accelerators(file).pools) == {"b"}


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_ASSETS_ACCELERATORS", str(tmp_path / "none.yml"))
    with pytest.raises(ConfigError, match=r"none\.yml: this file is missing"):
        load_accelerators()

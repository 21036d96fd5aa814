"""A process that takes more of a shared device than its lease grants makes a neighbour run out of memory."""

from __future__ import annotations

import os

import pytest
import torch

from llm_assets.training import loading
from resources.threads import cpu_threads


def test_torch_keeps_to_the_leases_part_of_a_shared_device(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)
    monkeypatch.setenv("LLM_ASSETS_MEMORY_FRACTION", "0.25")
    loading.use_lease(1)
    assert limits == [0.25]


def test_the_threads_are_those_asked_for_else_the_leases_else_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cpu_threads(5) == 5
    assert cpu_threads() == 3
    for nothing in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert cpu_threads() == len(os.sched_getaffinity(0))

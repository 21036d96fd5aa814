"""Whoever of a run is killed: its device must come back, and never while a process of the run computes on it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT

COMBINATIONS = 16  # of worker, step, training and daemon, nobody included


@pytest.mark.long
def test_every_device_is_granted_again_within_15_seconds_whoever_is_killed() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.kill"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["holds"], line
    assert sum(isinstance(value, float) for value in line["details"].values()) == COMBINATIONS

"""A real instance with a queue, and a watch that retries after no time at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.run_watch import Watch
from resources.alerts.settings import RetrySettings
from resources.platform import Platform
from resources.profile import Profile
from tests.run_watch.watching import ERRORS, REPOSITORY


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    queue = {"run_coordinator": {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}}
    with dg.instance_for_test(overrides=queue, temp_dir=str(tmp_path_factory.mktemp("instance"))) as instance:
        yield instance


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Retries after no time at all."""
    ERRORS.clear()
    return Platform(Profile(state_dir=tmp_path / "state", retries=RetrySettings(most=2, after_seconds=0.001)))


@pytest.fixture
def watch(platform: Platform, instance: dg.DagsterInstance) -> Watch:
    return Watch(instance, platform, REPOSITORY)


@pytest.fixture
def begun() -> float:
    """Runs of the tests before are not looked at."""
    return time.time()

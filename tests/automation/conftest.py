"""One Dagster instance for all these tests: making its tables takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from resources.platform import Platform
from tests.automation.watching import Sensor, watched_folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        yield instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "a.txt").write_text("first")
    return made


@pytest.fixture
def sensor(instance: dg.DagsterInstance, platform: Platform, folder: Path) -> Sensor:
    return Sensor(instance, platform, watched_folder(folder))

"""A training that ended while the server was away must be seen in MLflow without a later training."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from resources import state_schema as schema
from resources.dagster_platform import PLATFORM_KEY
from resources.platform import Platform
from resources.state import now
from resources.tracking import outbox
from sensors.tracking import IDLE_SECONDS, tracking_catch_up
from tests.polling import until
from tests.resources.tracking.test_delivery import DEADLINE, tell, whole
from tests.test_overview import Opened


def tick(tmp_path: Path) -> str:
    """What the sensor says."""
    resources = {PLATFORM_KEY: Opened(folder=str(tmp_path / "state"))}
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        said = tracking_catch_up(dg.build_sensor_context(instance, resources=resources))
    assert isinstance(said, dg.SkipReason)
    return said.skip_message or ""


def senders() -> list[str]:
    """Command lines of the sending processes that this process has started."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    commands = [Path("/proc", pid, "cmdline").read_text() for pid in children]
    return [command for command in commands if "tracking.delivery" in command]


@pytest.fixture
def waiting(platform: Platform) -> Platform:
    """A finished run that nobody has sent."""
    tell(platform)
    with platform.state.write() as connection:
        connection.execute(schema.tracking_outbox.update().values(noted_at=now() - IDLE_SECONDS))
    return platform


def test_what_waits_arrives_without_a_run_and_the_sender_ends(tmp_path: Path, waiting: Platform) -> None:
    before = len(senders())
    assert tick(tmp_path).startswith("10 things wait for sqlite:///")
    assert len(senders()) == before + 1
    tick(tmp_path)
    assert len(senders()) == before + 1, "one sender is enough"
    until(lambda: outbox.first(waiting.state) is None, "MLflow catches up", seconds=DEADLINE)
    whole(waiting, 3)
    assert tick(tmp_path).endswith("knows everything")
    assert len(senders()) == before


def test_what_a_run_tells_at_this_moment_is_left_to_it(tmp_path: Path, platform: Platform) -> None:
    before = senders()
    tell(platform)
    assert tick(tmp_path).startswith("10 things wait")
    assert senders() == before

"""Where a Dagster instance on SQLite lies: in a folder for each target of profiles.yml.

Dagster knows an asset by its key, and all targets build assets of the same keys. In one instance the runs of one
target would pass for those of another: a sensor would find nothing to do, automation a model that was never trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._serdes import ConfigurableClassData

from resources.config_errors import read_yaml
from resources.locks import file_lock
from resources.profile import CONFIGS, TARGET_VARIABLE
from resources.templates import render_env


@contextmanager
def folder_of_target(base_dir: str) -> Iterator[str]:
    """The folder of the chosen target below one of dagster.yaml, locked: two that make Dagster's tables at once fail.

    Whether profiles.yml has that target and is right otherwise is not asked: the definitions do, and say it plainly.

    Raises:
        ConfigError: profiles.yml is no YAML.
    """
    target = os.environ.get(TARGET_VARIABLE) or _default_target(CONFIGS / "profiles.yml")
    folder = Path(base_dir, Path(target).name)
    with file_lock(folder, "making tables", None, None):
        yield str(folder)


@cache
def _default_target(file: Path) -> str:
    found = read_yaml(file).value
    return str(render_env(found.get("default_target") if isinstance(found, dict) else None, file))


class SqliteSchedules(SqliteScheduleStorage):
    """Ticks and cursors of an instance on SQLite: `schedule_storage` in dagster.yaml."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> SqliteScheduleStorage:
        with folder_of_target(config_value["base_dir"]) as folder:
            return cls.from_local(folder, inst_data=inst_data)

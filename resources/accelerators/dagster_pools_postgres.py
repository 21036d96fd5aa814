"""The storages of `dagster_pools` for an instance on PostgreSQL."""

from __future__ import annotations

from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage.run_storage import PostgresRunStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from resources.accelerators.dagster_pools import AcceleratorPools, RunsInTurn


class PostgresPools(AcceleratorPools, PostgresEventLogStorage):
    """Event log of an instance on PostgreSQL: `event_log_storage` in dagster.yaml."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> PostgresPools:
        return cls(inst_data=inst_data, **_arguments(config_value))


class PostgresRuns(RunsInTurn, PostgresRunStorage):
    """Runs of an instance on PostgreSQL: `run_storage` in dagster.yaml."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> PostgresRuns:
        return cls(inst_data=inst_data, **_arguments(config_value))


def _arguments(config_value: Any) -> dict[str, Any]:
    return {
        "postgres_url": pg_url_from_config(config_value),
        "should_autocreate_tables": config_value.get("should_autocreate_tables", True),
        "token_provider": get_token_provider_from_config(config_value),
    }

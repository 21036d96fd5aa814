"""`profiles.yml`: the targets (dev, ci, weaviate, prod) and where each keeps what it makes.

The target is chosen by the environment variable `LLM_ASSETS_TARGET`; without it, by `default_target`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resources.alerts.settings import AlertSettings, RetrySettings
from resources.config_errors import ConfigError, explain, read_yaml, shown
from resources.retention import RetentionSettings
from resources.templates import render_env
from resources.tracking.settings import TrackingSettings
from resources.vector_index.weaviate_settings import ServerSettings

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "dbt_like_configs"
TARGET_VARIABLE = "LLM_ASSETS_TARGET"


class Profile(BaseModel):
    """One target of `profiles.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state_dir: Path = Field(
        description="Folder for tables, indexes, models, caches and, by default, the state database."
    )
    state_url: str | None = Field(
        default=None, repr=False, description="State database; PostgreSQL where several hosts share one."
    )
    index: Literal["lancedb", "weaviate"] = Field(
        default="lancedb",
        description="Backend of the vector index: LanceDB in state_dir, or the Weaviate server of WEAVIATE_URL, "
        "with WEAVIATE_API_KEY; without that address one is run in state_dir.",
    )
    weaviate: ServerSettings = Field(default=ServerSettings(), description="How the Weaviate server is used.")
    executor: Literal["in_process", "multiprocess"] = Field(
        default="in_process", description="How the steps of one run execute: one after the other, or side by side."
    )
    workers: int | None = Field(
        default=None, ge=1, description="Parser processes of a step; by default one per core."
    )
    tracking: TrackingSettings = Field(
        default=TrackingSettings(), description="Where MLflow is told of trainings and promotions."
    )
    vars: dict[str, Any] = Field(default_factory=dict, description="Overrides of the top-level vars.")
    retention: RetentionSettings = Field(default=RetentionSettings(), description="How long what is unused stays.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="Who is told of failures.")
    retries: RetrySettings = Field(default=RetrySettings(), description="What is done about them first.")

    @property
    def parser_workers(self) -> int:
        """How many documents are parsed at once."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the state database."""
        return self.state_url or _sqlite_url(self.state_dir / "state.db")


class Profiles(BaseModel):
    """The whole of `profiles.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default_target: str
    targets: dict[str, Profile]
    vars: dict[str, Any] = Field(default_factory=dict)


def _sqlite_url(file: Path) -> str:
    """Every character of a path is escaped that a URL would read as something else."""
    import sqlalchemy as sa

    return sa.URL.create("sqlite", database=str(file)).render_as_string()


@cache
def load_profiles(configs: Path = CONFIGS) -> Profiles:
    """Read and check `profiles.yml`.

    Raises:
        ConfigError: with file, line, field and what is permitted there.
    """
    file = configs / "profiles.yml"
    tree = read_yaml(file)
    try:
        return Profiles.model_validate(render_env(tree.value, file))
    except ValidationError as error:
        raise ConfigError(explain(error, Profiles, tree, prefix=())) from None


def target_name(configs: Path = CONFIGS) -> str:
    """The chosen target.

    Raises:
        ConfigError: `LLM_ASSETS_TARGET` names none of the targets.
    """
    profiles = load_profiles(configs)
    name = os.environ.get(TARGET_VARIABLE) or profiles.default_target
    if name not in profiles.targets:
        raise _no_target(name, profiles, configs)
    return name


def load_profile(target: str | None = None, configs: Path = CONFIGS) -> Profile:
    """The profile of `target`, by default the chosen one; a relative state_dir starts at the project's root."""
    name = target or target_name(configs)
    profiles = load_profiles(configs)
    if name not in profiles.targets:
        raise _no_target(name, profiles, configs)
    profile = profiles.targets[name]
    return profile.model_copy(update={"state_dir": configs.parent / profile.state_dir})


def _no_target(name: str, profiles: Profiles, configs: Path) -> ConfigError:
    known = ", ".join(sorted(profiles.targets))
    return ConfigError(f"{shown(configs / 'profiles.yml')}: target '{name}' does not exist; targets: {known}")


def load_vars(configs: Path = CONFIGS) -> Mapping[str, Any]:
    """The variables for templates: the top-level ones, overridden by the target's."""
    profiles = load_profiles(configs)
    return {**profiles.vars, **profiles.targets[target_name(configs)].vars}

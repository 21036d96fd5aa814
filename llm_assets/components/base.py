"""What every component shares: YAML in, templates rendered, checked, and errors that say where.

A component's schema is a plain pydantic model. It is checked after the templates are rendered, so that
`{{ var('size') }}` may stand for a number, and every error names file, line, field and the permitted values.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import dagster as dg
from pydantic import BaseModel

from llm_assets.configs import Fail, read_settings
from llm_assets.schema import Settings, template_tolerant
from resources.accelerators.configuration import pool_problem
from resources.config_errors import ConfigError


class ConfigComponent(dg.Component):
    """Base of the components: subclasses give `settings_model` and `build`."""

    settings_model: ClassVar[type[Settings]]

    def __init__(self, settings: Settings, tenant: str, folder: Path) -> None:
        self.settings = settings
        self.tenant = tenant
        self.folder = folder

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return template_tolerant(cls.settings_model)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        positions = context.resolution_context.source_position_tree
        if positions is None:
            raise ConfigError(f"{cls.__name__} is configured in a defs.yaml, not in Python")
        settings, tenant, folder, fail = read_settings(cls.settings_model, dict(attributes or {}), positions)
        component = cls(settings, tenant, folder)
        component.check(fail)
        return component

    def check(self, fail: Fail) -> None:
        """Refuse what only this component can judge; `fail(path, message)` makes the error."""

    @staticmethod
    def check_pool(fail: Fail, path: tuple[str, ...], pool: str) -> None:
        """Refuse a pool that accelerators.yml does not have."""
        if problem := pool_problem(pool):
            raise fail(path, problem)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return self.build()

    def build(self) -> dg.Definitions:
        """The assets, checks and jobs of this component."""
        raise NotImplementedError

"""What every component shares: YAML in, templates rendered, checked, and errors that say where.

A component's schema is a plain pydantic model. It is checked after the templates are rendered, so that
`{{ var('size') }}` may stand for a number, and every error names file, line, field and the permitted values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import BaseModel, ValidationError

from llm_assets.components.names import find_source, reference_function
from llm_assets.schema import Settings, template_tolerant
from resources.config_errors import ConfigError, explain, place
from resources.profile import CONFIGS, load_vars
from resources.templates import env_var, render, var_function


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
        raw = dict(attributes) if attributes else {}
        folder = Path(positions.position.filename).parent
        tenant = tenant_of(folder)

        def fail(path: tuple[str | int, ...], message: str) -> ConfigError:
            return ConfigError(f"{place(positions, ('attributes', *path))}: {message}")

        rendered = render(raw, _scope(tenant), fail)
        tree = ValueAndSourcePositionTree({"attributes": rendered}, positions)
        try:
            settings = cls.settings_model.model_validate(rendered)
        except ValidationError as error:
            raise ConfigError(explain(error, cls.settings_model, tree, ("attributes",))) from None
        component = cls(settings, tenant, folder)
        component.check(fail)
        return component

    def check(self, fail: Any) -> None:
        """Refuse what only this component can judge; `fail(path, message)` makes the error."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return self.build()

    def build(self) -> dg.Definitions:
        """The assets, checks and jobs of this component."""
        raise NotImplementedError


def tenant_of(folder: Path) -> str:
    """The first-level folder of the defs folder that `folder` lies in.

    Raises:
        ConfigError: the file lies at the top, where it would belong to no tenant, or its name cannot be a key.
    """
    parts = folder.resolve().relative_to(CONFIGS).parts
    if not parts:
        raise ConfigError(f"{CONFIGS.name}/defs.yaml belongs to no tenant: move it into a folder named after one")
    if not parts[0].isidentifier():
        raise ConfigError(f"{CONFIGS.name}/{parts[0]}: a tenant's folder needs letters, digits and _ only")
    return parts[0]


def _scope(tenant: str) -> Mapping[str, Any]:
    variables = load_vars()
    return {
        "ref": reference_function(CONFIGS / tenant),
        "source": lambda name: find_source(CONFIGS / tenant, name),
        "var": var_function(variables),
        "vars": variables,
        "env_var": env_var,
    }

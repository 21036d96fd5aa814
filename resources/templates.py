"""What `{{ … }}` may say in YAML: `ref`, `source`, `var`, `vars`, `env_var`, as dbt users know them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from resources.config_errors import ConfigError, shown

_REQUIRED = object()


def env_var(name: str, default: Any = _REQUIRED) -> Any:
    """The environment variable `name`, or `default`.

    Raises:
        ConfigError: it is not set and there is no default.
    """
    value = os.environ.get(name, default)
    if value is _REQUIRED:
        raise ConfigError(f"env_var('{name}'): not set; set it, or give a default: env_var('{name}', 'value')")
    return value


def var_function(variables: Mapping[str, Any]) -> Callable[..., Any]:
    """The template function `var(name, default)` over the variables of profiles.yml."""

    def var(name: str, default: Any = _REQUIRED) -> Any:
        value = variables.get(name, default)
        if value is _REQUIRED:
            known = ", ".join(sorted(variables)) or "none"
            raise ConfigError(f"var('{name}'): not in the vars of profiles.yml; known: {known}")
        return value

    return var


def render(value: Any, scope: Mapping[str, Any], fail: Callable[[tuple[str | int, ...], str], Exception]) -> Any:
    """Render every template in a parsed YAML value.

    Args:
        value: what YAML gave: mappings, lists, scalars.
        scope: the names that templates may use.
        fail: makes the error for the value at a path.
    """
    from jinja2 import StrictUndefined
    from jinja2.nativetypes import NativeEnvironment
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment, NativeEnvironment):
        """Native values, no way from a template into Python, and no change of what others read."""

    environment = Environment(undefined=StrictUndefined)

    def visit(node: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(node, dict):
            return {key: visit(child, (*path, key)) for key, child in node.items()}
        if isinstance(node, list):
            return [visit(child, (*path, index)) for index, child in enumerate(node)]
        if isinstance(node, str) and "{{" in node:
            return _render_one(environment, node, scope, lambda message: fail(path, message))
        return node

    return visit(value, ())


def render_env(value: Any, file: Path) -> Any:
    """Render a file whose templates may use only `env_var`."""
    return render(
        value,
        {"env_var": env_var},
        lambda path, message: ConfigError(f"{shown(file)}: {'.'.join(map(str, path))}: {message}"),
    )


def _render_one(environment: Any, text: str, scope: Mapping[str, Any], fail: Callable[[str], Exception]) -> Any:
    try:
        template = environment.from_string(text)
        return _value(list(template.root_render_func(template.new_context(dict(scope)))))
    except ConfigError as error:
        raise fail(str(error)) from None
    except Exception as error:  # whatever an expression may raise: 1 / 0, a wrong number of arguments, …
        message = getattr(error, "message", None) or str(error)
        raise fail(f"{text!r}: {message}; templates may use: {', '.join(sorted(scope))}") from None


def _value(parts: list[Any]) -> Any:
    """One expression keeps the type of its value; several parts are text.

    Jinja's own rule would also read text as Python: "007" in an environment variable would be a number.
    """
    from jinja2 import Undefined

    for part in parts:
        if isinstance(part, Undefined):
            str(part)  # raises its own error: undefined, or not permitted
    return parts[0] if len(parts) == 1 else "".join(map(str, parts))

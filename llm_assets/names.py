"""What a tenant's YAML names: `ref` and `source` find it, or say what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from resources.config_errors import ConfigError, shown

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def reference_function(tenant_folder: Path) -> Callable[[str], str]:
    """The template function `ref(name)`: the name of a component of the same tenant."""

    def ref(name: str) -> str:
        known = _components(tenant_folder)
        if name not in known:
            raise ConfigError(
                f"ref('{name}'): tenant '{tenant_folder.name}' has no component of that name; "
                f"it has: {', '.join(sorted(known)) or 'none'}"
            )
        return name

    return ref


def find_source(tenant_folder: Path, name: str) -> dict[str, Any]:
    """What `sources:` in a sources.yml of the tenant says of `name`; relative paths start at that file's folder.

    Raises:
        ConfigError: no sources.yml of the tenant has it.
    """
    known = _sources(tenant_folder)
    if name not in known:
        raise ConfigError(
            f"source('{name}'): no sources.yml of tenant '{tenant_folder.name}' has it; "
            f"known: {', '.join(sorted(known)) or 'none'}"
        )
    return dict(known[name])


@cache
def _components(tenant_folder: Path) -> dict[str, str]:
    """Name to component type, of every defs.yaml of the tenant."""
    found = {}
    for file in sorted(tenant_folder.rglob("defs.yaml")):
        for document in _documents(file):
            attributes = document.get("attributes")
            if isinstance(attributes, dict) and isinstance(attributes.get("name"), str):
                found[attributes["name"]] = str(document.get("type"))
    return found


@cache
def _sources(tenant_folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(tenant_folder.rglob("sources.yml")):
        for document in _documents(file):
            sources = document.get("sources")
            if not isinstance(sources, dict) or not all(isinstance(entry, dict) for entry in sources.values()):
                raise ConfigError(f"{shown(file)}: `sources:` maps names to {{path: …}}")
            for name, entry in sources.items():
                found[name] = {"base": str(file.parent), **entry}
    return found


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_Loader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(file)}: not valid YAML: {error}") from None
    yield from (document for document in documents if isinstance(document, dict))

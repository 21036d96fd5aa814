"""What a tenant's YAML names: `ref` and `source` find it, or say what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from resources.config_errors import ConfigError, not_yaml, shown

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


def refuse_equal_names(tenant_folder: Path) -> None:
    """Names are unique within a tenant: they name tables, indexes and models, and `ref` means one thing.

    Raises:
        ConfigError: two components have the same name; both places are named.
    """
    for name, files in _components(tenant_folder).items():
        if len(files) > 1:
            where = " and ".join(shown(file) for file in dict.fromkeys(files))
            raise ConfigError(
                f"{where}: {len(files)} components of tenant '{tenant_folder.name}' have the name '{name}'; "
                "a name stands for one thing within a tenant: rename all but one"
            )


@cache
def _components(tenant_folder: Path) -> dict[str, list[Path]]:
    """Name to the files that use it, of every defs.yaml of the tenant."""
    found: dict[str, list[Path]] = {}
    for file in sorted(tenant_folder.rglob("defs.yaml")):
        for document in _documents(file):
            attributes = document.get("attributes")
            if isinstance(attributes, dict) and isinstance(attributes.get("name"), str):
                found.setdefault(attributes["name"], []).append(file)
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
        raise not_yaml(file, error) from None
    yield from (document for document in documents if isinstance(document, dict))


def choose(given: str, known: list[tuple[str, str]], thing: str, made: str) -> tuple[str, str]:
    """Tenant and name of what people call `tenant/name`, or by the name alone where only one tenant has it.

    Args:
        given: as it was typed.
        known: tenant and name of all there are.
        thing: what it is, for the message: `corpus`.
        made: what makes one known, for the message: `ingested`.

    Raises:
        LookupError: none or several tenants have it.
    """
    tenant, _, name = given.rpartition("/")
    found = [pair for pair in known if pair[1] == name and tenant in ("", pair[0])]
    if len(found) == 1:
        return found[0]
    names = ", ".join("/".join(pair) for pair in (found or known)) or "none"
    if found:
        raise LookupError(f"several tenants have a {thing} '{given}': say which of {names}")
    raise LookupError(f"no {thing} '{given}' has been {made}; there is: {names}")

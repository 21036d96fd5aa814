"""Errors in YAML that say file, line, field and what is permitted there."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

if TYPE_CHECKING:
    from dagster_shared.yaml_utils.source_position import SourcePositionTree, ValueAndSourcePositionTree
    from pydantic import BaseModel, ValidationError

Path_ = tuple[str | int, ...]
T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration file is wrong; the message says where and what is permitted."""


def with_plain_errors(load: Callable[[], T], folder: Path) -> T:
    """Call `load`; a wrong configuration fails with its own message, not wrapped in those of the layers above.

    Args:
        load: reads the configuration.
        folder: whose YAML files it reads.
    """
    try:
        return load()
    except Exception as error:
        found = _config_error_in(error, folder)
        if found is None:
            raise
    # Raised outside of the handler: the error has no context, so that nothing else is printed.
    raise found


def _config_error_in(error: BaseException | None, folder: Path) -> ConfigError | None:
    from yaml import MarkedYAMLError

    while error is not None:
        if isinstance(error, ConfigError):
            return ConfigError(str(error))
        if isinstance(error, MarkedYAMLError) and error.problem_mark:
            return not_yaml(error.problem_mark.name, error)
        if isinstance(error, UnicodeDecodeError):
            return _first_undecodable(folder)
        error = error.__cause__ or error.__context__
    return None


def _first_undecodable(folder: Path) -> ConfigError | None:
    """The error does not say which file it was."""
    for file in sorted(folder.rglob("*.y*ml")):
        try:
            file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            return not_yaml(file, error)
    return None


def not_yaml(file: str | Path, error: Exception) -> ConfigError:
    """What is wrong with a file that cannot be read as YAML, and where."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return ConfigError(f"{shown(file)}:{line}: not UTF-8 text; save the file in UTF-8")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"{shown(file)}:{mark.line + 1}" if mark else shown(file)
    what = ", ".join(part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    return ConfigError(f"{where}: not valid YAML: {what or error}")


def read_yaml(file: Path) -> ValueAndSourcePositionTree:
    """Parse the one YAML document of a file and keep the position of every value.

    Raises:
        ConfigError: the file is missing or no YAML, or holds nothing, or several documents.
    """
    documents = read_yamls(file)
    if len(documents) != 1:
        raise ConfigError(f"{shown(file)}: has {len(documents)} YAML documents; one is needed")
    return documents[0]


def read_yamls(file: Path) -> list[ValueAndSourcePositionTree]:
    """Parse all YAML documents of a file and keep the position of every value.

    Raises:
        ConfigError: the file is missing or no YAML.
    """
    import yaml
    from dagster_shared.yaml_utils import parse_yamls_with_source_position

    try:
        return list(parse_yamls_with_source_position(file.read_text(encoding="utf-8"), str(file)))
    except FileNotFoundError:
        raise ConfigError(f"{shown(file)}: this file is missing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise not_yaml(file, error) from None


def place(positions: SourcePositionTree, path: Sequence[str | int]) -> str:
    """`file:line: field` of the value at `path`, or of its nearest parent that stands in the file."""
    position, _ = positions.lookup_closest_and_path(list(path), None)
    field = ".".join(str(part) for part in path)
    return f"{shown(position.filename)}:{position.start.line}" + (f": {field}" if field else "")


def shown(file: str | Path) -> str:
    """A path as people want to read it: relative to the working directory where it lies below that."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def explain(error: ValidationError, model: type[BaseModel], tree: ValueAndSourcePositionTree, prefix: Path_) -> str:
    """All errors of a validation, one a line, each with file, line, field and what is permitted.

    Args:
        error: what pydantic raised for `model`.
        model: the model of the value at `prefix`.
        tree: the parsed file.
        prefix: the path of the value in the file, for example `("attributes",)`.
    """
    found = []
    for item in error.errors():
        path = (*prefix, *_in_file(item["loc"], tree, prefix))
        line = tree.source_position_tree.lookup_closest_and_path(list(path), None)[0].start.line
        found.append((line, f"{place(tree.source_position_tree, path)}: {_what(item, model)}"))
    return "\n".join(message for _, message in sorted(found))


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """As `explain`, for values that stand in no file: each with its field and what is permitted."""
    found = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"])
        found.append(f"{field}: {_what(item, model)}" if field else _what(item, model))
    return found


def _in_file(location: Path_, tree: ValueAndSourcePositionTree, prefix: Path_) -> Path_:
    """The part of a pydantic location that names YAML keys: union and tag markers are left out."""
    node = tree.source_position_tree
    for part in prefix:
        node = node.children.get(part, node)
    path: list[str | int] = []
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if part in node.children:
            node = node.children[part]
            path.append(part)
        elif last and isinstance(part, str) and "[" not in part and "(" not in part:
            path.append(part)
    return tuple(path)


def _what(item: Any, model: type[BaseModel]) -> str:
    kind, location = item["type"], item["loc"]
    if kind == "extra_forbidden":
        return _unknown(str(location[-1]), sorted(_fields_at(model, location[:-1])))
    if kind == "missing":
        return "this field is required"
    if kind == "union_tag_not_found":
        return f"{item['ctx']['discriminator']} is required here"
    if kind == "union_tag_invalid":
        return f"'{item['ctx']['tag']}' is not known; permitted: {item['ctx']['expected_tags']}"
    if kind == "model_type":
        return f"fields are needed here; permitted: {', '.join(sorted(_fields_at(model, location)))}"
    message = item["msg"].removeprefix("Value error, ")
    given = item.get("input")
    if kind in {"literal_error", "enum", "secret"} or isinstance(given, dict | list):
        return message
    return f"{message} (found {given!r})"


def _unknown(name: str, permitted: list[str]) -> str:
    close = difflib.get_close_matches(name, permitted, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"unknown field{hint}; permitted: {', '.join(permitted)}"


def _fields_at(model: type[BaseModel], location: Path_) -> set[str]:
    """The field names that any model reachable at `location` permits."""
    candidates: list[Any] = [model]
    for part in location:
        candidates = [found for candidate in candidates for found in _step(candidate, part)] or candidates
    return {name for candidate in _models(candidates) for name in candidate.model_fields}


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    for candidate in _models([annotation]):
        if part in candidate.model_fields:
            yield candidate.model_fields[str(part)].annotation
        elif any(part in get_args(field.annotation) for field in candidate.model_fields.values()):
            yield candidate  # the part is the tag of this member of a union
    if get_origin(annotation) in {list, tuple, dict} and get_args(annotation):
        yield get_args(annotation)[-1 if get_origin(annotation) is dict else 0]
    elif get_origin(annotation) in {typing.Union, types.UnionType, typing.Annotated}:
        for member in get_args(annotation):
            yield from _step(member, part)


def _models(annotations: Sequence[Any]) -> Iterator[type[BaseModel]]:
    from pydantic import BaseModel

    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        elif get_origin(annotation) not in {None, Literal} and not _is_enum(annotation):
            yield from _models([member for member in get_args(annotation) if member is not type(None)])


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)

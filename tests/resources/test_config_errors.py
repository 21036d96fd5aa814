"""An error in YAML names file, line, field and what is permitted there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resources.config_errors import ConfigError, explain, read_yaml, read_yamls, with_plain_errors


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fast(Strict):
    kind: Literal["fast"]
    speed: int = Field(1, le=10)


class Slow(Strict):
    kind: Literal["slow"]
    patience: float | None = None


class Settings(Strict):
    name: str
    mode: Literal["a", "b"] = "a"
    part: Fast | None = None
    parts: list[Annotated[Fast | Slow, Field(discriminator="kind")]] = []
    by_name: dict[str, Fast] = {}


def errors_of(folder: Path, text: str) -> list[str]:
    file = folder / "settings.yml"
    file.write_text(text)
    tree = read_yaml(file)
    with pytest.raises(ValidationError) as error:
        Settings.model_validate(tree.value)
    return [line.removeprefix(f"{file}:") for line in explain(error.value, Settings, tree, ()).splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name: x\nnam: y",
            "2: nam: unknown field (did you mean 'name'?); permitted: by_name, mode, name, part, parts",
        ),
        (
            "name: x\npart:\n  kind: fast\n  sped: 1",
            "4: part.sped: unknown field (did you mean 'speed'?); permitted: kind, speed",
        ),
        ("name: x\nmode: c", "2: mode: Input should be 'a' or 'b'"),
        ("name:\n  a: 1", "1: name: Input should be a valid string"),
        (
            "name: x\nparts: [{kind: fast}, {kind: slow, patience: no way}]",
            "2: parts.1.patience: Input should be a valid number",
        ),
        ("name: x\nparts:\n- kind: slow\n  speed: 1", "4: parts.0.speed: unknown field; permitted: kind, patience"),
        ("name: x\nparts:\n- kind: medium", "3: parts.0: 'medium' is not known; permitted: 'fast', 'slow'"),
        ("name: x\nparts:\n- speed: 1", "3: parts.0: 'kind' is required here"),
        (
            "name: x\nby_name:\n  z:\n    kind: fast\n    speed: 11",
            "5: by_name.z.speed: Input should be less than or equal to 10",
        ),
        ("name: x\npart: fast", "2: part: fields are needed here; permitted: kind, speed"),
        ("mode: a", "1: name: this field is required"),
        ("- 1", "1: fields are needed here; permitted: by_name, mode, name, part, parts"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    found = errors_of(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_all_that_is_wrong_is_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = errors_of(tmp_path, "unknown: 1\nmode: c\nparts: 5\nname: [1]\n")
    assert [line.split(":")[0] for line in found] == ["1", "2", "3", "4"]


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"profiles\.yml: this file is missing"):
        read_yaml(tmp_path / "profiles.yml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: {c: 1\n", "broken.yml:3: not valid YAML"),
        (b"a: 1\n\tb: 2\n", "broken.yml:2: not valid YAML"),
        ("a: 1\nb: 契約書\n".encode("cp932"), "broken.yml:2: not UTF-8 text; save the file in UTF-8"),
    ],
)
def test_a_file_that_is_no_yaml_is_named_with_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "broken.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yamls(file)
    with pytest.raises(ConfigError, match=message):  # as the layers above read it
        with_plain_errors(lambda: list(yaml.safe_load_all(file.open(encoding="utf-8"))), tmp_path)


def test_a_file_with_several_documents_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    (tmp_path / "two.yml").write_text("a: 1\n---\nb: 1\n")
    with pytest.raises(ConfigError, match=r"two\.yml: has 2 YAML documents; one is needed"):
        read_yaml(tmp_path / "two.yml")


def test_a_config_error_comes_out_of_the_layers_that_wrapped_it(tmp_path: Path) -> None:
    def load() -> None:
        try:
            raise ConfigError("file:1: field: wrong")
        except ConfigError as error:
            raise RuntimeError("a component failed to load") from error

    with pytest.raises(ConfigError) as error:
        with_plain_errors(load, tmp_path)
    assert str(error.value) == "file:1: field: wrong"
    assert error.value.__context__ is None


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with_plain_errors(lambda: 1 // 0, tmp_path)

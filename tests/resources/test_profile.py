"""`profiles.yml`: the target decides where things lie, and what is wrong with it is said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.config_errors import ConfigError
from resources.platform import Platform
from resources.profile import TARGET_VARIABLE, Profile, load_profile, load_profiles, load_vars, target_name
from resources.state import State

PROFILES = """default_target: dev
targets:
  dev: {state_dir: .state/dev}
  prod:
    state_dir: "{{ env_var('WHERE_STATE_IS', '/var/lib/x') }}"
    state_url: "{{ env_var('WHERE_STATE_URL_IS', none) }}"
    vars: {size: 2}
vars: {size: 1, other: text}
"""


@pytest.fixture(autouse=True)
def _no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TARGET_VARIABLE, raising=False)


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "dbt_like_configs"
    folder.mkdir()
    (folder / "profiles.yml").write_text(PROFILES)
    return folder


def test_the_default_target_holds_where_none_is_chosen(configs: Path) -> None:
    assert target_name(configs) == "dev"
    assert load_profile(configs=configs).state_dir == configs.parent / ".state/dev"


def test_the_variable_chooses_the_target_and_its_vars(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_vars(configs) == {"size": 1, "other": "text"}
    monkeypatch.setenv(TARGET_VARIABLE, "prod")
    assert load_profile(configs=configs).state_dir == Path("/var/lib/x")
    assert load_vars(configs) == {"size": 2, "other": "text"}


def test_env_var_gives_a_place_and_a_url(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_profile("prod", configs).url == "sqlite:////var/lib/x/state.db"
    load_profiles.cache_clear()
    monkeypatch.setenv("WHERE_STATE_IS", "2026")
    monkeypatch.setenv("WHERE_STATE_URL_IS", "postgresql+psycopg2://u:p@host/db")
    profile = load_profile("prod", configs)
    assert profile.state_dir == configs.parent / "2026"
    assert profile.url == "postgresql+psycopg2://u:p@host/db"


def test_a_target_that_does_not_exist_is_refused_with_those_that_do(
    configs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"profiles\.yml: target 'staging' does not exist; targets: dev, prod"):
        load_profile("staging", configs)
    monkeypatch.setenv(TARGET_VARIABLE, "staging")
    with pytest.raises(ConfigError, match="target 'staging' does not exist"):
        target_name(configs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: {dev: {state_dir: x}}", "1: default_target: this field is required"),
        ("default_target: dev\ntargets:\n  dev: {}", "3: targets.dev.state_dir: this field is required"),
        (
            "default_target: dev\ntargets:\n  dev:\n    state_dir: x\n    worker: 2",
            "5: targets.dev.worker: unknown field (did you mean 'workers'?)",
        ),
        (
            "default_target: dev\ntargets:\n  dev:\n    state_dir: x\n    workers: 0",
            "5: targets.dev.workers: Input should be greater than or equal to 1",
        ),
        (
            "default_target: dev\ntargets:\n  dev: {state_dir: x, executor: threads}",
            "3: targets.dev.executor: Input should be 'in_process' or 'multiprocess'",
        ),
        ("default_target: dev\ntargets:\n  dev: {state_dir: \"{{ var('x') }}\"}", "templates may use: env_var"),
        (
            "default_target: dev\ntargets:\n  dev: {state_dir: \"{{ env_var('NOT_SET_ANYWHERE') }}\"}",
            "targets.dev.state_dir: env_var('NOT_SET_ANYWHERE'): not set",
        ),
        ("", "has 0 YAML documents"),
        ("just text", "1: fields are needed here"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(configs: Path, text: str, message: str) -> None:
    (configs / "profiles.yml").write_text(text)
    load_profiles.cache_clear()
    with pytest.raises(ConfigError) as error:
        load_profile(configs=configs)
    assert "profiles.yml" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["a b", "法務部", "a?b", "a#b", "a%20b", "a&b=c", "x" * 100])
def test_the_state_lies_in_its_folder_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    profile = Profile(state_dir=tmp_path / name)
    State(profile.url, tmp_path / "locks").engine.dispose()
    assert (tmp_path / name / "state.db").is_file()


def test_what_tenants_have_lies_in_folders_that_do_not_overlap(tmp_path: Path) -> None:
    platform = Platform(Profile(state_dir=tmp_path / "state"))
    places = [Path(platform.tables(tenant, corpus).root) for tenant in ("one", "two") for corpus in ("a", "b")] + [
        Path(platform.embeddings(tenant).root) for tenant in ("one", "two")
    ]
    places += [platform.runs(tenant, "a") for tenant in ("one", "two")] + [platform.cache]
    for place in places:
        assert not any(place.is_relative_to(other) for other in places if other is not place)

"""The URL of a webhook is a secret: whoever has it can write to the channel. No message may show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.config_errors import ConfigError
from resources.profile import load_profile

SECRET = "T0000-secret"


def profiles(folder: Path, value: str) -> Path:
    configs = folder / "dbt_like_configs"
    configs.mkdir()
    (configs / "profiles.yml").write_text(
        f"default_target: dev\ntargets:\n  dev:\n    state_dir: x\n    alerts:\n      slack: {value}\n"
    )
    return configs


@pytest.mark.parametrize("url", [f"ftp://{SECRET}", f"{SECRET}", f"https:///{SECRET}", f"http://h:port-{SECRET}/"])
def test_a_value_that_is_no_web_address_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_profile(configs=profiles(tmp_path, repr(url)))
    assert "profiles.yml:6: targets.dev.alerts.slack: a URL with https:// or http://" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_good_one_is_in_no_representation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"https://hooks.example.com/{SECRET}")
    profile = load_profile(configs=profiles(tmp_path, "\"{{ env_var('HOOK', none) }}\""))
    assert SECRET not in repr(profile) + str(profile) + profile.model_dump_json()
    assert profile.alerts.channels["slack"].get_secret_value().endswith(SECRET)


@pytest.mark.parametrize("value", ["\"{{ env_var('NOT_SET_HERE', none) }}\"", "''"])
def test_without_a_url_there_is_the_log(tmp_path: Path, value: str) -> None:
    assert load_profile(configs=profiles(tmp_path, value)).alerts.channels == {}

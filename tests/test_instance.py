"""Guards against runs that land in an instance that nobody looks at, without a word."""

from pathlib import Path

import pytest

from llm_assets.instance import foreign_instance, stock_pools
from resources.profile import ROOT


def test_the_projects_own_instance_needs_no_word() -> None:
    assert foreign_instance(str(ROOT), ROOT) is None
    assert foreign_instance(None, ROOT) is None


@pytest.mark.parametrize(
    ("home", "folder", "told"),
    [
        (None, Path("/"), "DAGSTER_HOME is not set"),
        ("/elsewhere", ROOT, "dagster.yaml is not used"),
        (str(ROOT), Path("/"), "the working directory is not the project"),
    ],
)
def test_another_instance_is_named_with_the_way_out(home: str | None, folder: Path, told: str) -> None:
    message = foreign_instance(home, folder)
    assert message is not None
    assert told in message
    assert str(ROOT) in message


@pytest.mark.parametrize("name", ["dagster.yaml", "dagster.postgres.yaml"])
def test_an_instance_with_our_storages_needs_no_word(tmp_path: Path, name: str) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / name).read_text())
    assert stock_pools(str(tmp_path), ROOT) is None
    assert stock_pools(None, tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "storage: {sqlite: {base_dir: here}}", "# resources.accelerators.dagster_pools"]
)
def test_an_instance_without_them_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "dagster.yaml").write_text(text)
    message = stock_pools(str(tmp_path), ROOT)
    assert message is not None
    assert str(tmp_path / "dagster.yaml") in message
    assert "Copy run_storage and event_log_storage" in message

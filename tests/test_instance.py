"""Guards against runs that land in an instance that nobody looks at, without a word."""

from pathlib import Path

import pytest

from llm_assets.instance import foreign_instance
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

"""What the tests of all packages share: a platform, a corpus, and a project to run real commands in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resources.platform import Platform
from resources.profile import Profile
from tests.weaviate_fixtures import pytest_terminal_summary  # noqa: F401  (a hook: pytest looks for it here)

if TYPE_CHECKING:
    from llm_assets.corpora.settings import CorpusSpec

CHECKOUT = Path(__file__).resolve().parent.parent
CODE = ("llm_assets", "resources", "sensors", "pyproject.toml", "workspace.yaml", "dagster.yaml")
CONFIG_FILES = ("__init__.py", "profiles.yml", "accelerators.yml")
COMMAND_SECONDS = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first: begun last, one worker would run them while the other has nothing left to do."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A platform of its own: an empty state database, no tables."""
    return Platform(Profile(state_dir=tmp_path / "state"))


@pytest.fixture
def make_corpus() -> Callable[..., CorpusSpec]:
    """`make_corpus(folder, **settings)`: a corpus over `folder/documents`, as if YAML in `folder` had said so."""

    def make(folder: Path, *, tenant: str = "acme", **settings: Any) -> CorpusSpec:
        from llm_assets.corpora.settings import CorpusSettings, CorpusSpec

        defaults = {"name": "handbook", "source": {"path": "documents"}}
        return CorpusSpec(tenant, folder, CorpusSettings.model_validate(defaults | settings))

    return make


class Project:
    """A copy of the project's code without any tenant. Tests write tenants into it and run real commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = os.environ | {
            "PYTHONPATH": str(root),
            "DAGSTER_HOME": str(root),
            "VIRTUAL_ENV": sys.prefix,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DO_NOT_TRACK": "1",
            "COLUMNS": "200",
        }
        self.environment.pop("LLM_ASSETS_TARGET", None)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file below `dbt_like_configs`, for example `acme/handbook/defs.yaml`."""
        file = self.root / "dbt_like_configs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def run(
        self, *command: str, timeout: float = COMMAND_SECONDS, env: Mapping[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's root.

        Args:
            command: for example `("dagster", "asset", "materialize", …)`.
            timeout: seconds after which it is ended and the test fails.
            env: variables to set, or with None to unset.
        """
        return subprocess.run(
            command,
            cwd=self.root,
            env=self._environment(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def start(
        self, *command: str, env: Mapping[str, str | None] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a command in the project's root, in a session of its own, and return at once."""
        return subprocess.Popen(
            command, cwd=self.root, env=self._environment(env), text=True, start_new_session=True, **options
        )

    def _environment(self, changes: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = self.environment | dict(changes or {})
        return {name: value for name, value in merged.items() if value is not None}


def copy_project(root: Path) -> Project:
    """A project of its own. The code finds its root from where it lies, so it is copied, bytecode included."""
    for name in CODE:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copy2(source, root / name)
    (root / "dbt_like_configs").mkdir()
    for name in CONFIG_FILES:
        shutil.copy2(CHECKOUT / "dbt_like_configs" / name, root / "dbt_like_configs" / name)
    return Project(root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of its own, without any tenant."""
    return copy_project(tmp_path / "project")

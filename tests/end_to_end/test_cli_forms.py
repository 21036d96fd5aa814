"""A command of the README that fails, or works on other tables than the others, costs a newcomer the first day."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import (
    assert_whole,
    contents,
    platform_of,
    recorded,
    runs_of,
    succeeded,
)

COUNT = 7
WITHOUT_HOME = {"DAGSTER_HOME": None}
FORMS = {
    "asset materialize": (
        *("dagster", "asset", "materialize", "-m", "llm_assets.definitions"),
        *("--select", 'key:"acme/*" and not kind:"file"'),
    ),
    "job execute": ("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", "ingest"),
    "launch": ("dg", "launch", "--job", "ingest"),
}


@pytest.fixture(scope="module")
def built(module_project: Project) -> Project:
    """A corpus that was built by the first form, without DAGSTER_HOME."""
    folder = module_project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", COUNT)
    succeeded(module_project.run(*FORMS["asset materialize"], env=WITHOUT_HOME))
    return module_project


def entries(root: Path) -> set[str]:
    """Everything in a checkout, bytecode and the state folder left out."""
    found = set()
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in ("__pycache__", ".state")]
        found |= {os.path.relpath(Path(parent, name), root) for name in (*folders, *names)}
    return found


def test_without_dagster_home_nothing_differs_and_the_checkout_stays_clean(built: Project) -> None:
    assert_whole(platform_of(built))
    assert len(contents(platform_of(built))["documents"]) == COUNT
    expected = {"llm_assets", "resources", "sensors", "pyproject.toml", "workspace.yaml", "dagster.yaml"}
    assert {name.partition("/")[0] for name in entries(built.root)} == expected | {"dbt_like_configs"}
    assert len(runs_of(built)) == 1, "the run is seen in the project's own instance"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_works_on_the_same_tables_and_is_seen_in_the_instance(built: Project, form: str) -> None:
    before, known, clean = contents(platform_of(built)), len(runs_of(built)), entries(built.root)
    succeeded(built.run(*FORMS[form]))
    assert contents(platform_of(built)) == before
    assert len(runs_of(built)) == known + 1
    assert recorded(built, "acme/handbook/documents")["parsed in this run"] == 0
    assert recorded(built, "acme/handbook/embeddings")["texts embedded in this run"] == 0
    assert entries(built.root) == clean


@pytest.mark.parametrize("home", [True, False], ids=["with DAGSTER_HOME", "without DAGSTER_HOME"])
def test_the_workspace_validates(built: Project, home: bool) -> None:
    env: dict[str, Any] = {} if home else WITHOUT_HOME
    done = succeeded(built.run("dagster", "definitions", "validate", "-w", "workspace.yaml", env=env))
    assert re.search(r"validation successful.*llm-assets", done.stderr + done.stdout, re.IGNORECASE | re.DOTALL)


def test_dg_checks_and_lists_what_the_yaml_says(built: Project) -> None:
    succeeded(built.run("dg", "check", "yaml"))
    succeeded(built.run("dg", "check", "defs"))


def test_the_target_prod_runs_its_steps_in_processes_of_their_own_and_apart_from_dev(built: Project) -> None:
    before = contents(platform_of(built))
    prod = built.root / ".state" / "prod"
    prod.mkdir()
    (prod / "cache").symlink_to((built.root / ".state" / "dev" / "cache").resolve())
    succeeded(built.run(*FORMS["job execute"], env={"LLM_ASSETS_TARGET": "prod"}))
    assert_whole(platform_of(built, "prod"))
    assert contents(platform_of(built, "prod"))["chunks"] == before["chunks"]
    assert contents(platform_of(built)) == before

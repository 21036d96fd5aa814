"""Rules of the house that a machine can hold: loading stays light, no file knows a developer's machine."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tests.conftest import CHECKOUT, Project

HEAVY = {
    *("torch", "transformers", "sentence_transformers", "peft", "trl", "accelerate", "datasets", "openvino"),
    *("lancedb", "pyarrow", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "PIL"),
    *("unstructured", "pypdfium2", "docx", "pptx", "openpyxl", "lxml", "weaviate", "ir_measures", "psycopg2"),
}
# Dagster's own imports are not ours to choose; what it brings along anyway is left out.
PROBE = """
import json, sys
import dagster
from dagster import components
before = set(sys.modules)
from llm_assets.definitions import defs
repository = defs().get_repository_def()
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"new": sorted(new), "assets": len(repository.asset_graph.get_all_asset_keys())}))
"""
CORPUS = "type: llm_assets.components.Corpus\nattributes: {name: handbook, source: {path: documents}}\n"
TEXT_FILES = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".cfg", ".jsonl", ".tsv", ""}
# Places of one machine; put together, so that this file has none of them.
FOREIGN = [re.compile(pattern) for pattern in ("/wo" + "rk/", "/tmp/[a-z]+/", "/home/[a-z]+/", "/Us" + "ers/[a-z]+/")]


def tracked() -> list[Path]:
    """The files of the checkout that git has or would take."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [CHECKOUT / name for name in names if name and (CHECKOUT / name).is_file()]


@pytest.fixture(scope="module")
def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_loading_the_code_location_imports_no_heavy_library(project: Project) -> None:
    project.write("acme/handbook/defs.yaml", CORPUS)
    done = project.run(sys.executable, "-W", "ignore", "-c", PROBE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["assets"] >= 5, "nothing was loaded: this test would prove nothing"
    assert HEAVY & set(found["new"]) == set()


def test_every_module_says_what_it_is_for(modules: list[Path]) -> None:
    silent = [
        str(path.relative_to(CHECKOUT))
        for path in modules
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_file_names_a_place_of_one_machine() -> None:
    found = []
    for path in tracked():
        if path.suffix not in TEXT_FILES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            found += [f"{path.relative_to(CHECKOUT)}:{number}" for pattern in FOREIGN if pattern.search(line)]
    assert found == []


def test_every_kind_of_table_test_is_exercised_by_the_tests_of_the_checks() -> None:
    from llm_assets.schema import TableTest

    members = get_args(get_args(TableTest)[0])
    kinds = {get_args(member.model_fields["test"].annotation)[0] for member in members}
    text = (CHECKOUT / "tests" / "components" / "test_checks.py").read_text(encoding="utf-8")
    assert kinds
    assert {kind for kind in kinds if f'"test": "{kind}"' not in text} == set()

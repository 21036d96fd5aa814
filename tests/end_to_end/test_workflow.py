"""A workflow that nobody has run fails in the first fork that tries it, or passes over a check that failed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CHECKOUT, Project, copy_project
from tests.end_to_end.documents import corpus_yaml, fine_tune_yaml, write_documents
from tests.models.real_model import example_rows
from tests.tiny_model import save_tiny_model

FILE = CHECKOUT / ".github" / "workflows" / "pipeline.yml"
MORE_CODE = ("Makefile", "constraints.txt", "benchmarks", "scripts")
TESTS = (  # a fork has its own; the benchmarks use parts of ours
    "__init__.py",
    "conftest.py",
    "weaviate_fixtures.py",
    "test_console.py",
    "corpora/__init__.py",
    "corpora/parsing/__init__.py",
    "corpora/parsing/ole.py",
    "corpora/parsing/samples.py",
    "resources/__init__.py",
    "resources/conftest.py",
)
STEP_SECONDS = 600
TOO_MANY = {"test": "row_count", "min": 100_000}


def workflow() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def steps() -> list[dict[str, Any]]:
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


def commands() -> dict[str, str]:
    """Name of a step to what it runs, in order."""
    return {step["name"]: step["run"] for step in steps() if "run" in step}


def test_actions_are_pinned_to_commits_and_may_only_read() -> None:
    for step in steps():
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
    found = workflow()
    assert found["permissions"] == {"contents": "read"}
    assert "concurrency" in found
    assert all("permissions" not in job and job["timeout-minutes"] for job in found["jobs"].values())


def test_make_ci_does_what_the_workflow_does() -> None:
    told = [command.partition(" >>")[0].removeprefix("make ") for command in commands().values()]
    recipe = re.search(r"^ci:\n((?:\t.*\n)+)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    done = re.findall(r"\$\(MAKE\) --no-print-directory ([a-z]+(?: TARGET=ci)?)", recipe.group(1))
    assert told == ["install", *done], "each of its targets installs what is missing"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Project:
    """A user's copy with a small tenant, and an environment of its own over the packages that are installed here."""
    project = copy_project(tmp_path_factory.mktemp("fork") / "project")
    for name in MORE_CODE:
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, project.root / name)
    for name in TESTS:
        (project.root / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / "tests" / name, project.root / "tests" / name)
    (project.root / ".state" / "ci").mkdir(parents=True)
    (project.root / ".state" / "ci" / "cache").symlink_to(model_cache)
    _own_environment(project.root)
    project.environment = _runner(project)
    _write_tenant(project)
    return project


def _own_environment(root: Path) -> None:
    """`.venv`, in which this project is the installed one; the Makefile's stamp says that it is up to date."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    packages = root / ".venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "a.pth").write_text(f"{root}\n{sysconfig.get_path('purelib')}\n")
    for script in Path(sysconfig.get_path("scripts")).iterdir():
        target = root / ".venv" / "bin" / script.name
        if target.exists() or not script.is_file():
            continue
        content = script.read_bytes()
        first, _, rest = content.partition(b"\n")
        if first.startswith(b"#!") and b"python" in first:
            target.write_bytes(f"#!{root}/.venv/bin/python\n".encode() + rest)
            target.chmod(0o755)
        else:
            target.symlink_to(script)
    (root / ".venv" / ".installed").touch()


def _runner(project: Project) -> dict[str, str]:
    """What a runner's shell has: nothing of this project."""
    ours = {"PYTHONPATH", "DAGSTER_HOME", "VIRTUAL_ENV", "LLM_ASSETS_TARGET", "PYTEST_ADDOPTS", "MAKEFLAGS"}
    kept = {
        name: value for name, value in os.environ.items() if name not in ours and not name.startswith("PYTEST_XDIST")
    }
    return kept | {"CI": "true", "GITHUB_STEP_SUMMARY": str(project.root.parent / "summary.md")}


def _write_tenant(project: Project, **tests: Any) -> None:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml(tests=tests)).parent
    write_documents(folder / "documents", 7)
    (folder / "documents" / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    model = project.root / "dbt_like_configs" / "acme" / "places"
    if not (model / "base").is_dir():
        save_tiny_model(model / "base")
    rows = "".join(json.dumps(row) + "\n" for row in example_rows())
    project.write("acme/places/examples.jsonl", rows)
    text = fine_tune_yaml(
        "places",
        model="path:base",
        data={"examples": {"path": "examples.jsonl"}, "held_out": 0.2},
        training={"max_steps": "{{ var('max_steps', none) }}", "batch": 4, "threads": 1, "max_tokens": 48},
        evaluation={"max_examples": 2},
        gate={"metric": "loss", "better_than": "base"},
    )
    project.write("acme/places/defs.yaml", text)
    parted = project.write("acme/parted/defs.yaml", corpus_yaml("parted", buckets=2)).parent
    write_documents(parted / "documents", 5)
    by_hand = {"automation": "manual", "source": {"path": "of/nobody"}}
    project.write("acme/by_hand/defs.yaml", corpus_yaml("by_hand", **by_hand))
    project.write("acme/parted_by_hand/defs.yaml", corpus_yaml("parted_by_hand", buckets=2, **by_hand))


def shell(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    """As a step of the workflow runs it."""
    return project.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command, timeout=STEP_SECONDS)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_command_works_in_a_fork_and_a_failed_check_of_severity_error_fails_the_job(fork: Project) -> None:
    for name, command in commands().items():
        done = shell(fork, command)
        assert done.returncode == 0, f"{name}: {command}\n{(done.stdout + done.stderr)[-4000:]}"
    summary = Path(fork.environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert "target `ci`" in summary
    assert "All checks passed" in summary
    assert re.search(r"\| acme/handbook \| 7 \| 1 \|", summary), summary
    assert re.search(r"\| acme/parted \| 5 \| 0 \|", summary), summary
    assert "| acme/places |" in summary
    assert "by_hand" not in summary
    assert "broken.pdf" in summary
    for step in steps():
        if "upload-artifact" in step.get("uses", ""):
            patterns = [line for line in step["with"]["path"].splitlines() if not line.startswith("!")]
            assert all(any(fork.root.glob(pattern)) for pattern in patterns), patterns

    _write_tenant(fork, vector_index=[TOO_MANY])  # nothing is downstream of it that the check could stop
    done = shell(fork, "make chain TARGET=ci || true")
    assert "Traceback" not in done.stdout
    done = shell(fork, commands()["Report"])
    assert done.returncode != 0
    assert "check row_count of acme/handbook/vector_index failed" in done.stderr
    assert (
        "row_count of acme/handbook/vector_index failed" in Path(fork.environment["GITHUB_STEP_SUMMARY"]).read_text()
    )

    fork.write("acme/handbook/defs.yaml", "type: llm_assets.components.Corpus\nattributes: {name: 7}\n")
    done = shell(fork, "make chain TARGET=ci || true")
    assert "acme/handbook/defs.yaml:2" in done.stderr
    assert "Traceback" not in done.stderr
    done = shell(fork, commands()["Report"])
    assert done.returncode != 0
    assert "the last chain ended before its first run" in done.stderr

"""A stage that computes without a lease, or in the step's own process, takes a device that another was granted."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.accelerators.configuration import load_accelerators
from resources.accelerators.ledger.ledger import Ledger
from resources.language_model import LanguageModel
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, write_documents
from tests.end_to_end.looking import assert_whole, platform_of, recorded, start, succeeded
from tests.end_to_end.test_tuned import write_fine_tune
from tests.models.real_model import example_rows

FRAMEWORKS = ["torch", "openvino", "transformers", "sentence_transformers", "peft", "tensorflow", "jax"]
# The steps run in this process, which then says what they have imported.
PROBE = """
import json, sys
from dagster._cli import cli
try:
    cli(["asset", "materialize", "-m", "llm_assets.definitions", "--select", "key:\\"acme/*\\" and not kind:file"])
except SystemExit as end:
    print(json.dumps({"code": end.code, "imported": [name for name in sys.argv[1:] if name in sys.modules]}))
"""
COMPUTING = {
    "acme/handbook/embeddings": "embed",
    "acme/handbook/vector_index": "embed",
    "acme/handbook/retrieval_evaluation": "embed",
    "acme/places/tuned_model": "small",
    "acme/places/evaluation": "evaluate",
}
ONE_AT_A_TIME = {"pools": {"embed": {"memory_gb": 0.5, "kind": "cpu"}}}


def write_handbook(project: Project, **attributes: Any) -> Path:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml(**attributes)).parent
    write_documents(folder / "documents" / "rules", 6)
    return folder


def write_questions(folder: Path) -> None:
    questions = folder / "questions"
    (questions / "qrels").mkdir(parents=True)
    (questions / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": sentence(0)}) + "\n")
    name = next(file.name for file in sorted((folder / "documents" / "rules").iterdir()))
    rows = f"query-id\tcorpus-id\tscore\nq\tdocuments/rules/{name}\t1\n"
    (questions / "qrels" / "test.tsv").write_text(rows)


def ledger_of(project: Project) -> Ledger:
    with contextlib.chdir(project.root):
        file = project.root / "dbt_like_configs" / "accelerators.yml"
        return Ledger(f"sqlite:///{project.root}/.state/accelerators/ledger.db", load_accelerators(file))


@pytest.fixture(scope="module")
def chain(module_project: Project, smollm2: LanguageModel) -> tuple[Project, dict[str, Any]]:
    """A corpus and a model, every stage run in one process, and what that process said at its end."""
    project = module_project
    assert smollm2.path.exists()
    write_questions(write_handbook(project, evaluation={"path": "questions"}))
    project.write("acme/places/examples.jsonl", "".join(json.dumps(row) + "\n" for row in example_rows()))
    write_fine_tune(project)
    done = succeeded(project.run(sys.executable, "-W", "ignore", "-c", PROBE, *FRAMEWORKS))
    return project, json.loads(done.stdout.splitlines()[-1])


def test_no_step_imports_a_framework(chain: tuple[Project, dict[str, Any]]) -> None:
    assert chain[1] == {"code": 0, "imported": []}


def test_every_stage_that_computes_says_what_it_held(chain: tuple[Project, dict[str, Any]]) -> None:
    for key, pool in COMPUTING.items():
        said = recorded(chain[0], key)
        assert (key, said["pool"]) == (key, pool)
        assert "cpu0" in said["devices"]
        assert said["device-seconds"] > 0
        assert said["seconds waited for devices"] >= 0
    assert recorded(chain[0], "acme/places/tuned_model")["peak memory"] != "not measured"
    assert "pool" not in recorded(chain[0], "acme/handbook/documents")


def test_when_all_is_done_all_is_given_back(chain: tuple[Project, dict[str, Any]]) -> None:
    state = ledger_of(chain[0]).view()
    assert state.devices
    assert not state.leases
    assert not state.waiting


def test_two_runs_of_one_corpus_whose_pool_admits_one_do_not_wait_for_each_other_for_ever(project: Project) -> None:
    accelerators = project.root / "dbt_like_configs" / "accelerators.yml"
    accelerators.write_text(yaml.safe_dump(ONE_AT_A_TIME))
    write_handbook(project)
    project.run("dagster", "run", "list")  # two processes that make Dagster's own tables at once fail
    selection = 'key:"acme/handbook/*" and not kind:"file"'
    runs = [start(project, selection) for _ in range(2)]
    for run in runs:
        told, _ = run.communicate(timeout=120)
        assert run.returncode == 0, told
    assert_whole(platform_of(project))
    assert not ledger_of(project).view().leases

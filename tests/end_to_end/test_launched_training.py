"""What a person changes at launch must be what is trained; a training that fits nowhere must say what would."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import Project
from tests.end_to_end.documents import fine_tune_yaml
from tests.end_to_end.looking import instance_of, platform_of, recorded, succeeded
from tests.models.real_model import example_rows
from tests.tiny_model import save_tiny_model

pytestmark = pytest.mark.long
TRAINED = 'key:"acme/tiny/training_set" or key:"acme/tiny/tuned_model"'


def write_tiny(project: Project, **training: Any) -> None:
    fixed = {"batch": 4, "max_steps": 6, "checkpoint_steps": 2, "threads": 1, "max_tokens": 48}
    text = fine_tune_yaml(
        "tiny",
        model="path:model",
        data={"examples": {"path": "examples.jsonl"}, "held_out": 0.2},
        training=fixed | training,
    )
    project.write("acme/tiny/defs.yaml", text)


@pytest.fixture(scope="module")
def tiny(module_project: Project) -> Project:
    """A fine-tune of a model that is made in a second."""
    module_project.write("acme/tiny/examples.jsonl", "".join(json.dumps(row) + "\n" for row in example_rows()))
    save_tiny_model(module_project.root / "dbt_like_configs/acme/tiny/model")
    write_tiny(module_project)
    return module_project


def launched(project: Project, **changed: Any) -> tuple[int, str]:
    config = {"ops": {"acme__tiny__tuned_model": {"config": changed}}} if changed else {}
    done = project.run("dg", "launch", "--assets", TRAINED, "--config-json", json.dumps(config))
    return done.returncode, done.stdout + done.stderr


def test_parameters_of_a_launch_are_those_of_the_training(tiny: Project) -> None:
    succeeded(tiny.run("dg", "launch", "--assets", TRAINED))
    assert recorded(tiny, "acme/tiny/tuned_model")["steps in this run"] == 6
    code, said = launched(tiny, max_steps=3, learning_rate=0.005, lora={"rank": 4})
    assert code == 0, said
    told = recorded(tiny, "acme/tiny/tuned_model")
    assert told["steps in this run"] == 3
    runs = platform_of(tiny).runs("acme", "tiny")
    jobs = [json.loads(file.read_text())["settings"] for file in runs.glob("*/job.json")]
    found = sorted((one["max_steps"], one["learning_rate"], one["lora"]["rank"]) for one in jobs)
    assert found == [(3, 0.005, 4), (6, 0.001, 16)]
    code, said = launched(tiny, batch=4, micro_batch=3)
    assert code != 0
    assert "training of acme/tiny: micro_batch is 3: it must divide batch (4)" in said


def test_a_training_that_fits_no_device_says_what_it_needs_and_the_ways_out(tiny: Project) -> None:
    write_tiny(tiny, memory_gb=900000, max_tokens=512)
    code, said = launched(tiny)
    assert code != 0
    needs = r"acme/tiny needs [\d.]+ GB on each device by the estimate\. Less: training\.\w+: \w+ needs [\d.]+ GB"
    assert re.search(needs, " ".join(said.split())), said[-3000:]
    with instance_of(tiny) as instance:
        (run,) = instance.get_runs(limit=1)
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    logs = [str(event.message) for event in events if event]
    (told,) = [line for line in logs if line.startswith("Step acme__tiny__tuned_model can never start")]
    assert re.search(needs, told)

"""What `dg check defs` and `dagster definitions validate` say of a wrong configuration, as a user sees it."""

from __future__ import annotations

import re

from tests.conftest import Project

HANDBOOK = "type: llm_assets.components.Corpus\nattributes:\n  name: handbook\n  source: {path: documents}\n"
KINDS = "type: llm_assets.components.FineTune\nattributes:\n  name: kinds\n  data: {examples: {path: e.jsonl}}\n"
FILE = "acme/handbook/defs.yaml"


def check_defs(project: Project) -> str:
    """What `dg check defs` says when it refuses; without colours and line breaks."""
    done = project.run("dg", "check", "defs")
    assert done.returncode != 0, done.stdout
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def test_what_the_schema_can_tell_is_said_all_at_once_with_places_and_what_is_permitted(project: Project) -> None:
    lines = ["  chunk: {max_token: 64}", "  embedder: {threads: many}", "  parse: {strategy: quick}"]
    project.write(FILE, HANDBOOK + "\n".join(lines) + "\n")
    said = check_defs(project)
    for message in (
        r"5 - .* attributes\.chunk 'max_token' is not one of \['max_tokens', 'overlap_",
        r"6 - .* attributes\.embedder\.threads 'many' is not of type 'integer'",
        r"7 - .* attributes\.parse\.strategy 'quick' is not one of \[.*'fast', 'auto'",
    ):
        assert re.search(rf"dbt_like_configs/acme/handbook/defs\.yaml:{message}", said)


def test_what_only_loading_can_tell_is_said_with_its_place_and_what_is_permitted(project: Project) -> None:
    project.write(FILE, HANDBOOK + "  tests:\n    documents:\n      - {test: unique, column: document}\n")
    permitted = r"'documents' has no column 'document'; permitted: doc_id, uri"
    assert re.search(
        rf"dbt_like_configs/{FILE}:7: attributes\.tests\.documents\.0\.column: {permitted}", check_defs(project)
    )


def test_a_defs_yaml_outside_of_any_tenant_is_refused(project: Project) -> None:
    project.write("defs.yaml", HANDBOOK)
    assert "dbt_like_configs/defs.yaml belongs to no tenant: move it into a folder" in check_defs(project)


def test_validate_names_the_place_of_broken_yaml(project: Project) -> None:
    project.write(FILE, HANDBOOK + "  chunk: {max_tokens: 64\n")
    done = project.run("dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert done.returncode != 0
    assert f"dbt_like_configs/{FILE}:6: not valid YAML" in done.stdout + done.stderr


def test_a_right_configuration_passes_where_a_template_stands_for_a_number_and_for_a_whole_source(
    project: Project,
) -> None:
    profiles = project.root / "dbt_like_configs" / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("vars: {}", "vars: {size: 64}"))
    project.write("acme/sources.yml", "sources:\n  files: {path: papers}\n")
    text = HANDBOOK.replace("{path: documents}", "\"{{ source('files') }}\"")
    project.write(FILE, text + "  chunk: {max_tokens: \"{{ var('size') }}\"}\n")
    done = project.run("dg", "check", "defs")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_pool_is_refused_with_its_place_the_file_of_the_pools_and_the_pools_there(
    project: Project,
) -> None:
    project.write(FILE, HANDBOOK + "  embedder: {pool: huge}\n")
    known = "embed, evaluate, full, inference, lora, small"
    said = rf"dbt_like_configs/accelerators\.yml has no pool 'huge'; pools there: {known}"
    assert re.search(rf"{FILE}:5: attributes\.embedder\.pool: {said}", check_defs(project))
    project.write(FILE, KINDS + "  training: {next_pool: huge}\n")
    assert re.search(rf"{FILE}:5: attributes\.training\.next_pool: {said}", check_defs(project))


def test_a_gate_and_a_prompt_that_name_what_there_is_not_are_refused_with_their_line(project: Project) -> None:
    head, data = KINDS, "  evaluation: {metrics: [accuracy]}\n"
    project.write("acme/kinds/defs.yaml", head + data + "  gate: {metric: f1}\n")
    said = r"'f1' is not measured; measured: accuracy, loss"
    assert re.search(r"acme/kinds/defs\.yaml:6: attributes\.gate\.metric: " + said, check_defs(project))
    project.write("acme/kinds/defs.yaml", head + data + "  gate:\n    not_worse: {general.loss: 0.1}\n")
    said = r"'general\.loss' is not measured; measured: accuracy, loss"
    assert re.search(
        rf"acme/kinds/defs\.yaml:7: attributes\.gate\.not_worse\.general\.loss: {said}", check_defs(project)
    )
    tests = "  tests:\n    evaluation:\n      - {test: metric, metric: acuracy, min: 0.7}\n"
    project.write("acme/kinds/defs.yaml", head + data + tests)
    said = "tests.evaluation.0.metric: 'acuracy' is not measured; permitted: accuracy, loss, base_accuracy"
    assert said in check_defs(project)
    asked = "  answers:\n    inputs: {path: i.jsonl}\n    prompt: '{question[0]}'\n"
    project.write("acme/kinds/defs.yaml", head + data + asked)
    assert re.search(r"defs\.yaml:8: attributes\.answers\.prompt: .*is no column", check_defs(project))

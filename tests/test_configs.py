"""From a defs.yaml to settings, without Dagster: what the command line reads, and what it refuses."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from llm_assets.schema import Described
from tests.conftest import Project

HANDBOOK = "type: llm_assets.components.Corpus\nattributes:\n  name: handbook\n  source: {path: documents}\n"
# Prints the ids of the corpora, or what was refused: the modules find their root by where they lie.
PROBE = """
from llm_assets.configs import corpora
from resources.config_errors import ConfigError
try:
    for spec in corpora():
        print(spec.id, spec.settings.source.path, spec.settings.chunk.max_tokens, spec.settings.source.base)
except ConfigError as error:
    print("refused:", error)
"""


def corpora_of(project: Project, **environment: str) -> list[str]:
    done = project.run(sys.executable, "-c", PROBE, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_corpus_of_every_tenant_is_found(project: Project) -> None:
    project.write("acme/handbook/defs.yaml", HANDBOOK)
    project.write("beta/some/where/deep/defs.yaml", HANDBOOK + "---\n" + HANDBOOK.replace("handbook", "second"))
    assert [line.split()[0] for line in corpora_of(project)] == ["acme/handbook", "beta/handbook", "beta/second"]


def test_templates_give_numbers_sources_and_names(project: Project) -> None:
    profiles = project.root / "dbt_like_configs" / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("vars: {}", "vars: {size: 64}"))
    project.write("acme/shared/sources.yml", "sources:\n  files: {path: papers}\n")
    settings = "source: \"{{ source('files') }}\"\n  chunk: {max_tokens: \"{{ var('size') }}\"}"
    project.write("acme/handbook/defs.yaml", HANDBOOK.replace("source: {path: documents}", settings))
    base = project.root / "dbt_like_configs" / "acme" / "shared"
    assert corpora_of(project) == [f"acme/handbook papers 64 {base}"]


def test_a_path_from_the_environment_stays_text(project: Project) -> None:
    project.write("acme/a/defs.yaml", HANDBOOK.replace("documents", "\"{{ env_var('FOLDER') }}\""))
    assert corpora_of(project, FOLDER="2026")[0].split()[1] == "2026"


def test_a_tenant_may_be_a_link_to_a_folder_elsewhere(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "handbook").mkdir(parents=True)
    (tmp_path / "elsewhere" / "handbook" / "defs.yaml").write_text(HANDBOOK)
    (project.root / "dbt_like_configs" / "acme").symlink_to(tmp_path / "elsewhere")
    assert [line.split()[0] for line in corpora_of(project)] == ["acme/handbook"]


def changed(*replace: tuple[str, str], more: str = "") -> str:
    text = HANDBOOK
    for old, new in replace:
        text = text.replace(old, new)
    return text + more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            changed(more="  chunk:\n    max_tokens: many\n"),
            ":6: attributes.chunk.max_tokens: Input should be a valid integer",
        ),
        (
            changed(more="  chunks: {}\n"),
            ":5: attributes.chunks: unknown field (did you mean 'chunk'?); permitted: automation",
        ),
        (
            changed(more="  chunk:\n    max_token: 5\n"),
            ":6: attributes.chunk.max_token: unknown field (did you mean 'max_tokens'?)",
        ),
        (
            changed(more="  tests:\n    chunks:\n      - test: unique\n        column: x\n        col: x\n"),
            ":9: attributes.tests.chunks.0.col: unknown field (did you mean 'column'?); permitted: column, sev",
        ),
        (
            changed(more="  tests:\n    chunks:\n      - {test: uniq}\n"),
            ":7: attributes.tests.chunks.0: 'uniq' is not known; permitted: 'not_null', 'unique'",
        ),
        (
            changed(more="  tests:\n    documents:\n      - {test: row_count, min: many}\n"),
            ":7: attributes.tests.documents.0.min: Input should be a valid",
        ),
        (changed(("name: handbook", "name: ''")), ":3: attributes.name: String should"),
        (
            changed(more="  tests: [1]\n"),
            ":5: attributes.tests: fields are needed here; permitted: chunks, documents",
        ),
        (
            changed(more="  owners: [bob]\n"),
            ":5: attributes.owners: owner 'bob' is neither an e-mail address nor team:<name>",
        ),
        (
            changed(more="  description: x\n  owners: ['team:']\n"),
            ":6: attributes.owners: owner 'team:' is neither an e-mail address nor team:<name>",
        ),
        (
            changed(more="  tags: {area: law, stage: prod}\n"),
            ":5: attributes.tags: tag 'stage' is set by the project; reserved: tenant, corpus, model, stage",
        ),
        (changed(more="  tags: {dagster/kind/x: y}\n"), ":5: attributes.tags: tag 'dagster/kind/x' is set by"),
        (
            changed(more="  tags: {area: labour law}\n"),
            ":5: attributes.tags: tag 'area: labour law': a name and a value have letters, digits, '_', '-' and '.'",
        ),
        (
            changed(more='  automation:\n    cron: "61 3 * * *"\n'),
            ":6: attributes.automation.cron: is no cron string: minute, hour, day, month, weekday",
        ),
        (
            changed(more='  automation:\n    cron: "0 3 * * *"\n    timezone: Mars/One\n'),
            ":7: attributes.automation.timezone: is no IANA time zone, such as UTC",
        ),
        (changed(("handbook", "Hand Book")), ":3: attributes.name: String should match pattern"),
        (
            changed(("{path: documents}", "documents")),
            ":4: attributes.source: fields are needed here; permitted: allow_empty",
        ),
        (
            changed(("documents", "\"{{ ref('nope') }}\"")),
            ":4: attributes.source.path: ref('nope'): tenant 'acme' has no component of that name; it has: handbook",
        ),
        (
            changed(("{path: documents}", "\"{{ source('nope') }}\"")),
            ":4: attributes.source: source('nope'): no sources.yml of tenant 'acme' has it; known: none",
        ),
        (
            changed(("documents", "\"{{ env_var('NOT_SET_ANYWHERE') }}\"")),
            ":4: attributes.source.path: env_var('NOT_SET_ANYWHERE'): not set",
        ),
        (
            changed(("documents", "\"{{ var('nope') }}\"")),
            ":4: attributes.source.path: var('nope'): not in the vars of profiles.yml; known: none",
        ),
        (
            changed(("documents", "\"{{ var('nope' }}\"")),
            ":4: attributes.source.path: \"{{ var('nope' }}\": unexpected '}'",
        ),
        (
            changed(("documents", "\"{{ ''.__class__ }}\"")),
            ":4: attributes.source.path: \"{{ ''.__class__ }}\": access to attribute '__class__'",
        ),
        (
            "type: llm_assets.components.Corpus\nattributes: [1]\n",
            ":2: attributes: fields are needed here; permitted: automation",
        ),
        ("type: llm_assets.components.Corpus\n", ":1: attributes.name: this field is required"),
        (changed(more="  chunk: {max_tokens: 5\n"), ":6: not valid YAML"),
        (changed(more="---\n" + HANDBOOK), "2 components of tenant 'acme' have the name 'handbook'"),
    ],
)
def test_what_is_wrong_is_refused_with_file_line_field_and_what_is_permitted(
    project: Project, text: str, message: str
) -> None:
    project.write("acme/handbook/defs.yaml", text)
    found = corpora_of(project)
    assert found[0].startswith("refused: dbt_like_configs/acme/handbook/defs.yaml")
    assert message in found[0]


FINE_TUNE = "type: llm_assets.components.FineTune\nattributes:\n  name: {name}\n"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"a": "{{ ref('a') }}"}, "a/defs.yaml:6: attributes.data.corpus.corpus: tenant 'acme' has no corpus 'a'; "),
        (
            {"a": "{{ ref('b') }}", "b": "{{ ref('a') }}"},
            "a/defs.yaml:6: attributes.data.corpus.corpus: tenant 'acme' has no corpus 'b'; its corpora: handbook",
        ),
        ({"a": "handbok"}, "a/defs.yaml:6: attributes.data.corpus.corpus: tenant 'acme' has no corpus 'handbok'; "),
        ({"a": "of_others"}, "a/defs.yaml:6: attributes.data.corpus.corpus: tenant 'acme' has no corpus 'of_others'"),
        ({"a": "{{ ref('handbook') }}"}, None),
    ],
    ids=["itself", "each other", "a typing error", "another tenant's", "a corpus"],
)
def test_a_model_that_names_what_is_no_corpus_of_its_tenant_is_refused(
    project: Project, models: dict[str, str], message: str | None
) -> None:
    project.write("acme/handbook/defs.yaml", HANDBOOK)
    project.write("others/handbook/defs.yaml", HANDBOOK.replace("handbook", "of_others"))
    for name, corpus in models.items():
        data = f'  data:\n    corpus:\n      corpus: "{corpus}"\n'
        project.write(f"acme/{name}/defs.yaml", FINE_TUNE.format(name=name) + data)
    done = project.run(sys.executable, "-c", "from llm_assets.configs import configured; configured()")
    assert (done.returncode == 0) == (message is None), done.stderr
    assert f"dbt_like_configs/acme/{message}" in done.stderr if message else not done.stderr


def test_answers_about_what_is_no_corpus_are_refused(project: Project) -> None:
    data = "  data: {examples: {path: e.jsonl}}\n  answers:\n    prompt: '{text}'\n    inputs: {corpus: nope}\n"
    project.write("acme/a/defs.yaml", FINE_TUNE.format(name="a") + data)
    done = project.run("dg", "check", "defs")
    assert done.returncode != 0
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    place = "dbt_like_configs/acme/a/defs.yaml:7: attributes.answers.inputs.corpus"
    assert f"{place}: tenant 'acme' has no corpus 'nope'; its corpora: none" in said


def test_owners_and_tags_are_what_dagster_takes() -> None:
    owners = ("a@b.co", "jane@", "jane@home", "team:", "team:a b", "x a@b.co", "é@b.co", "bob", "", "a@b.c|")
    tags = (
        ("a", ""),
        ("a/b.c-d_e", "F.1"),
        ("a/b/c", "x"),
        ("", "x"),
        ("a b", "x"),
        ("a", "é"),
        ("a" * 64, "b" * 64),
    )
    given: list[dict[str, Any]] = [*({"owners": [one]} for one in owners), *({"tags": dict([one])} for one in tags)]
    for settings in given:
        taken = _refusal(lambda one=settings: dg.AssetSpec("a", **one)) is None
        refused = _refusal(lambda one=settings: Described.model_validate({"name": "a", **one}))
        assert (refused is None) == taken, settings


def _refusal(make: Callable[[], object]) -> Exception | None:
    try:
        make()
    except (ValueError, dg.DagsterError) as error:
        return error
    return None


def test_two_components_of_one_name_in_one_tenant_are_refused_naming_both_files(project: Project) -> None:
    for folder in ("acme/a", "acme/b", "beta/a"):
        project.write(f"{folder}/defs.yaml", HANDBOOK)
    message = corpora_of(project)[0]
    assert "dbt_like_configs/acme/a/defs.yaml and dbt_like_configs/acme/b/defs.yaml" in message
    assert "beta" not in message


@pytest.mark.parametrize("tenant", ["bad-name", "1st", "法務", "with space"])
def test_a_tenant_whose_name_cannot_be_a_key_is_refused(project: Project, tenant: str) -> None:
    project.write(f"{tenant}/handbook/defs.yaml", HANDBOOK)
    assert f"dbt_like_configs/{tenant}: the name of a tenant's folder has" in corpora_of(project)[0]


def test_the_command_line_says_it_in_one_line(project: Project) -> None:
    project.write("acme/handbook/defs.yaml", changed(more="  chunks: {}\n"))
    done = project.run(sys.executable, "-m", "llm_assets.cli", "search", "handbook", "a question")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("llm-assets search: ")


def test_a_target_that_does_not_exist_is_said_in_one_line(project: Project) -> None:
    done = project.run(sys.executable, "-m", "llm_assets.cli", "status", env={"LLM_ASSETS_TARGET": "nope"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        "llm-assets status: dbt_like_configs/profiles.yml: target 'nope' does not exist; "
        "targets: ci, dev, prod, weaviate"
    )


def test_no_tenant_at_all_is_an_empty_project(project: Project) -> None:
    assert corpora_of(project) == []
    done = project.run(sys.executable, "-m", "llm_assets.cli", "status")
    assert (done.returncode, done.stderr) == (0, "")

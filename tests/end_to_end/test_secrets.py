"""A key that stands in an event log is read by whoever opens the UI, and stays in every backup."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import files_with, instance_of, materialize, succeeded

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIplantedK7MDENGbPxRfiCY",
    "LLM_ASSETS_SLACK_URL": "http://127.0.0.1:1/services/T0/B0/slackplanted9182",
    "LLM_ASSETS_WEBHOOK_URL": "http://user:hookplanted7733@127.0.0.1:1/alerts?token=hooktoken5511",
    "STORAGE_TOKEN": "storageplanted4471",
    "WEAVIATE_API_KEY": "weaviateplanted3390",
    "MLFLOW_TRACKING_PASSWORD": "mlflowplanted6612",
    "HF_TOKEN": "hf_plantedtoken8821",
    "STATE_PASSWORD": "databaseplanted2204",
}
PLANTED = (
    *("wJalrXUtnFEMIplanted", "slackplanted9182", "hookplanted7733", "hooktoken5511", "storageplanted4471"),
    *("weaviateplanted3390", "mlflowplanted6612", "hf_plantedtoken8821", "databaseplanted2204"),
)
REMOTE = {"path": "webhdfs://127.0.0.1:1/documents", "options": {"token": "{{ env_var('STORAGE_TOKEN') }}"}}
STATE_URL = f"postgresql+psycopg2://planter:{SECRETS['STATE_PASSWORD']}@127.0.0.1:1/state"


def places(project: Project) -> dict[str, list[Path]]:
    """Secret to the files of the state folder that hold it: event logs, compute logs, tables, index, caches."""
    return {secret: files for secret in PLANTED if (files := files_with(project.root / ".state", secret))}


@pytest.mark.long
def test_planted_secrets_are_in_no_log_table_or_metadata_also_of_runs_that_fail(project: Project) -> None:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", 3)
    project.write("acme/remote/defs.yaml", corpus_yaml("remote", source=REMOTE))
    said = succeeded(materialize(project, 'key:"acme/handbook/*" and not kind:"file"', env=SECRETS))
    away = materialize(project, 'key:"acme/remote/documents"', env=SECRETS)
    database = SECRETS | {"LLM_ASSETS_TARGET": "prod", "LLM_ASSETS_STATE_URL": STATE_URL}
    gone = materialize(project, 'key:"acme/handbook/documents"', env=database)
    down = materialize(project, 'key:"acme/handbook/vector_index"', env=SECRETS | {"LLM_ASSETS_TARGET": "weaviate"})
    assert [done.returncode == 0 for done in (away, gone)] == [False, False], "these runs must fail"
    with instance_of(project) as instance:
        assert sum(run.status is dg.DagsterRunStatus.FAILURE for run in instance.get_runs()) >= 2
    assert places(project) == {}
    for done in (said, away, gone, down):
        assert not [secret for secret in PLANTED if secret in done.stdout + done.stderr]
    assert files_with(project.root / ".state", "acme"), "the search finds what is there"

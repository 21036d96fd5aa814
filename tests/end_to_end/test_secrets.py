"""A key that stands in an event log is read by whoever opens the UI, and stays in every backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_assets.corpora import documents
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import files_with, materialize, platform_of, runs_of, succeeded
from tests.webhdfs import webhdfs

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
OPTIONS = {"token": "{{ env_var('STORAGE_TOKEN') }}"}
FILES = {"/whole/a.txt": b"one", "/torn/a.txt": b"one", "/torn/sub/b.txt": b"two"}
STATE_URL = f"postgresql+psycopg2://planter:{SECRETS['STATE_PASSWORD']}@127.0.0.1:1/state"


def _remote(path: str) -> dict[str, object]:
    return {"path": path, "options": OPTIONS}


def places(project: Project) -> dict[str, list[Path]]:
    """Secret to the files of the state folder that hold it: event logs, compute logs, tables, index, caches."""
    return {secret: files for secret in PLANTED if (files := files_with(project.root / ".state", secret))}


@pytest.mark.long
def test_planted_secrets_are_in_no_log_table_or_metadata_also_of_runs_that_fail(project: Project) -> None:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", 3)
    said = succeeded(materialize(project, 'key:"acme/handbook/*" and not kind:"file"', env=SECRETS))
    with webhdfs(FILES) as server:
        server.fails = {"LISTSTATUS /torn/sub": 403, "OPEN /whole/a.txt": 503}
        for name in ("whole", "torn"):
            project.write(f"acme/{name}/defs.yaml", corpus_yaml(name, source=_remote(server.url(f"/{name}"))))
        unread = materialize(project, 'key:"acme/whole/documents"', env=SECRETS)
        torn = materialize(project, 'key:"acme/torn/documents"', env=SECRETS)
    assert {"OPEN /whole/a.txt", "LISTSTATUS /torn/sub"} <= set(server.asked), "the storage was not asked"
    away = materialize(project, 'key:"acme/whole/documents"', env=SECRETS)
    database = SECRETS | {"LLM_ASSETS_TARGET": "prod", "LLM_ASSETS_STATE_URL": STATE_URL}
    gone = materialize(project, 'key:"acme/handbook/documents"', env=database)
    down = materialize(project, 'key:"acme/handbook/vector_index"', env=SECRETS | {"LLM_ASSETS_TARGET": "weaviate"})
    assert [done.returncode for done in (torn, away, gone) if done.returncode == 0] == [], "these runs must fail"
    failed = [run for target in ("dev", "prod") for run in runs_of(project, target) if run.is_failure]
    assert len(failed) >= 3
    rows = documents.known_documents(platform_of(project).state, "acme", "whole").values()
    assert [row["code"] for row in rows] == ["unreadable"], "a reason of quarantine that quotes the storage"
    assert places(project) == {}
    for done in (said, unread, torn, away, gone, down):
        assert not [secret for secret in PLANTED if secret in done.stdout + done.stderr]
    assert files_with(project.root / ".state", "acme"), "the search finds what is there"

"""At night nobody restarts a run whose vector database was away for a minute, and nobody reads the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, STDOUT

import dagster as dg
import pytest
import sqlalchemy as sa

from llm_assets.reexecution import is_retry
from resources import processes
from resources.state_schema import alerts
from resources.weaviate_server import WeaviateServer
from tests import polling
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import instance_of, make_dagsters_tables, platform_of, succeeded
from tests.weaviate_fixtures import weaviate_program  # noqa: F401  (a fixture)
from tests.webhook import Webhook, webhook

PROFILES = """
default_target: dev
targets:
  dev:
    state_dir: .state/dev
    index: weaviate
    weaviate: {retry_seconds: 1, timeout_seconds: 20}
    alerts: {webhook: "{{ env_var('ALERTS_TO') }}", ui: https://dagster.example.com/}
    retries: {most: 5, after_seconds: 5}
"""
SECONDS = 150


@pytest.fixture
def told() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


def until(holds: Callable[[], object], what: str, log: Path) -> None:
    """Poll; a deadline that passes shows what the daemon said."""
    polling.until(holds, what, seconds=SECONDS, pause=0.5, told=lambda: log.read_text()[-4000:])


@pytest.mark.long
def test_the_daemon_retries_what_was_away_and_tells_of_each_failure_once(
    project: Project,
    weaviate_program: Path,  # noqa: F811  (the fixture)
    told: Webhook,
    tmp_path: Path,
) -> None:
    project.write("profiles.yml", PROFILES)
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml(automation="manual")).parent
    write_documents(folder / "documents", 3)
    project.write("acme/gone/defs.yaml", corpus_yaml("gone", automation="manual"))
    told.answers = [500]
    server = WeaviateServer(weaviate_program, tmp_path / "server")
    env = {
        "ALERTS_TO": told.url,
        "WEAVIATE_URL": server.address.url,
        "WEAVIATE_GRPC_PORT": str(server.address.grpc_port),
        "WEAVIATE_API_KEY": str(server.key),
    }
    log = tmp_path / "daemon.log"
    make_dagsters_tables(project)

    def launch(job: str) -> None:
        succeeded(project.run("dagster", "job", "launch", "-w", "workspace.yaml", "-j", job, env=env))

    def runs(job: str) -> list[dg.DagsterRun]:
        with instance_of(project) as instance:
            return [run for run in instance.get_runs() if run.job_name == job]

    with log.open("wb") as output:
        daemon = processes.start(
            ["dagster-daemon", "run", "-w", "workspace.yaml"],
            env=project.environment | env,
            cwd=project.root,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
        )
    with daemon:
        try:
            launch("ingest_acme_handbook")
            launch("ingest_acme_gone")
            until(lambda: any(run.is_failure for run in runs("ingest_acme_handbook")), "the first failure", log)
            server.start()
            until(lambda: any(run.is_success for run in runs("ingest_acme_handbook")), "a retry succeeds", log)
            until(lambda: len(told.titles) >= 3, "both are told, one of them at the second attempt", log)
        finally:
            server.close()
    by_id = {body["run_id"]: body for body in told.received}
    assert len(by_id) == 2
    retries = [run for run in runs("ingest_acme_handbook") if is_retry(run)]
    away, gone = (by_id[run.run_id] for job in ("handbook", "gone") for run in runs(f"ingest_acme_{job}")[-1:])
    assert len(retries) >= 1
    assert away["title"] == "acme: a run of job ingest_acme_handbook failed: service down"
    assert away["assets"] == ["acme/handbook/vector_index"]
    assert away["link"] == f"https://dagster.example.com/runs/{away['run_id']}"
    assert gone["title"] == "acme: a run of job ingest_acme_gone failed: bad input"
    assert gone["tried"] == "no further retry: it would fail again"
    assert len(runs("ingest_acme_gone")) == 1
    assert len(told.keys) - len(set(told.keys)) == 1, "only what was not taken is sent again"
    waiting = sa.select(alerts.c.key).where(alerts.c.delivered_at.is_(None))
    assert platform_of(project).state.rows(waiting) == []

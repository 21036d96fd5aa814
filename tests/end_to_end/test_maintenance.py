"""Guards against a night's tidying after which something that was served, shown or promoted is gone."""

from __future__ import annotations

import dagster as dg
import pytest

from llm_assets.watching.progress import CODE_VERSION_TAG, DATA_VERSION_TAG
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, write_documents
from tests.end_to_end.looking import (
    assert_whole,
    contents,
    instance_of,
    materialize,
    platform_of,
    recorded,
    succeeded,
)

pytestmark = pytest.mark.long  # four runs

STAGES = ("documents", "chunks", "embeddings", "vector_index")
# Everything that has ended counts as old: a day has 86,400 seconds.
PROFILES = """
default_target: dev
targets:
  dev:
    state_dir: .state/dev
    retention: {runs_days: 0.0000001, logs_days: 0.0000001, trainings_days: 0.0000001}
"""


def shown(project: Project) -> dict[str, tuple[str, str]]:
    """What the UI says of each stage: data version and code version of its newest materialisation."""
    found = {}
    with instance_of(project) as instance:
        for stage in STAGES:
            event = instance.get_latest_materialization_event(dg.AssetKey(["acme", "handbook", stage]))
            tags = event.asset_materialization.tags if event and event.asset_materialization else None
            assert tags, f"nothing is shown of {stage}"
            found[stage] = tags[DATA_VERSION_TAG], tags[CODE_VERSION_TAG]
    return found


def tidy(project: Project, job: str) -> None:
    succeeded(project.run("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", job))


def test_the_jobs_of_every_night_and_week_keep_what_is_served_and_shown(project: Project) -> None:
    project.write("profiles.yml", PROFILES)
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent / "documents"
    write_documents(folder, 6)
    succeeded(materialize(project))
    (folder / "00.md").write_text(f"# Another\n\n{sentence(100)}\n")
    succeeded(materialize(project))
    platform = platform_of(project)
    before, was_shown = contents(platform), shown(project)
    with instance_of(project) as instance:
        newest, oldest = (run.run_id for run in instance.get_runs())

    tidy(project, "nightly_maintenance")
    tidy(project, "weekly_maintenance")

    with instance_of(project) as instance:
        assert instance.has_run(newest)
        assert not instance.has_run(oldest)
    assert recorded(project, "platform/old_runs")["runs removed"] == 1
    assert recorded(project, "platform/compaction")["collections tidied"]
    assert shown(project) == was_shown
    assert contents(platform) == before
    assert_whole(platform)

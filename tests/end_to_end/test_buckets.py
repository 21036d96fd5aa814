"""A corpus in buckets, worked on by several runs at once, must end as one without, and embed no text twice."""

from __future__ import annotations

from subprocess import PIPE, STDOUT
from typing import Any

import dagster as dg
import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, write_documents
from tests.end_to_end.looking import (
    QUIET,
    assert_whole,
    contents,
    instance_of,
    make_dagsters_tables,
    materialize,
    platform_of,
    succeeded,
)

pytestmark = pytest.mark.long  # a dozen commands

COUNT, BUCKETS = 24, 4
PARTED = ("documents", "chunks", "embeddings")
COMMAND = ("dagster", "asset", "materialize", "-m", "llm_assets.definitions", "--config-json", QUIET, "--select")


@pytest.fixture
def corpora(project: Project) -> Project:
    """The same documents for two tenants, one of whom has them in buckets; some say the same."""
    for tenant, buckets in (("acme", 1), ("parted", BUCKETS)):
        folder = project.write(f"{tenant}/handbook/defs.yaml", corpus_yaml(buckets=buckets)).parent
        write_documents(folder / "documents", COUNT)
        for number in range(8):
            project.write(f"{tenant}/handbook/documents/same-{number}.md", f"# Same\n\n{sentence(500)}\n")
    make_dagsters_tables(project)
    return project


def of_partitions(project: Project, stage: str) -> dict[str, dict[str, Any]]:
    """Partition to the metadata of its newest materialisation."""
    key, found = dg.AssetKey(["parted", "handbook", stage]), {}
    with instance_of(project) as instance:
        for record in reversed(instance.fetch_materializations(key, limit=100).records):
            event = record.asset_materialization
            assert event
            found[event.partition] = {name: value.value for name, value in event.metadata.items()}
    return found


def comparable(project: Project, tenant: str) -> dict[str, Any]:
    """What a corpus consists of, without whose it is."""
    found = contents(platform_of(project), tenant)
    del found["status"]
    for rows in (found["known documents"], found["known chunks"]):
        for row in rows.values() if isinstance(rows, dict) else rows:
            row.pop("tenant", None)
    return found


def test_runs_side_by_side_end_as_one_without_buckets_and_another_number_computes_nothing_anew(corpora):
    succeeded(materialize(corpora))
    stages = " or ".join(f'key:"parted/handbook/{stage}"' for stage in PARTED)
    runs = [
        corpora.start(*COMMAND, stages, "--partition", str(bucket), stdout=PIPE, stderr=STDOUT)
        for bucket in range(BUCKETS)
    ]
    for run in runs:
        told, _ = run.communicate(timeout=300)
        assert run.returncode == 0, told[-4000:]
    succeeded(corpora.run(*COMMAND, 'key:"parted/handbook/vector_index"'))

    assert_whole(platform_of(corpora), "parted")
    assert comparable(corpora, "parted") == comparable(corpora, "acme")
    told = of_partitions(corpora, "documents")
    assert set(told) == {str(bucket) for bucket in range(BUCKETS)}
    assert sum(values["dagster/row_count"] for values in told.values()) == COUNT + 8
    embedded = sum(values["texts embedded in this run"] for values in of_partitions(corpora, "embeddings").values())
    assert embedded == len(contents(platform_of(corpora), "parted")["embedded"])

    corpora.write("parted/handbook/defs.yaml", corpus_yaml(buckets=2))
    done = succeeded(
        corpora.run("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", "ingest_parted_handbook")
    )
    told = of_partitions(corpora, "documents") | of_partitions(corpora, "embeddings")
    assert {told[key]["texts embedded in this run"] for key in ("0", "1")} == {0}, done.stdout[-2000:]
    assert of_partitions(corpora, "documents")["0"]["parsed in this run"] == 0
    assert comparable(corpora, "parted") == comparable(corpora, "acme")

"""Guards against a corpus in buckets that counts as done while one of its buckets is not, or is run for ever."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from llm_assets.jobs import RANGE_END, RANGE_START
from llm_assets.watching import progress
from llm_assets.watching.watched import Stage, Watched

FILES, INDEX = dg.AssetKey("source_files"), "vector_index"
PARTED = ("documents", "chunks")
READS = {"documents": "source_files", "chunks": "documents", INDEX: "chunks"}
BUCKETS = ("0", "1", "2")


class Parted:
    """A chain in buckets that Dagster really runs; its stages say that they hold what the files hold."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.files = instance, "1"
        stages = tuple(
            Stage(dg.AssetKey(name), (dg.AssetKey(READS[name]),), "1", BUCKETS if name in PARTED else ())
            for name in READS
        )
        self.source = Watched("acme/parted", FILES, "documents", list, False, stages=stages)
        self._assets = [dg.AssetSpec(FILES), *map(self._stage, stages)]

    def _stage(self, stage: Stage) -> dg.AssetsDefinition:
        @dg.asset(
            key=stage.key,
            deps=list(stage.reads),
            code_version=stage.code_version,
            partitions_def=dg.StaticPartitionsDefinition(list(BUCKETS)) if stage.partitions else None,
        )
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            if FILES in stage.reads:
                context.log_event(dg.AssetObservation(FILES, tags={progress.DATA_VERSION_TAG: self.files}))
                context.get_step_execution_context().wipe_input_asset_version_info(FILES)
            return dg.MaterializeResult(data_version=dg.DataVersion(self.files))

        return made

    def make(self, *names: str, partition: str | None = None) -> None:
        """Run stages: in one bucket, or, as the jobs do, in all of them at once."""
        whole = {RANGE_START: BUCKETS[0], RANGE_END: BUCKETS[-1]} if partition is None else {}
        made = {"tags": whole, "partition_key": partition, "selection": list(names or READS)}
        assert dg.materialize(self._assets, instance=self.instance, **made).success  # pyright: ignore[reportArgumentType]

    @property
    def up_to_date(self) -> bool:
        return progress.up_to_date(self.instance, self.source, self.files)


@pytest.fixture
def parted(instance: dg.DagsterInstance) -> Parted:
    return Parted(instance)


def test_one_run_over_all_buckets_brings_everything_up_to_date(parted: Parted) -> None:
    assert not parted.up_to_date
    parted.make()
    assert parted.up_to_date
    parted.files = "2"
    assert not parted.up_to_date
    parted.make()
    assert parted.up_to_date


def test_a_bucket_that_was_never_made_or_is_of_older_files_is_missed_whatever_was_made_last(parted: Parted) -> None:
    for bucket in BUCKETS[1:]:
        parted.make(*PARTED, partition=bucket)
    parted.make(INDEX)
    assert not parted.up_to_date
    parted.make()
    parted.files = "2"
    parted.make(*PARTED, partition=BUCKETS[-1])
    parted.make(INDEX)
    assert not parted.up_to_date


def test_buckets_that_were_made_one_by_one_count_once_the_index_has_read_all_of_them(parted: Parted) -> None:
    for bucket in BUCKETS[:-1]:
        parted.make(*PARTED, partition=bucket)
    parted.make(INDEX)
    parted.make(*PARTED, partition=BUCKETS[-1])
    assert not parted.up_to_date
    parted.make(INDEX)
    assert parted.up_to_date


def test_a_stage_that_has_not_read_the_newest_of_its_own_bucket_is_behind(parted: Parted) -> None:
    parted.make()
    parted.make("documents", partition="1")
    assert not parted.up_to_date
    parted.make("chunks", partition="1")
    parted.make(INDEX)
    assert parted.up_to_date


@pytest.mark.parametrize("change", [{"code_version": "2"}, {"partitions": (*BUCKETS, "3")}, {"partitions": ()}])
def test_other_code_and_another_number_of_buckets_are_made_again(parted: Parted, change: dict[str, Any]) -> None:
    parted.make()
    documents, chunks, index = parted.source.stages
    parted.source = replace(parted.source, stages=(documents, replace(chunks, **change), index))
    assert not parted.up_to_date

"""Guards against an index over buckets that is built after each run again, or never has the last bucket."""

import dagster as dg
import pytest

from llm_assets.corpora.settings import CorpusSettings
from llm_assets.following import condition
from llm_assets.jobs import RANGE_END, RANGE_START, WHOLE_TAG

INDEX = dg.AssetKey("vector_index")
SETTINGS = CorpusSettings.model_validate({"name": "handbook", "source": {"path": "documents"}, "buckets": 2})
JOB = {WHOLE_TAG: "corpus", RANGE_START: "0", RANGE_END: "1"}


class Parted:
    """Embeddings in two buckets, and the index with its real condition."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.version = instance, 0
        self._cursor = None

        @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["0", "1"]))
        def embeddings() -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion(str(self.version)))

        @dg.asset(deps=[embeddings], automation_condition=condition(SETTINGS, INDEX))
        def vector_index() -> None: ...

        self._assets = [embeddings, vector_index]

    def job(self) -> None:
        """All buckets and the index, as the job of the corpus makes them."""
        self.version += 1
        assert dg.materialize(self._assets, instance=self.instance, tags=JOB).success

    def embed(self, bucket: str) -> None:
        self.version += 1
        run = {"selection": ["embeddings"], "partition_key": bucket}
        assert dg.materialize(self._assets, instance=self.instance, **run).success

    def index(self) -> None:
        assert dg.materialize(self._assets, instance=self.instance, selection=[INDEX]).success

    @property
    def requested(self) -> bool:
        """Whether a tick of automation builds the index."""
        result = dg.evaluate_automation_conditions(dg.Definitions(self._assets), self.instance, cursor=self._cursor)
        self._cursor = result.cursor
        return result.get_num_requested(INDEX) > 0


@pytest.fixture
def parted(instance: dg.DagsterInstance) -> Parted:
    made = Parted(instance)
    assert not made.requested
    return made


def test_a_run_of_all_of_it_is_followed_by_nothing(parted: Parted) -> None:
    for _ in range(2):
        parted.job()
        assert not parted.requested
        assert not parted.requested


def test_the_index_is_built_once_the_last_bucket_is_there_and_again_when_one_changes(parted: Parted) -> None:
    parted.embed("0")
    assert not parted.requested
    parted.embed("1")
    assert parted.requested
    parted.index()
    assert not parted.requested
    parted.embed("1")
    assert parted.requested


def test_a_bucket_that_comes_while_the_index_is_built_is_not_lost(parted: Parted) -> None:
    parted.job()
    assert not parted.requested
    parted.index()
    parted.embed("0")
    assert parted.requested

"""Guards against a fine-tune that is meant for hours of a large device and trains along with the small ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.configs import Configured
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.jobs import WHOLE_TAG, Part, jobs_of_all


@pytest.fixture(scope="module")
def job() -> Callable[[str], dg.JobDefinition]:
    """The jobs of the sample project; its tenant sample_full is run by hand only."""
    from llm_assets.definitions import defs

    return defs().get_repository_def().get_job


@pytest.mark.parametrize("name", ["everything", "train", "evaluate"])
def test_what_runs_by_hand_is_in_no_job_over_all(job: Callable[[str], dg.JobDefinition], name: str) -> None:
    tenants = {key.path[0] for key in job(name).asset_layer.executable_asset_keys}
    assert "sample" in tenants
    assert "sample_full" not in tenants


def test_what_runs_by_hand_has_its_own_jobs(job: Callable[[str], dg.JobDefinition]) -> None:
    own = job("train_sample_full_document_kind")
    assert dg.AssetKey(["sample_full", "document_kind", "tuned_model"]) in own.asset_layer.executable_asset_keys


def test_runs_that_make_all_of_a_kind_say_so(job: Callable[[str], dg.JobDefinition]) -> None:
    said = {name: job(name).run_tags.get(WHOLE_TAG) for name in ("everything", "ingest", "train", "evaluate")}
    assert said == {"everything": "model", "ingest": "corpus", "train": "model", "evaluate": None}


def test_a_chain_runs_each_corpus_in_buckets_by_its_own_job_before_the_rest_and_nothing_by_hand(
    make_corpus: Callable[..., CorpusSpec], tmp_path: Path
) -> None:
    def jobs(*corpora: CorpusSpec) -> list[str]:
        return jobs_of_all([part(spec) for spec in corpora], Configured(corpora, ()))

    def part(spec: CorpusSpec) -> Part:
        buckets = dg.StaticPartitionsDefinition(["0", "1"]) if spec.settings.buckets > 1 else None
        return Part(spec.tenant, spec.name, "corpus", (dg.AssetSpec("documents", partitions_def=buckets),))

    whole, parted = make_corpus(tmp_path), make_corpus(tmp_path, name="parted", buckets=2)
    by_hand = make_corpus(tmp_path, name="a", buckets=2, automation="manual")
    assert jobs(whole, by_hand, parted) == ["ingest_acme_parted", "everything"]
    assert jobs(parted, by_hand) == ["ingest_acme_parted"]
    assert jobs(by_hand) == []

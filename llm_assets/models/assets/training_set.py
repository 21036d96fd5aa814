"""The examples of a fine-tune, and the training set made of them."""

from pathlib import Path
from typing import Any

import dagster as dg

from llm_assets.corpora.documents import source_version
from llm_assets.models import metadata, training_set
from llm_assets.models.datasets import dataset_files
from llm_assets.models.examples import read_content
from llm_assets.models.settings import FineTuneSpec
from llm_assets.reporting import clear_failures
from llm_assets.stages import Stages
from resources.dagster_platform import PlatformResource
from resources.digests import digest


def examples_asset(spec: FineTuneSpec, stages: Stages, file: Path) -> Any:
    @dg.observable_source_asset(**stages.common("examples", f"The examples of `{file.name}`."))
    def examples() -> dg.ObserveResult:
        with clear_failures(spec.id):
            content = read_content(file)
            return dg.ObserveResult(
                asset_key=stages.key("examples"),
                data_version=dg.DataVersion(digest(content)),
                metadata={"bytes": len(content)},
            )

    return examples


def dataset_asset(spec: FineTuneSpec, stages: Stages, place: Path) -> Any:
    @dg.observable_source_asset(**stages.common("dataset", f"The files of the data set `{place.name}`."))
    def dataset() -> dg.ObserveResult:
        with clear_failures(spec.id):
            files = dataset_files(place)
            return dg.ObserveResult(
                asset_key=stages.key("dataset"),
                data_version=dg.DataVersion(source_version(files)),
                metadata={"files": len(files), "bytes": sum(file.size for file in files)},
            )

    return dataset


def training_set_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    data = spec.settings.data
    corpus = [dg.AssetKey([spec.tenant, data.corpus.corpus, "chunks"])] if data.corpus else []
    files = [stages.key("examples")] if data.examples else []
    files += [stages.key("dataset")] if spec.dataset_place else []

    @stages.asset(
        "training_set",
        "One row an example, without duplicates, to train on or held out.",
        after=[*files, *corpus],
        kinds={"python", "lance"},
        version=[training_set.CODE_VERSION, data],
    )
    def training_set_table(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            listed = dataset_files(spec.dataset_place) if spec.dataset_place else None  # what comes later is a change
            built = training_set.build_training_set(spec, lambda: training_set.corpus_chunks(opened, spec))
            training_set.store_training_set(opened, spec, built)
            for warning in built.warnings:
                context.log.warning(f"{spec.id}: {warning}")
            if spec.examples_file:
                stages.observed(context, "examples", digest(read_content(spec.examples_file)))
            if listed:
                stages.observed(context, "dataset", source_version(listed))
            return dg.MaterializeResult(
                data_version=dg.DataVersion(built.digest), metadata=metadata.of_training_set(built)
            )

    return training_set_table

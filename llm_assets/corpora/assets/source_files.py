"""The files that a corpus is made of."""

from typing import Any

import dagster as dg

from llm_assets.corpora import documents
from llm_assets.corpora.opening import open_source
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.reporting import clear_failures
from llm_assets.stages import Stages


def source_files_asset(spec: CorpusSpec, stages: Stages) -> Any:
    @dg.observable_source_asset(**stages.common("source_files", f"The files of `{spec.settings.source.path}`."))
    def source_files() -> dg.ObserveResult:
        with clear_failures(spec.id):
            return _observe(spec, stages)

    return source_files


def _observe(spec: CorpusSpec, stages: Stages) -> dg.ObserveResult:
    files = open_source(spec).list()
    return dg.ObserveResult(
        asset_key=stages.key("source_files"),
        data_version=dg.DataVersion(documents.source_version(files)),
        metadata={"files": len(files), "bytes": sum(file.size for file in files)},
    )

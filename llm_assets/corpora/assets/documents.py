"""The asset that parses."""

from dataclasses import replace

import dagster as dg
from pydantic import Field

from llm_assets.corpora import documents, metadata
from llm_assets.corpora.opening import open_source, parse_options
from llm_assets.corpora.settings import CorpusSpec, ParseSettings
from llm_assets.launchpad import applied, config_of
from llm_assets.stages import Stages, buckets_of
from resources.dagster_platform import PlatformResource


class IngestParameters(ParseSettings):
    """What one run may change."""

    reparse: bool = Field(default=False, description="Parse every file again, changed or not.")
    workers: int | None = Field(default=None, ge=1, le=512, description="Parser processes; by default the target's.")


def documents_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings
    parameters = IngestParameters(**settings.parse.model_dump())

    @stages.asset(
        "documents",
        "One row a file: its text, language, or why it is not read.",
        after=[stages.key("source_files")],
        kinds={"python", "lance"},
        version=(
            settings.source,
            parse_options(spec).fingerprint,
        ),
        config=config_of(f"documents of {spec.id}", parameters, without=("strategy",)),  # it decides the text
        buckets=settings.buckets,
    )
    def documents_table(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        asked, buckets = applied(parameters, context), buckets_of(context, settings.buckets)
        asked_for = replace(spec, settings=settings.model_copy(update={"parse": asked}))
        with stages.hold(context, platform, buckets) as opened:
            report = documents.ingest(
                opened,
                asked_for,
                open_source(spec),
                parse_options(asked_for),
                workers=asked.workers or opened.profile.parser_workers,
                reparse=asked.reparse,
                buckets=buckets,
                log=context.log.info,
            )
            stages.observed(
                context, "source_files", report.source_version, {"files": report.listed, "bytes": report.listed_bytes}
            )
            version = documents.documents_version(opened.state, spec.tenant, spec.name, buckets)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version), metadata=metadata.of_documents(opened, spec, report, buckets)
            )

    return documents_table

"""The asset that parses."""

import dagster as dg

from llm_assets.corpora import documents, metadata
from llm_assets.corpora.opening import open_source, parse_options
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.stages import Stages
from resources.dagster_platform import PlatformResource


class DocumentsConfig(dg.Config):
    """Parameters of one run."""

    reparse: bool = False
    """Parse every file again, changed or not."""


def documents_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "documents",
        "One row a file: its text, language, or why it is not read.",
        after=[stages.key("source_files")],
        kinds={"python", "lance"},
        version=(
            settings.source,
            parse_options(spec).fingerprint,
        ),
    )
    def documents_table(
        context: dg.AssetExecutionContext, config: DocumentsConfig, platform: PlatformResource
    ) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            report = documents.ingest(
                opened,
                spec,
                open_source(spec),
                parse_options(spec),
                workers=opened.profile.parser_workers,
                reparse=config.reparse,
                log=context.log.info,
            )
            stages.observed(
                context, "source_files", report.source_version, {"files": report.listed, "bytes": report.listed_bytes}
            )
            version = documents.documents_version(opened.state, spec.tenant, spec.name)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version), metadata=metadata.of_documents(opened, spec, report)
            )

    return documents_table

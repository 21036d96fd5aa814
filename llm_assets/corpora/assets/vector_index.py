"""The asset that builds and serves the index."""

import dagster as dg
from pydantic import Field

from llm_assets.corpora import evaluation, metadata, vector_index
from llm_assets.corpora.opening import open_chunker, open_store
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.launchpad import applied, config_of
from llm_assets.schema import Settings
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.profile import load_profile


class IndexParameters(Settings):
    """What one run may change."""

    rebuild: bool = Field(default=False, description="Write every row again and verify it, even if nothing changed.")


def vector_index_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    key, pool = stages.key("vector_index"), spec.settings.embedder.pool
    check = dg.AssetCheckSpec(
        "fit_to_serve", asset=key, blocking=True, description="Complete, found again, and past its retrieval gate."
    )

    name_check = dg.AssetCheckSpec(
        "name_leads_to_served", asset=key, description="The corpus's name on the server leads to what is served."
    )

    @stages.asset(
        "vector_index",
        "The served collection: vectors and full text of all passages.",
        after=[stages.key("chunks"), stages.key("embeddings")],
        kinds={load_profile().index},
        version=(
            spec.settings.index,
            spec.settings.evaluation,
        ),
        checks=[check, name_check],
        pool=pool,
        config=config_of(f"vector_index of {spec.id}", IndexParameters()),
    )
    def served_collection(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with (
            stages.leased(context, platform, accelerator, pool) as (opened, held),
            open_store(opened, spec, held.start) as store,
        ):
            report = vector_index.build(
                opened,
                spec,
                store,
                chunker=open_chunker(opened, spec).fingerprint,
                evaluate=evaluation.measure(opened, spec, store),
                gate=lambda metrics: evaluation.gate_problems(spec, metrics),
                rebuild=applied(IndexParameters(), context).rebuild,
                log=context.log.info,
            )
            if report.pinned:
                context.log.warning(
                    f"{spec.id} is pinned by a rollback: built, not served (llm-assets resume {spec.id})"
                )
            return dg.MaterializeResult(
                data_version=dg.DataVersion(report.served.content if report.served else "nothing served"),
                metadata={**metadata.of_index(report), **held.metadata()},
                check_results=[_fit_to_serve(report), _name_leads_to_served(report)],
            )

    return served_collection


def _fit_to_serve(report: vector_index.BuildReport) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not report.problems,
        check_name="fit_to_serve",
        description="; ".join(report.problems) or None,
        metadata={"problems": "; ".join(report.problems) or "none", **report.metrics},
    )


def _name_leads_to_served(report: vector_index.BuildReport) -> dg.AssetCheckResult:
    """True where there is no server: nobody searches by a name then. A warning where it had to be set right."""
    return dg.AssetCheckResult(
        passed=report.name_problem is None and report.astray is None,
        check_name="name_leads_to_served",
        severity=dg.AssetCheckSeverity.ERROR if report.name_problem else dg.AssetCheckSeverity.WARN,
        description=report.name_problem or report.astray,
    )

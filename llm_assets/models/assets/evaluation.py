"""The asset that examines, and the files of examples that it asks."""

import time
from typing import Any

import dagster as dg

from llm_assets.launchpad import config_of, of_run
from llm_assets.models import evaluation, fine_tune, tracked, training_set
from llm_assets.models.evaluation.shown import metadata
from llm_assets.models.evaluation.suites import suite_file
from llm_assets.models.examples import read_content
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import FineTuneSpec, SuiteSettings
from llm_assets.reporting import clear_failures
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest, digest_json

LAUNCHED = ("max_examples", "max_new_tokens", "batch")  # what one run may change


def suite_assets(spec: FineTuneSpec, stages: Stages) -> list[Any]:
    """The files of the suites, as sources: a changed one makes the evaluation stale."""
    return [_suite_asset(spec, stages, suite) for suite in _with_files(spec)]


def evaluation_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    pool = spec.settings.evaluation.pool
    suites = [stages.key(_stage(suite)) for suite in _with_files(spec)]

    @stages.asset(
        "evaluation",
        "Tuned model against base and promoted model, on the held-out examples and further suites.",
        after=[stages.key("training_set"), stages.key("tuned_model"), *suites],
        kinds={"pytorch", "lance"},
        version=[evaluation.EVALUATOR_VERSION, spec.settings.evaluation.decisive],
        pool=pool,
        config=config_of(f"evaluation of {spec.id}", spec.settings.evaluation, only=LAUNCHED),
    )
    def evaluation_(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        examined = of_run(spec, "evaluation", context)
        with stages.leased(context, platform, accelerator, pool) as (opened, held):
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.newest_run(opened, spec, rows), time.monotonic()
            examination = evaluation.prepare(opened, run, examined, rows)
            asked = evaluation.pending(examination)
            if asked:
                in_child(context, held.start, lambda start, each: evaluation.ask(examination, start=start, each=each))
            found = evaluation.judge(examination)
            evaluation.store(opened, spec, found)
            tracked.evaluated(opened, spec, run, lambda: evaluation.artifacts(found))
            for note in found.notes:
                context.log.warning(f"{spec.id}: {note}")
            for suite in _with_files(spec):
                stages.observed(context, _stage(suite), digest(read_content(suite_file(spec, suite))))
            return dg.MaterializeResult(
                data_version=dg.DataVersion(digest_json(found.rows)),
                metadata={
                    "models asked in this run": bool(asked),
                    "questions asked in this run": sum(len(suite.rows) for _, suite in asked),
                    "seconds": round(time.monotonic() - started, 1) if asked else 0.0,
                    **metadata(found, examination),
                    **held.metadata(),
                },
            )

    return evaluation_


def _suite_asset(spec: FineTuneSpec, stages: Stages, suite: SuiteSettings) -> Any:
    file, stage = suite_file(spec, suite), _stage(suite)

    @dg.observable_source_asset(**stages.common(stage, f"Examples of `{file.name}`, to be examined on."))
    def examples() -> dg.ObserveResult:
        with clear_failures(spec.id):
            content = read_content(file)
            return dg.ObserveResult(
                asset_key=stages.key(stage),
                data_version=dg.DataVersion(digest(content)),
                metadata={"bytes": len(content)},
            )

    return examples


def _with_files(spec: FineTuneSpec) -> list[SuiteSettings]:
    return [suite for suite in spec.settings.evaluation.all_suites if suite.path]


def _stage(suite: SuiteSettings) -> str:
    return f"suite_{suite.name}"

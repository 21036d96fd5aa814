"""The asset in which the promoted model answers, and the file of its inputs."""

import time
from typing import Any

import dagster as dg

from llm_assets.models import answers
from llm_assets.models.inputs import inputs_file, inputs_version, read_inputs
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import AnswersSettings, FineTuneSpec
from llm_assets.reporting import clear_failures, counts, rate
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource

NOTHING = "nothing promoted"


def answers_assets(spec: FineTuneSpec, stages: Stages) -> list[Any]:
    """The answers, and their inputs where they are a file; nothing where none are asked for."""
    settings = spec.settings.answers
    if settings is None:
        return []
    return [
        *([_inputs_asset(spec, stages, settings)] if settings.inputs.path else []),
        _asset(spec, stages, settings),
    ]


def _inputs_asset(spec: FineTuneSpec, stages: Stages, settings: AnswersSettings) -> Any:
    file = inputs_file(spec, settings)

    @dg.observable_source_asset(**stages.common("inputs", f"What the promoted model is asked: `{file.name}`."))
    def inputs() -> dg.ObserveResult:
        with clear_failures(spec.id):
            version = inputs_version(spec, settings)
            return dg.ObserveResult(asset_key=stages.key("inputs"), data_version=dg.DataVersion(version))

    return inputs


def _asset(spec: FineTuneSpec, stages: Stages, settings: AnswersSettings) -> dg.AssetsDefinition:
    corpus = settings.inputs.corpus
    source = dg.AssetKey([spec.tenant, corpus, "chunks"]) if corpus else stages.key("inputs")

    @stages.asset(
        "answers",
        "One row an input: what the promoted model answers to it.",
        after=[stages.key("promoted_model"), source],
        kinds={"pytorch", "lance"},
        version=[answers.ANSWERER_VERSION, settings.inputs, settings.prompt, settings.decisive],
        pool=settings.pool,
    )
    def answers_(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with stages.leased(context, platform, accelerator, settings.pool) as (opened, held):
            inputs, started = read_inputs(opened, spec, settings), time.monotonic()
            if not corpus:
                stages.observed(context, "inputs", inputs_version(spec, settings))
            try:
                answerer = answers.promoted_answerer(opened, spec)
            except answers.NothingPromotedError as error:
                context.log.warning(f"{error}; {len(inputs)} inputs wait")
                return dg.MaterializeResult(data_version=dg.DataVersion(NOTHING), metadata={"inputs": len(inputs)})
            table = answers.answers_table(opened, spec)
            asked = len(answers.missing(table, inputs, answerer, settings))

            def work(start: Any, each: Any) -> None:
                answers.answer(opened, spec, settings, answerer, inputs, start=start, each=each)

            in_child(context, held.start, work) if asked else work(held.start, lambda: None)
            seconds = time.monotonic() - started
            return dg.MaterializeResult(
                data_version=dg.DataVersion(answers.data_version(table)),
                metadata={
                    "dagster/row_count": table.count(),
                    "inputs": len(inputs),
                    "asked in this run": asked,
                    "seconds": round(seconds, 1),
                    "answers a second": rate(asked, seconds),
                    "promoted version": answerer.version,
                    **({} if corpus else {"answers": counts(table.column("answer"), "answer")}),
                    **held.metadata(),
                },
            )

    return answers_

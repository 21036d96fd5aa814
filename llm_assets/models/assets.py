"""The assets of a fine-tune: read, call, write, report. The work is in the modules beside this one."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.models import charts, evaluation, fine_tune, promotion, training_set
from llm_assets.models.children import TrainingError
from llm_assets.models.examples import ExamplesError, read_content
from llm_assets.models.settings import FineTuneSpec
from llm_assets.reporting import clear_failures, counts, picture, table
from llm_assets.schema import Settings
from resources.dagster_platform import PlatformResource
from resources.digests import digest, digest_json

if TYPE_CHECKING:
    from resources.platform import Platform

DATA_VERSION_TAG = "dagster/data_version"
OBSERVE_SECONDS = 10  # between points of the live loss curve in the asset's page
SIDE_BY_SIDE = 10  # examples shown with both models' answers
PROMPT_CHARS = 200

Work = Callable[[Mapping[str, str] | None, Callable[[], None]], Any]


def fine_tune_definitions(spec: FineTuneSpec) -> dg.Definitions:
    """The assets and checks of a fine-tune."""
    stages = [_training_set(spec), _tuned_model(spec), _evaluation(spec), _promoted_model(spec)]
    if spec.examples_file:
        stages.insert(0, _examples(spec, spec.examples_file))
    return dg.Definitions(assets=stages, asset_checks=_checks(spec))


def asset_key(spec: FineTuneSpec, stage: str) -> dg.AssetKey:
    """The key of one stage: tenant, fine-tune, stage."""
    return dg.AssetKey([spec.tenant, spec.name, stage])


def _common(spec: FineTuneSpec, stage: str, description: str) -> dict[str, Any]:
    """What the decorators of all stages say alike."""
    settings = spec.settings
    return {
        "key": asset_key(spec, stage),
        "group_name": f"{spec.tenant}_{spec.name}",
        "owners": settings.owners or None,
        "tags": {"tenant": spec.tenant, "model": spec.name, "stage": stage, **settings.tags},
        "description": "\n\n".join(part for part in (description, settings.description) if part),
    }


def _asset(
    spec: FineTuneSpec,
    stage: str,
    description: str,
    *,
    after: Sequence[dg.AssetKey],
    kinds: set[str],
    version: Sequence[Any],
    checks: Sequence[dg.AssetCheckSpec] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The decorator of a stage. `version` are the settings and code whose change makes its result stale."""
    parts = [part.model_dump(mode="json") if isinstance(part, Settings) else part for part in version]
    decorator = dg.asset(
        **_common(spec, stage, description),
        kinds=kinds,
        deps=list(after),
        code_version=digest_json(parts)[:12],
        check_specs=checks,
    )
    return cast("Callable[[Callable[..., Any]], dg.AssetsDefinition]", decorator)


def _examples(spec: FineTuneSpec, file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # observable assets are beta in this release
        observable = dg.observable_source_asset(**_common(spec, "examples", f"The examples of `{file.name}`."))

    @observable
    def examples() -> dg.ObserveResult:
        with _plainly(spec):
            content = read_content(file)
            return dg.ObserveResult(
                asset_key=asset_key(spec, "examples"),
                data_version=dg.DataVersion(digest(content)),
                metadata={"bytes": len(content)},
            )

    return examples


def _training_set(spec: FineTuneSpec) -> dg.AssetsDefinition:
    data = spec.settings.data
    corpus = [dg.AssetKey([spec.tenant, data.corpus.corpus, "chunks"])] if data.corpus else []
    file = [asset_key(spec, "examples")] if data.examples else []

    @_asset(
        spec,
        "training_set",
        "One row an example, without duplicates, to train on or held out.",
        after=[*file, *corpus],
        kinds={"python", "lance"},
        version=[training_set.CODE_VERSION, data],
    )
    def training_set_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
            built = training_set.build_training_set(spec, lambda: training_set.corpus_chunks(opened, spec))
            training_set.store_training_set(opened, spec, built)
            _report_examples(context, spec)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(built.digest), metadata=_training_set_metadata(built)
            )

    return training_set_asset


def _report_examples(context: dg.AssetExecutionContext, spec: FineTuneSpec) -> None:
    """Say which state of the examples file was read, so that the training set counts as fresh."""
    if spec.examples_file is None:
        return
    key, version = asset_key(spec, "examples"), digest(read_content(spec.examples_file))
    context.log_event(dg.AssetObservation(key, tags={DATA_VERSION_TAG: version}))
    # The file's version was looked up before the step; it is looked up again when the result is recorded.
    context.get_step_execution_context().wipe_input_asset_version_info(key)


def _training_set_metadata(built: training_set.TrainingSet) -> dict[str, Any]:
    found = built.contamination
    return {
        "dagster/row_count": len(built.rows),
        "examples to train on": built.count(training_set.TRAIN),
        "examples held out": built.count(training_set.HELD_OUT),
        "from the examples file": built.from_file,
        "from the corpus": built.from_corpus,
        "exact duplicates removed": built.division.exact_duplicates,
        "near duplicates removed": built.division.near_duplicates,
        "groups of alike examples": built.division.groups,
        "held-out prompts also trained on": found.exact,
        "held-out prompts half given away": found.given_away,
        "overlap of held-out prompts, mean": round(found.mean_overlap, 4),
        "overlap, worst": table(
            [{"example_id": example_id, "overlap": share} for example_id, share in found.worst],
            ["example_id", "overlap"],
        ),
        "completions": counts(
            (row["completion"].strip() if not row["doc_id"] else "from documents" for row in built.rows), "completion"
        ),
    }


def _tuned_model(spec: FineTuneSpec) -> dg.AssetsDefinition:
    settings = spec.settings

    @_asset(
        spec,
        "tuned_model",
        "A LoRA adapter of the base model, as safetensors.",
        after=[asset_key(spec, "training_set")],
        kinds={"pytorch", "huggingface"},
        version=[fine_tune.TRAINER_VERSION, settings.model, settings.training.decisive],
    )
    def tuned_model(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.open_run(opened, spec, rows), time.monotonic()
            trained = not run.finished
            if trained:
                _in_child(context, lambda env, each: fine_tune.train(run, spec, rows, env=env, each=each))
            documents = fine_tune.remember_documents(opened, spec, run, rows)
            seconds = time.monotonic() - started if trained else 0.0
            return dg.MaterializeResult(
                data_version=dg.DataVersion(run.version),
                metadata=_tuned_model_metadata(run, trained, seconds, documents),
            )

    return tuned_model


def _tuned_model_metadata(run: fine_tune.Run, trained: bool, seconds: float, documents: int) -> dict[str, Any]:
    figures, summary = run.figures, run.summary
    return {
        "trained in this run": trained,
        "seconds": round(seconds, 1),
        "steps in this run": len(figures) if trained else 0,
        "steps": summary["steps"],
        "examples": summary["examples"],
        "tokens": summary["tokens"],
        "tokens a second": summary["tokens_per_second"],
        "prompts shortened": summary["shortened"],
        "documents learned from": documents,
        "first loss": round(figures[0]["loss"], 4),
        "last loss": round(figures[-1]["loss"], 4),
        "loss curve": picture(charts.loss_curve(figures), "loss of each step"),
        "base model": run.base.reference,
        "version": run.version,
        "adapter": dg.MetadataValue.path(run.adapter),
    }


def _evaluation(spec: FineTuneSpec) -> dg.AssetsDefinition:
    @_asset(
        spec,
        "evaluation",
        "Base model against tuned model on the held-out examples.",
        after=[asset_key(spec, "training_set"), asset_key(spec, "tuned_model")],
        kinds={"pytorch", "lance"},
        version=[evaluation.EVALUATOR_VERSION, spec.settings.evaluation.decisive],
    )
    def evaluation_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.finished_run(opened, spec, rows), time.monotonic()
            asked = evaluation.pending(run, spec, rows)
            if asked:
                _in_child(context, lambda env, each: evaluation.ask(run, spec, rows, env=env, each=each))
            found = evaluation.judge(run, spec, rows)
            evaluation.store_evaluation(opened, spec, found)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(digest_json(found.rows)),
                metadata={
                    "models asked in this run": asked,
                    "seconds": round(time.monotonic() - started, 1) if asked else 0.0,
                    **_evaluation_metadata(found, rows),
                },
            )

    return evaluation_asset


def _evaluation_metadata(found: evaluation.Evaluation, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "dagster/row_count": len(found.rows),
        **{name: round(value, 4) for name, value in found.metrics.items()},
        "with 95 % intervals": table(_intervals(found), ["metric", "base", "tuned", "better by"]),
        "base against tuned": picture(charts.comparison(found.estimates), "base and tuned model"),
        "side by side": table(
            _side_by_side(found, rows), ["example", "expected", "base", "tuned", "base is right", "tuned is right"]
        ),
        "version": found.version,
    }


def _intervals(found: evaluation.Evaluation) -> Iterator[dict[str, str]]:
    for name in ("accuracy", "exact_match", "loss"):
        if name in found.estimates:
            shown = [found.estimates[key] for key in (f"base_{name}", name, f"{name}_gain")]
            cells = [f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in shown]
            yield {"metric": name, **dict(zip(("base", "tuned", "better by"), cells, strict=True))}


def _side_by_side(found: evaluation.Evaluation, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A few examples with both answers; of a document's text nothing is shown, so that it can be forgotten."""
    by_id = {row["example_id"]: row for row in rows}
    for judged in found.rows[:SIDE_BY_SIDE]:
        row = by_id[judged["example_id"]]
        right = {f"{side} is right": judged[f"{side}_accurate"] for side in ("base", "tuned")}
        if row["doc_id"]:
            yield {"example": row["origin"], **right}
        else:
            answers = {side: judged[f"{side}_answer"] for side in ("base", "tuned")}
            shown = {"example": row["prompt"][:PROMPT_CHARS], "expected": row["completion"][:PROMPT_CHARS]}
            yield shown | answers | right


def _promoted_model(spec: FineTuneSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "promoted_model")
    check = dg.AssetCheckSpec("gate", asset=key, description="Whether the newest tuned model may be promoted.")

    @_asset(
        spec,
        "promoted_model",
        "The version that is to be used: the newest that passed the gate.",
        after=[asset_key(spec, "tuned_model"), asset_key(spec, "evaluation")],
        kinds={"huggingface"},
        version=[spec.settings.gate],
        checks=[check],
    )
    def promoted_model(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
            rows = training_set.load_training_set(opened, spec)
            run = fine_tune.finished_run(opened, spec, rows)
            found = evaluation.judge(run, spec, rows)
            outcome = promotion.consider(opened.state, spec, run, found.metrics)
            (context.log.info if outcome.decision.promote else context.log.warning)(f"{spec.id}: {outcome.summary}")
            version = outcome.promoted.version if outcome.promoted else "nothing promoted"
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version),
                metadata=_promotion_metadata(outcome),
                check_results=[_gate(outcome)],
            )

    return promoted_model


def _promotion_metadata(outcome: promotion.Outcome) -> dict[str, Any]:
    promoted = outcome.promoted
    return {
        "promoted version": promoted.version if promoted else "none",
        "promoted in this run": outcome.moved,
        "newest version": outcome.version,
        "what was decided": outcome.summary,
        "versions that can be rolled back to": outcome.kept,
        **({"adapter": dg.MetadataValue.path(promoted.path)} if promoted else {}),
        **({name: round(value, 4) for name, value in promoted.evaluation.items()} if promoted else {}),
    }


def _gate(outcome: promotion.Outcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=outcome.decision.promote,
        check_name="gate",
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(outcome.decision.reasons),
    )


def _checks(spec: FineTuneSpec) -> list[dg.AssetChecksDefinition]:
    tests = spec.settings.tests
    found = table_checks(
        asset_key(spec, "training_set"),
        tests.training_set,
        lambda platform: training_set.training_set_table(platform, spec),
    )
    found += metric_checks(
        asset_key(spec, "evaluation"),
        tests.evaluation,
        lambda platform: evaluation.latest_metrics(platform.state, spec.tenant, spec.name),
    )
    return found


def _in_child(context: dg.AssetExecutionContext, work: Work) -> None:
    """Do work whose process reports to Dagster while it runs: lines to the log, figures to the asset's page."""
    with (
        warnings.catch_warnings(action="ignore", category=dg.PreviewWarning),  # of Dagster about its own reader
        dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session,
    ):
        live = _Live(context, session)
        work(session.get_bootstrap_env_vars(), live.show)


class _Live:
    """The newest figures of a running training, as observations of the asset."""

    def __init__(self, context: dg.AssetExecutionContext, session: dg.PipesSession) -> None:
        self._context, self._session = context, session
        self._seen, self._due = 0, time.monotonic() + OBSERVE_SECONDS

    def show(self) -> None:
        if time.monotonic() < self._due:
            return
        figures = self._session.get_custom_messages()
        if len(figures) > self._seen:
            self._context.log_event(dg.AssetObservation(self._context.asset_key, metadata=dict(figures[-1])))
        self._seen, self._due = len(figures), time.monotonic() + OBSERVE_SECONDS


@contextmanager
def _stage(context: dg.AssetExecutionContext, spec: FineTuneSpec, platform: PlatformResource) -> Iterator["Platform"]:
    """One stage of one fine-tune at a time, whoever runs it; errors that people can mend are said plainly."""
    opened = platform.open()

    def waiting(_name: str) -> None:
        context.log.info(f"another run works on {spec.id}; waiting for it")

    with _plainly(spec), opened.state.lock(f"model/{spec.id}", on_wait=waiting):
        yield opened


@contextmanager
def _plainly(spec: FineTuneSpec) -> Iterator[None]:
    with clear_failures(spec.id):
        try:
            yield
        except (ExamplesError, TrainingError, fine_tune.UntrainedError) as error:
            raise dg.Failure(f"{spec.id}: {error}", allow_retries=False) from error

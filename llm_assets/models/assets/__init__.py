"""The assets of a fine-tune, one a file: read, call, write, report. The work is in the modules beside this folder."""

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.models.assets.answers import answers_assets
from llm_assets.models.assets.evaluation import evaluation_asset, suite_assets
from llm_assets.models.assets.promoted_model import promoted_model_asset
from llm_assets.models.assets.training_set import dataset_asset, examples_asset, training_set_asset
from llm_assets.models.assets.tuned_model import tuned_model_asset
from llm_assets.models.evaluation import latest_metrics
from llm_assets.models.settings import FineTuneSpec
from llm_assets.models.training_set import training_set_table
from llm_assets.stages import Stages


def fine_tune_definitions(spec: FineTuneSpec) -> dg.Definitions:
    """The assets and checks of a fine-tune."""
    stages = Stages("model", spec.tenant, spec.settings)
    makers = [training_set_asset, tuned_model_asset, evaluation_asset, promoted_model_asset]
    assets = [make(spec, stages) for make in makers]
    if spec.examples_file:
        assets.insert(0, examples_asset(spec, stages, spec.examples_file))
    if spec.dataset_place:
        assets.insert(0, dataset_asset(spec, stages, spec.dataset_place))
    assets += suite_assets(spec, stages) + answers_assets(spec, stages)
    return dg.Definitions(assets=assets, asset_checks=_checks(spec, stages))


def _checks(spec: FineTuneSpec, stages: Stages) -> list[dg.AssetChecksDefinition]:
    tests = spec.settings.tests
    found = table_checks(
        stages.key("training_set"),
        tests.training_set,
        lambda platform: training_set_table(platform, spec),
    )
    found += metric_checks(
        stages.key("evaluation"),
        tests.evaluation,
        lambda platform: latest_metrics(platform.state, spec.tenant, spec.name),
    )
    return found

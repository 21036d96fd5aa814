"""The examination: base, tuned and promoted model on suites of examples, with how sure each figure is.

prepare()            what is to be asked of which models
pending(), ask()     put it to them; what was asked before is not asked again
judge()              scores, levels and paired differences with their intervals
store(), load()      the table of examples and the recorded figures
artifacts()          pictures and tables as files
"""

from llm_assets.models.evaluation.artifacts import artifacts
from llm_assets.models.evaluation.asking import EVALUATOR_VERSION, ask, pending
from llm_assets.models.evaluation.judging import Evaluation, EvaluationError, judge
from llm_assets.models.evaluation.sides import BASE, PROMOTED, SIDES, TUNED, Side
from llm_assets.models.evaluation.storing import evaluation_table, latest_metrics, load, store
from llm_assets.models.evaluation.suites import Examination, Suite, prepare

__all__ = [
    "BASE",
    "EVALUATOR_VERSION",
    "PROMOTED",
    "SIDES",
    "TUNED",
    "Evaluation",
    "EvaluationError",
    "Examination",
    "Side",
    "Suite",
    "artifacts",
    "ask",
    "evaluation_table",
    "judge",
    "latest_metrics",
    "load",
    "pending",
    "prepare",
    "store",
]

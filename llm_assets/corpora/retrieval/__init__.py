"""How well a corpus answers its own questions: judgements, metrics, the gate, and a picture of the results."""

from __future__ import annotations

from llm_assets.corpora.retrieval.evaluation import DEPTH, QueryResult, RetrievalReport, evaluate
from llm_assets.corpora.retrieval.gate import METRICS, Gate, GateError
from llm_assets.corpora.retrieval.judgements import (
    EvaluationSet,
    EvaluationSetError,
    Judgement,
    Query,
    read_evaluation_set,
)
from llm_assets.corpora.retrieval.targets import Target, Targets, resolve

__all__ = [
    "DEPTH",
    "METRICS",
    "EvaluationSet",
    "EvaluationSetError",
    "Gate",
    "GateError",
    "Judgement",
    "Query",
    "QueryResult",
    "RetrievalReport",
    "Target",
    "Targets",
    "evaluate",
    "read_evaluation_set",
    "resolve",
]

"""A status line that shows every difference, or another model's figures as the model's own, misleads."""

from __future__ import annotations

from llm_assets.status import told_metrics


def test_a_models_figures_are_told_with_those_of_the_models_beside_it() -> None:
    metrics = {"accuracy": 0.8, "base_accuracy": 0.25, "promoted_accuracy": 0.7, "accuracy_gain": 0.55}
    metrics |= {"accuracy_gain_over_promoted": 0.1, "general.loss": 2.0, "base_general.loss": 2.125}
    said = "accuracy 0.800 (base 0.250, promoted 0.700), general.loss 2.000 (base 2.125)"
    assert told_metrics(metrics) == said


def test_an_index_has_no_models_beside_it() -> None:
    assert told_metrics({"ndcg@10": 0.5, "recall@10": 1.0}) == "ndcg@10 0.500, recall@10 1.000"
    assert told_metrics(None) == told_metrics({}) == "none yet"

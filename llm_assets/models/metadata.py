"""What the assets of a fine-tune show of themselves in the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.evaluations import levels
from llm_assets.models import charts, training_set
from llm_assets.models.cards import body
from llm_assets.reporting import counts, picture, table

if TYPE_CHECKING:
    from llm_assets.models import fine_tune, promotion


def of_training_set(built: training_set.TrainingSet) -> dict[str, Any]:
    found = built.contamination
    return {
        "dagster/row_count": len(built.rows),
        "examples to train on": built.count(training_set.TRAIN),
        "examples held out": built.count(training_set.HELD_OUT),
        "from the examples file": built.from_file,
        **({"warnings": "; ".join(built.warnings)} if built.warnings else {}),
        "from the corpus": built.from_corpus,
        "exact duplicates removed": built.division.exact_duplicates,
        "near duplicates removed": built.division.near_duplicates,
        "groups of alike examples": built.division.groups,
        "held-out prompts also trained on": found.exact,
        "held-out prompts much like a trained one": found.near,
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


def of_tuned_model(run: fine_tune.Run, trained: bool, seconds: float, documents: int) -> dict[str, Any]:
    figures, summary = run.figures, run.summary
    return {
        "trained in this run": trained,
        "seconds": round(seconds, 1),
        "steps in this run": summary["steps_of_last_process"] if trained else 0,
        "steps": summary["steps"],
        "examples": summary["examples"],
        "tokens": summary["tokens"],
        "tokens a second": summary["tokens_per_second"],
        "prompts shortened": summary["shortened"],
        "documents learned from": documents,
        "first loss": round(figures[0]["loss"], 4),
        "last loss": round(figures[-1]["loss"], 4),
        "loss curve": picture(charts.loss_curve(figures), "loss of each step"),
        "method": run.method,
        "stopped early": summary.get("stopped_early", False),
        "base model": run.base.reference,
        "version": run.version,
        "weights": dg.MetadataValue.path(run.weights),
    }


def of_promotion(outcome: promotion.Outcome) -> dict[str, Any]:
    promoted = outcome.promoted
    return {
        "promoted version": promoted.version if promoted else "none",
        "promoted in this run": outcome.moved,
        "newest version": outcome.version,
        "what was decided": outcome.summary,
        "versions that can be rolled back to": outcome.kept,
        **({"weights": dg.MetadataValue.path(promoted.path)} if promoted else {}),
        **({name: round(value, 4) for name, value in levels(promoted.evaluation)} if promoted else {}),
        "model card of the newest version": dg.MetadataValue.md(body(outcome.card)),
        "training set": outcome.made.data_version,
        "configuration": outcome.made.config_digest,
        "code": outcome.made.code_version,
    }

"""What the assets of a fine-tune show of themselves in the UI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.models import charts, training_set
from llm_assets.reporting import counts, picture, table

if TYPE_CHECKING:
    from llm_assets.models import evaluation, fine_tune, promotion

SIDE_BY_SIDE = 10  # examples shown with both models' answers
PROMPT_CHARS = 200


def of_training_set(built: training_set.TrainingSet) -> dict[str, Any]:
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


def of_tuned_model(run: fine_tune.Run, trained: bool, seconds: float, documents: int) -> dict[str, Any]:
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
        "adapter": dg.MetadataValue.path(run.weights),
    }


def of_evaluation(found: evaluation.Evaluation, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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


def of_promotion(outcome: promotion.Outcome) -> dict[str, Any]:
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

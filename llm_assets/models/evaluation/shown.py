"""What the asset shows of an evaluation in the UI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_assets.models import charts
from llm_assets.models.evaluation.artifacts import (
    CONTAMINATION_COLUMNS,
    METRIC_COLUMNS,
    WORST_COLUMNS,
    contamination_rows,
    metric_rows,
    picture_of,
    worst_rows,
)
from llm_assets.models.evaluation.classes import confusions
from llm_assets.models.evaluation.sides import SIDES
from llm_assets.reporting import picture, table

if TYPE_CHECKING:
    from llm_assets.models.evaluation.judging import Evaluation
    from llm_assets.models.evaluation.suites import Examination

SIDE_BY_SIDE = 10  # examples shown with all answers
PROMPT_CHARS = 200
SIDE_COLUMNS = ("suite", "example", "expected", *SIDES, *(f"{side} is right" for side in SIDES))


def metadata(found: Evaluation, examination: Examination) -> dict[str, Any]:
    """Figures, tables and pictures. Of a document's text nothing is shown, so that it can be forgotten."""
    return {
        "dagster/row_count": len(found.rows),
        **{name: round(value, 4) for name, value in found.metrics.items()},
        "with 95 % intervals": table(metric_rows(found), METRIC_COLUMNS),
        "what to know": "\n".join(found.notes) or "nothing: the suites are clean, and large enough",
        "levels": picture(charts.levels(found.estimates), "base, promoted and tuned model"),
        "differences": picture(charts.differences(found.estimates), "how much better the tuned model is"),
        **_by_class(found),
        "side by side": table(_side_by_side(found, examination), SIDE_COLUMNS),
        "worst examples": table(worst_rows(found), WORST_COLUMNS),
        "contamination": table(contamination_rows(found), CONTAMINATION_COLUMNS),
        "compared with": found.compared_with or "the base model only",
        "version": found.version,
    }


def _by_class(found: Evaluation) -> dict[str, Any]:
    drawn = {one.suite: picture_of(one) for one in confusions(found.rows)}
    pictures = {f"answers by class, {suite}": picture(png, "confusion matrix") for suite, (png, _) in drawn.items()}
    names = {f"{suite} {number}": name for suite, (_, names) in drawn.items() for number, name in names.items()}
    return {**pictures, **({"classes by number": names} if names else {})}


def _side_by_side(found: Evaluation, examination: Examination) -> Iterator[dict[str, Any]]:
    rows = _rows(examination)
    for judged in found.rows[:SIDE_BY_SIDE]:
        row = rows[judged["row_id"]]
        right = {f"{side} is right": judged.get(f"{side}_accuracy") for side in SIDES}
        if row["doc_id"]:
            yield {"suite": judged["suite"], "example": row["origin"], **right}
        else:
            answers = {side: _short(judged.get(f"{side}_answer")) for side in SIDES}
            shown = {"example": _short(row["prompt"]), "expected": _short(row["completion"])}
            yield {"suite": judged["suite"], **shown, **answers, **right}


def _rows(examination: Examination) -> Mapping[str, Mapping[str, Any]]:
    return {f"{suite.name}/{row['example_id']}": row for suite in examination.suites for row in suite.rows}


def _short(text: str | None) -> str | None:
    return text[:PROMPT_CHARS] if text is not None else None

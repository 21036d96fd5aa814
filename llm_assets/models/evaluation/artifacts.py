"""An evaluation as files, for a tracking server: pictures, and tables of figures. No text of an example."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_assets.models import charts
from llm_assets.models.estimates import Estimate
from llm_assets.models.evaluation.classes import Confusion, confusions
from llm_assets.models.evaluation.sides import BASE, PROMOTED, TUNED
from llm_assets.models.settings.evaluation import is_lower_better

if TYPE_CHECKING:
    from llm_assets.models.evaluation.judging import Evaluation

METRIC_COLUMNS = ("metric", "base", "promoted", "tuned", "better than base by", "better than promoted by")
WORST_COLUMNS = ("suite", "example_id", "base loss", "promoted loss", "tuned loss", "base right", "tuned right")
CONTAMINATION_COLUMNS = ("suite", "examples", "also trained on", "much like one", "half given away", "mean overlap")
WORST_SHOWN = 15


def artifacts(found: Evaluation) -> dict[str, bytes | str]:
    """File name to content: PNG, CSV and text."""
    files: dict[str, bytes | str] = {
        "evaluation/levels.png": charts.levels(found.estimates),
        "evaluation/differences.png": charts.differences(found.estimates),
        "evaluation/metrics.csv": _csv(METRIC_COLUMNS, metric_rows(found)),
        "evaluation/worst.csv": _csv(WORST_COLUMNS, worst_rows(found)),
        "evaluation/contamination.csv": _csv(CONTAMINATION_COLUMNS, contamination_rows(found)),
        "evaluation/notes.txt": "".join(f"{note}\n" for note in found.notes),
    }
    for one in confusions(found.rows):
        files[f"evaluation/confusion_{one.suite}.png"] = picture_of(one)[0]
        files[f"evaluation/confusion_{one.suite}.csv"] = _csv(("right answer", *one.said), _counts(one))
    return files


def _counts(one: Confusion) -> Iterator[dict[str, Any]]:
    for name, counts in zip(one.classes, one.counts, strict=True):
        yield {"right answer": name, **dict(zip(one.said, counts, strict=True))}


def picture_of(one: Confusion) -> tuple[bytes, Mapping[str, str]]:
    """A confusion matrix as PNG, and the numbers that stand in it for names no font can show."""
    return charts.confusion(one.classes, one.counts, one.said)


def metric_rows(found: Evaluation) -> Iterator[dict[str, str]]:
    """One row a figure of the tuned model, with its interval, beside the others' and the differences."""
    for name in charts.level_names(found.estimates):
        keys = (f"base_{name}", f"promoted_{name}", name, f"{name}_gain", f"{name}_gain_over_promoted")
        cells = [_told(found.estimates.get(key)) for key in keys]
        named = f"{name}, lower is better" if is_lower_better(name) else name
        yield dict(zip(METRIC_COLUMNS, (named, *cells), strict=True))


def worst_rows(found: Evaluation) -> Iterator[dict[str, Any]]:
    """The examples on which the tuned model lost most against the base model, then those it finds hardest."""

    def rank(row: Mapping[str, Any]) -> tuple[bool, float]:
        lost = bool(row["base_accuracy"]) and not row["tuned_accuracy"]
        return not lost, -row["tuned_loss"]

    for row in sorted(found.rows, key=rank)[:WORST_SHOWN]:
        losses = {f"{side} loss": row.get(f"{side}_loss") for side in (BASE, PROMOTED, TUNED)}
        right = {f"{side} right": row.get(f"{side}_accuracy") for side in (BASE, TUNED)}
        yield {"suite": row["suite"], "example_id": row["example_id"], **losses, **right}


def contamination_rows(found: Evaluation) -> Iterator[dict[str, Any]]:
    """One row a suite: how much of it stands in the training examples."""
    for suite, dirt in found.contamination.items():
        cells = (suite, found.suites[suite], dirt.exact, dirt.near, dirt.given_away, round(dirt.mean_overlap, 4))
        yield dict(zip(CONTAMINATION_COLUMNS, cells, strict=True))


def _told(estimate: Estimate | None) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})" if estimate else ""


def _csv(columns: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

"""Where an evaluation is kept: examples in a table, figures in the state database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llm_assets import evaluations
from llm_assets.models.contamination import Contamination
from llm_assets.models.estimates import Estimate
from llm_assets.models.evaluation.judging import Evaluation
from llm_assets.models.evaluation.sides import SIDES
from llm_assets.models.fine_tune import UntrainedError
from llm_assets.models.scoring import SCORES

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform
    from resources.state import State
    from resources.tables import Table

NAME = "evaluation"
OF_A_SIDE = ("answer", *SCORES, "loss", "tokens")
COLUMNS = (
    *("row_id", "version", "suite", "example_id", "doc_id", "expected", "tokens"),
    *(f"{side}_{name}" for side in SIDES for name in OF_A_SIDE),
)
RIGHT_OR_WRONG = ("accuracy", "exact_match")


def evaluation_table(platform: Platform, spec: FineTuneSpec) -> Table:
    """The latest evaluation, one row a suite and example."""
    return platform.tables(spec.tenant, spec.name).table(NAME, _schema, "row_id")


def store(platform: Platform, spec: FineTuneSpec, found: Evaluation) -> None:
    """Make the table hold this evaluation, and keep its figures by version."""
    _drop_of_other_columns(platform, spec)
    table = evaluation_table(platform, spec)
    table.replace("version", sorted({found.version, *table.column("version")}), found.rows)
    details = {
        "estimates": {name: asdict(estimate) for name, estimate in found.estimates.items()},
        "examples": len(found.rows),
        "suites": found.suites,
        "contamination": {suite: asdict(dirt) for suite, dirt in found.contamination.items()},
        "compared_with": found.compared_with,
        "incomparable": found.incomparable,
        "notes": list(found.notes),
    }
    evaluations.record(platform.state, spec.tenant, "model", spec.name, found.version, found.metrics, details)


def load(platform: Platform, spec: FineTuneSpec, version: str) -> Evaluation:
    """The kept evaluation of a version; of any but the latest one without its examples.

    Raises:
        UntrainedError: there is none.
    """
    found = evaluations.find(platform.state, spec.tenant, "model", spec.name, version)
    if found is None:
        raise UntrainedError(f"{spec.id}: version {version} was not examined; materialise {spec.id}/evaluation")
    table, details = evaluation_table(platform, spec), found.details
    rows = [row for row in _rows(table) if row["version"] == version]
    return Evaluation(
        version=version,
        compared_with=details["compared_with"],
        rows=sorted(rows, key=lambda row: (list(details["suites"]).index(row["suite"]), row["example_id"])),
        estimates={name: Estimate(**estimate) for name, estimate in details["estimates"].items()},
        suites=details["suites"],
        contamination={suite: _contamination(dirt) for suite, dirt in details["contamination"].items()},
        notes=tuple(details["notes"]),
        incomparable=details.get("incomparable"),
    )


def latest_metrics(state: State, tenant: str, model: str) -> dict[str, float]:
    """The figures of the last evaluation; empty where there is none."""
    found = evaluations.latest(state, tenant, "model", model)
    return found.metrics if found else {}


def _contamination(dirt: dict[str, Any]) -> Contamination:
    worst = tuple((example_id, share) for example_id, share in dirt["worst"])
    return Contamination(**{**dirt, "worst": worst})


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for batch in table.scan(COLUMNS):
        yield from batch.to_pylist()


def _drop_of_other_columns(platform: Platform, spec: FineTuneSpec) -> None:
    """A table of an earlier release is made anew: all that it holds follows from kept answers."""
    tables = platform.tables(spec.tenant, spec.name)
    lance = tables.open(NAME)
    if lance is not None and set(lance.schema.names) != set(COLUMNS):
        tables.drop(NAME)


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {
        **dict.fromkeys(SCORES, pa.float64()),
        **dict.fromkeys(RIGHT_OR_WRONG, pa.bool_()),
        "loss": pa.float64(),
        "tokens": pa.int32(),
    }
    of_sides = tuple(f"{side}_" for side in SIDES)
    kinds = {name: name.partition("_")[2] if name.startswith(of_sides) else name for name in COLUMNS}
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])

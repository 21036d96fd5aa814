"""What a run of Dagster really did, as its materialisations report it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

DOCUMENTS, TEXTS, STEPS = "parsed in this run", "texts embedded in this run", "steps in this run"
WORK = {DOCUMENTS: "documents parsed", TEXTS: "texts embedded", STEPS: "training steps"}


def work_of_run(instance: dg.DagsterInstance, run_id: str) -> dict[str, int]:
    """The sum of each kind of work over the assets of a run; a kind that no asset reported is left out."""
    found: dict[str, int] = {}
    seen: set[str | None] = set()  # a step over several partitions tells of each what it has done in all
    for log in instance.all_logs(run_id):
        event = log.dagster_event
        if event is None or event.event_type_value != "ASSET_MATERIALIZATION":
            continue
        if event.step_key in seen:
            continue
        seen.add(event.step_key)
        metadata = event.step_materialization_data.materialization.metadata
        for name, told in WORK.items():
            if name in metadata:
                found[told] = found.get(told, 0) + int(str(metadata[name].value))
    return found


def work_of_last_run(instance: dg.DagsterInstance) -> dict[str, int]:
    """`work_of_run` of the newest run; empty where there was none."""
    runs = instance.get_runs(limit=1)
    return work_of_run(instance, runs[0].run_id) if runs else {}

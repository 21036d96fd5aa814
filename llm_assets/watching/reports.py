"""How a source that cannot be listed is told: a check of its asset in the UI, and an alert."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.watching.listings import Problem, list_source
from resources.alerts.alert import Alert

if TYPE_CHECKING:
    from llm_assets.watching.watched import Watched

CHECK = "can_be_listed"


def check_event(source: Watched, problem: str | None) -> dg.AssetCheckEvaluation:
    """The result of the check as the sensor reports it, without a run; no problem: it passes."""
    return dg.AssetCheckEvaluation(
        asset_key=source.key, check_name=CHECK, passed=problem is None, description=problem, metadata={}
    )


def source_alert(source: Watched, problem: str) -> Alert:
    """Told once a day at most: a source that comes and goes would tell it without end."""
    return Alert(
        key=f"source {source.id} {time.strftime('%Y-%m-%d', time.gmtime())}",
        title=f"{source.id}: its source cannot be listed",
        what=problem,
        tried="It is listed again every few seconds. Nothing was deleted, what is served stays as it is.",
        advice="Mend the source, or its path in defs.yaml.",
        tenant=source.key.path[0],
        assets=(source.key.to_user_string(),),
    )


def source_checks(sources: Iterable[Watched]) -> list[dg.AssetChecksDefinition]:
    """The check of each source that the sensor reports on; executed by hand, it lists the source."""
    return [_check(source) for source in sources]


def _check(source: Watched) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=source.key, name=CHECK, description="Whether the source can be listed and holds files.")
    def can_be_listed() -> dg.AssetCheckResult:
        found = list_source(source)
        problem = found.reason if isinstance(found, Problem) else None
        return dg.AssetCheckResult(passed=problem is None, description=problem)

    return can_be_listed

"""When the stages of a model follow their data, and when a table counts as overdue: in Dagster's own terms."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.automation import ON_CHANGE, Cron
from llm_assets.jobs import WHOLE_TAG

if TYPE_CHECKING:
    from llm_assets.schema import Described

MARGIN = timedelta(hours=2)  # a run takes its time: overdue begins this long after the longest pause of a cron
DATA = ("training_set", "tuned_model", "answers")  # stages that look at what their dependencies hold
AFTER = {"evaluation": "tuned_model", "promoted_model": "evaluation"}  # and those that go into the run of another
OF_ALL_BUCKETS = ("vector_index", "retrieval_evaluation")
When = dg.AutomationCondition  # of assets


def condition(settings: Described, key: dg.AssetKey) -> When | None:
    """What starts a stage of a model by itself; None for what a sensor, a schedule or a person starts.

    The training set is made again when the data version of what it is made from has changed; if it then holds other
    rows, the model is trained, examined and promoted in one run, and what another model is promoted for is answered
    again. What was never trained or asked waits for a person: hours of a device are not spent because somebody saved
    a file.

    The index of a corpus in buckets is built once all of them are embedded, whichever runs did that.
    """
    if settings.automation != ON_CHANGE:
        return None
    stage = key.path[-1]
    if stage in AFTER:
        return _with(dg.AssetKey([*key.path[:-1], AFTER[stage]]))
    if getattr(settings, "buckets", 1) > 1 and stage in OF_ALL_BUCKETS:
        return _changed_buckets()
    return _after_the_first() if stage in DATA else None


def _changed_data() -> When:
    """A dependency holds other data since this was last requested or made; nothing of either is being made.

    What another run changes while this is being made may have come too late to be read: it counts once that has
    ended. Rather is a run started that finds nothing new, which takes seconds, than a change lost.
    """
    changed = When.data_version_changed()
    same_run = When.executed_with_root_target() | _in_a_run_of_all("model")
    meanwhile = When.any_deps_match(changed & ~same_run) & (When.in_progress() | When.newly_updated())
    behind = When.any_deps_match(changed).since(When.newly_requested() | When.newly_updated())
    return (behind | meanwhile.since(When.newly_requested())) & ~_busy()


def _changed_buckets() -> When:
    """As `_changed_data`, after dependencies in partitions: of them Dagster only knows the run of the last one.

    So what is made alone counts as behind until it is requested once more: a bucket may have come too late.
    """
    made_with_all = When.newly_updated() & _in_a_run_of_all("corpus")
    changed = When.any_deps_match(When.data_version_changed())
    return changed.since(When.newly_requested() | made_with_all) & ~_busy() & ~When.any_deps_missing()


def _in_a_run_of_all(kind: str) -> When:
    return When.executed_with_tags(tag_values={WHOLE_TAG: kind})


def _busy() -> When:
    return When.in_progress() | When.any_deps_in_progress()


def _after_the_first() -> When:
    return (_changed_data() & ~When.missing()).with_label("its data has changed")


def _with(earlier: dg.AssetKey) -> When:
    requested = When.asset_matches(earlier, When.will_be_requested())
    return (requested | _after_the_first()).with_label(f"with {earlier.path[-1]}, or its data has changed")


def freshness(settings: Described) -> dg.FreshnessPolicy | None:
    """Until when a table is fresh: as YAML says, else as its cron says; what follows changes is never overdue."""
    if settings.fresh_within_hours is not None:
        return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=settings.fresh_within_hours))
    if isinstance(settings.automation, Cron):
        return dg.FreshnessPolicy.time_window(fail_window=settings.automation.longest_pause + MARGIN)
    return None

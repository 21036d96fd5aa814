"""Guards against tidying that takes what the UI shows, what is promoted, or what a rollback needs."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.maintenance.dagster_history import remove_old_logs, remove_old_pictures, remove_old_runs
from llm_assets.maintenance.trainings import remove_old_trainings
from resources import state_schema as schema
from resources.platform import Platform


@dg.asset
def kept() -> dg.MaterializeResult:
    return dg.MaterializeResult(data_version=dg.DataVersion("1"))


@dg.asset_check(asset=kept)
def fine() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def test_old_runs_go_and_the_state_of_assets_and_checks_stays(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        old = dg.materialize([kept, fine], instance=instance, selection=dg.AssetSelection.assets(kept)).run_id
        shown = dg.materialize([kept, fine], instance=instance).run_id
        assert remove_old_runs(instance, days=1) == 0
        assert remove_old_runs(instance, days=-1) == 1
        assert [run.run_id for run in instance.get_runs()] == [shown]
        assert not instance.all_logs(old)
        event = instance.get_latest_materialization_event(kept.key)
        assert event
        assert event.run_id == shown


def test_old_logs_go_once_and_their_runs_stay(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        run = dg.materialize([kept], instance=instance).run_id
        logs = tmp_path / "storage" / run
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "kept.out").write_text("said")
        assert remove_old_logs(instance, days=1, done_until=None)[0] == 0
        assert logs.exists()
        number, until = remove_old_logs(instance, days=-1, done_until=None)
        assert number == 1
        assert not logs.exists()
        assert instance.has_run(run)
        assert remove_old_logs(instance, days=-2, done_until=until)[0] == 0


def test_of_the_pictures_that_sensors_report_the_newest_stay_and_other_events_are_not_touched(tmp_path: Path) -> None:
    overview, other = dg.AssetKey("overview"), dg.AssetKey("other")

    def numbers(key: dg.AssetKey) -> list[object]:
        found = [record.asset_materialization for record in instance.fetch_materializations(key, limit=100).records]
        return [event.metadata["number"].value for event in found if event]

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        run = dg.materialize([kept, fine], instance=instance).run_id
        for number in range(5):
            for key in (overview, other):
                tags = {"dagster/data_version": str(number)}
                event = dg.AssetMaterialization(key, metadata={"number": number}, tags=tags)
                instance.report_runless_asset_event(event)
        instance.report_runless_asset_event(dg.AssetObservation(overview))
        before = len(instance.event_log_storage.get_logs_for_run(""))
        assert remove_old_pictures(instance, overview, kept=2) == 3
        assert remove_old_pictures(instance, overview, kept=2) == 0
        assert numbers(overview) == [4, 3]
        assert numbers(other) == [4, 3, 2, 1, 0]
        assert len(instance.event_log_storage.get_logs_for_run("")) == before - 3
        assert instance.fetch_observations(overview, limit=1).records
        event = instance.get_latest_materialization_event(kept.key)
        assert event
        assert event.run_id == run


def test_superseded_trainings_go_and_promoted_newest_and_rollback_ones_stay(platform: Platform) -> None:
    models = platform.runs("acme", "kind")
    for name in ("first", "second", "superseded", "young", "evaluations", "answers"):
        (models / name / "adapter").mkdir(parents=True)
    for folder in ("first", "second", "superseded", "evaluations", "answers"):
        for path in (models / folder / "adapter", models / folder):
            os.utime(path, (0, 0))
    for number, name in enumerate(("first", "second")):
        row = {"tenant": "acme", "model": "kind", "version": f"v{number}", "path": str(models / name / "adapter")}
        row |= {"evaluation": {}, "promoted_at": float(number), "retired": False}
        with platform.state.write() as connection:
            connection.execute(schema.promotions.insert().values(**row))
    assert remove_old_trainings(platform, days=1) == ["acme/kind/superseded"]
    assert sorted(path.name for path in models.iterdir()) == ["answers", "evaluations", "first", "second", "young"]


def test_retention_of_no_days_is_refused() -> None:
    from resources.retention import RetentionSettings

    with pytest.raises(ValueError, match="greater than 0"):
        RetentionSettings(runs_days=0)

"""Guards against a picture in the UI that is old while leases change, or that is drawn again for nothing."""

from __future__ import annotations

import dagster as dg

from llm_assets.accelerators_assets import KEY, accelerators
from sensors.accelerators import accelerators_picture
from tests.resources.accelerators.seen.conftest import Cluster


def tick(instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    found = accelerators_picture(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def test_the_asset_shows_the_picture_and_usage_by_tenant(cluster: Cluster) -> None:
    cluster.held("tuned_model", tenant="acme")
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        done = dg.materialize([accelerators], instance=instance)
        [event] = done.asset_materializations_for_node("accelerators")
    assert str(event.metadata["chart"].value).startswith("![devices over time")
    assert event.metadata["leases"].value == 1
    by_tenant = event.metadata["by_tenant"]
    assert isinstance(by_tenant, dg.TableMetadataValue)
    assert [record.data["name"] for record in by_tenant.records] == ["acme"]


def test_the_sensor_draws_when_leases_changed_and_only_then(cluster: Cluster) -> None:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        assert isinstance(tick(instance, None), dg.SkipReason), "nothing was ever leased"
        cluster.held("tuned_model")
        first = tick(instance, None)
        assert isinstance(first, dg.SensorResult)
        [event] = first.asset_events
        assert event.asset_key == KEY
        assert isinstance(tick(instance, first.cursor), dg.SkipReason), "nothing has changed"
        cluster.ledger.release("tuned_model")
        ended = tick(instance, first.cursor)
        assert isinstance(ended, dg.SensorResult), "the lease has ended"
        assert isinstance(tick(instance, ended.cursor), dg.SkipReason)


def test_a_ledger_that_cannot_be_opened_skips_and_says_why(cluster: Cluster) -> None:
    cluster.ledger.close()
    (cluster.file.parent / "ledger.db").write_bytes(b"this is no database" * 1000)
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        found = tick(instance, None)
    assert isinstance(found, dg.SkipReason)
    assert "ledger.db" in str(found.skip_message)

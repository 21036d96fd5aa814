"""The overview: a wrong sum misleads everybody, and what fails on an empty or a huge platform is not looked at."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from llm_assets import evaluations
from llm_assets.overview.metadata import overview_metadata
from resources import state_schema as schema
from resources.dagster_platform import PLATFORM_KEY
from resources.platform import Platform
from resources.state import State
from sensors.overview import overview_refresh

PNG = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 400_000  # of one overview in the event log


class Opened(dg.ConfigurableResource):
    """Stands for the profile's platform: one in a test's own folder."""

    folder: str

    def open(self) -> Platform:
        from resources.profile import Profile

        return Platform(Profile(state_dir=Path(self.folder)))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_ASSETS_STATE_DIR", str(tmp_path / "state"))


def document(corpus: str, number: int, status: str, tenant: str = "acme") -> dict[str, Any]:
    return {
        "tenant": tenant,
        "corpus": corpus,
        "doc_id": f"{corpus}{number}",
        "uri": f"{number}.md",
        "size": 1,
        "stamp": "1",
        "parser": "p",
        "status": status,
        "elements": 1,
        "updated_at": 1.0,
    }


def fill(state: State, corpus: str, parsed: int = 3, quarantined: int = 1, tenant: str = "acme") -> None:
    rows = [document(corpus, n, "parsed", tenant) for n in range(parsed)]
    rows += [document(corpus, parsed + n, "quarantined", tenant) for n in range(quarantined)]
    state.put(schema.documents, rows)
    served = {"collection": "c", "version": 1, "content": "x", "settings": {}, "origin": "built", "retired": False}
    with state.write() as connection:
        for seq_rows in (5, 7):  # the newest one is served
            row = {"tenant": tenant, "corpus": corpus, "rows": seq_rows, "served_at": 2.0}
            connection.execute(schema.served.insert().values(row | served))
    evaluations.record(state, tenant, "index", corpus, "s", {"ndcg@10": 0.875}, {"per_query": ["much"] * 1000})


def rows(metadata: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [dict(record.data) for record in metadata[name].records]


def test_documents_vectors_and_quality_of_each_corpus_and_their_totals(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    fill(platform.state, "handbook", parsed=3, quarantined=1)
    fill(platform.state, "letters", parsed=2, quarantined=0)

    shown = overview_metadata(platform.state, instance)

    assert (shown["documents"], shown["quarantined"], shown["vectors"]) == (5, 1, 14)
    assert rows(shown, "corpora")[0] | {"served": ""} == {
        "corpus": "acme/handbook",
        "documents": 3,
        "quarantined": 1,
        "passages": 0,
        "vectors": 7,
        "served": "",
        "retrieval": "ndcg@10 0.875",
    }


def test_an_empty_platform_shows_zeros_and_no_pictures(platform: Platform, instance: dg.DagsterInstance) -> None:
    shown = overview_metadata(platform.state, instance)

    assert (shown["documents"], shown["vectors"], rows(shown, "corpora"), rows(shown, "last_runs")) == (0, 0, [], [])
    assert "size" not in shown


def test_a_hundred_corpora_are_read_and_drawn_in_seconds_and_stay_small(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    for number in range(100):
        fill(platform.state, f"corpus_{number:03}", parsed=50)

    started = time.monotonic()
    shown = overview_metadata(platform.state, instance)

    assert time.monotonic() - started < 20
    assert len(rows(shown, "corpora")) == 100
    for name in ("size", "retrieval_over_time"):
        picture = base64.b64decode(shown[name].value.partition("base64,")[2].rstrip(")"))
        assert picture.startswith(PNG)
        assert len(picture) < MOST_BYTES


def test_a_name_that_no_font_can_show_is_told_beside_the_picture(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    fill(platform.state, "handbook", tenant="\U00013080")  # a hieroglyph

    shown = overview_metadata(platform.state, instance)

    assert shown["names_in_pictures"]["size #1"] == "\U00013080/handbook"


def test_runs_are_shown_with_what_they_made_and_how_they_ended(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    @dg.asset(key=["acme", "handbook", "documents"])
    def broken() -> None:
        raise ValueError

    job = dg.Definitions(assets=[broken]).resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=instance, asset_selection=[broken.key], raise_on_error=False)

    (run,) = rows(overview_metadata(platform.state, instance), "last_runs")
    assert (run["what"], run["status"]) == ("acme/handbook/documents", "failure")
    assert run["seconds"] >= 0


def test_the_sensor_shows_a_change_once_and_is_quiet_until_the_next(
    tmp_path: Path, platform: Platform, instance: dg.DagsterInstance
) -> None:
    def tick(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        resources = {PLATFORM_KEY: Opened(folder=str(tmp_path / "state"))}
        return overview_refresh(dg.build_sensor_context(instance, cursor=cursor, resources=resources))

    first = tick(None)
    assert isinstance(first, dg.SensorResult)
    assert isinstance(tick(first.cursor), dg.SkipReason)

    fill(platform.state, "handbook")
    second = tick(first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert second.asset_events[0].metadata["documents"].value == 3

"""`tests:` in YAML: each kind finds what it is there to find, and `error` stops what is downstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import TypeAdapter, ValidationError

from llm_assets.components import checks
from llm_assets.components.checks import metric_checks, run_test, table_checks
from llm_assets.schema import Metric, TableTest
from resources.dagster_platform import PLATFORM_KEY, PlatformResource
from resources.platform import Platform
from resources.profile import Profile
from resources.tables import Table

TESTS: TypeAdapter[TableTest] = TypeAdapter(TableTest)
KEY = dg.AssetKey(["acme", "handbook", "documents"])
ROWS = [
    {"id": "1", "status": "parsed", "title": "Leave", "page": 1, "headings": ["a"]},
    {"id": "2", "status": "parsed", "title": None, "page": 1, "headings": ["a"]},
    {"id": "3", "status": "quarantined", "title": "", "page": None, "headings": []},
    {"id": "4", "status": "parsed", "title": "契約", "page": 2, "headings": ["b", "c"]},
]


def rows_table(platform: Platform) -> Table:
    def schema() -> Any:
        import pyarrow as pa

        text = [("id", pa.string()), ("status", pa.string()), ("title", pa.string())]
        return pa.schema([*text, ("page", pa.int32()), ("headings", pa.list_(pa.string()))])

    return platform.tables("acme", "handbook").table("rows", schema, "id")


@pytest.fixture
def table(platform: Platform) -> Table:
    table = rows_table(platform)
    table.replace("id", [row["id"] for row in ROWS], ROWS)
    return table


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        ({"test": "not_null", "column": "id"}, True),
        ({"test": "not_null", "column": "title"}, False),
        ({"test": "not_null", "column": "page"}, False),
        ({"test": "not_null", "column": "headings"}, False),
        ({"test": "unique", "column": "id"}, True),
        ({"test": "unique", "column": "status"}, False),
        ({"test": "unique", "column": "headings"}, False),
        ({"test": "accepted_values", "column": "status", "values": ["parsed", "quarantined"]}, True),
        ({"test": "accepted_values", "column": "status", "values": ["parsed"]}, False),
        ({"test": "row_count", "min": 4, "max": 4}, True),
        ({"test": "row_count", "min": 5}, False),
        ({"test": "row_count", "max": 3}, False),
        ({"test": "share", "column": "status", "value": "quarantined", "max": 0.25}, True),
        ({"test": "share", "column": "status", "value": "quarantined", "max": 0.24}, False),
        ({"test": "share", "column": "page", "value": "1", "max": 0.4}, False),
    ],
)
def test_each_kind_of_test_passes_and_fails_where_it_should(table: Table, test: dict[str, Any], passed: bool) -> None:
    assert run_test(TESTS.validate_python(test), table).passed is passed


def test_what_is_wrong_is_shown(table: Table) -> None:
    unique = run_test(TESTS.validate_python({"test": "unique", "column": "status"}), table)
    accepted = run_test(
        TESTS.validate_python({"test": "accepted_values", "column": "status", "values": ["x", "parsed"]}), table
    )
    assert unique.metadata == {"duplicates": 2}
    assert accepted.metadata == {"not_accepted": "quarantined"}


def test_a_table_that_was_never_written_has_no_rows(platform: Platform) -> None:
    empty = rows_table(platform)
    assert not run_test(TESTS.validate_python({"test": "row_count", "min": 1}), empty).passed
    assert run_test(TESTS.validate_python({"test": "share", "column": "id", "value": "x", "max": 0}), empty).passed


@pytest.mark.parametrize("bounds", [{}, {"min": 2, "max": 1}])
def test_bounds_that_test_nothing_or_let_nothing_pass_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="nothing"):
        TESTS.validate_python({"test": "row_count", **bounds})
    with pytest.raises(ValidationError, match="nothing"):
        Metric(test="metric", metric="ndcg@10", **bounds)


def test_names_say_what_is_tested_and_are_unique_and_permitted() -> None:
    columns = ["a_3", "a", "a", "a", "b"]
    tests = [TESTS.validate_python({"test": "unique", "column": column}) for column in columns]
    metrics = [Metric(test="metric", metric=name, min=0) for name in ("ndcg@10", "正解率")]
    assert checks.test_names([*tests, *metrics]) == [
        *("unique_a_3", "unique_a", "unique_a_2", "unique_a_4", "unique_b", "metric_ndcg_10", "metric____")
    ]


class PlatformHere(PlatformResource):
    """The platform in a folder, instead of that of a target of profiles.yml."""

    folder: str

    def open(self) -> Platform:
        return Platform(Profile(state_dir=Path(self.folder)))


def run_checks(platform: Platform, severity: str) -> dg.ExecuteInProcessResult:
    """Materialise a table of which a test fails, its checks, and what is downstream."""
    tests = [
        TESTS.validate_python({"test": "row_count", "min": 1}),
        TESTS.validate_python({"test": "not_null", "column": "title", "severity": severity}),
    ]

    @dg.asset(key=KEY)
    def documents() -> None: ...

    @dg.asset(deps=[KEY])
    def downstream() -> None: ...

    resource = PlatformHere(target="here", folder=str(platform.profile.state_dir))
    return dg.materialize(
        [documents, downstream, *table_checks(KEY, tests, rows_table)],
        resources={PLATFORM_KEY: resource},
        raise_on_error=False,
    )


@pytest.mark.parametrize(("severity", "goes_on"), [("error", False), ("warn", True)])
def test_only_an_error_stops_what_is_downstream(
    table: Table, platform: Platform, severity: str, goes_on: bool
) -> None:
    result = run_checks(platform, severity)
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in found.items()} == {"row_count": True, "not_null_title": False}
    assert found["not_null_title"].severity.value == severity.upper()
    assert found["not_null_title"].metadata["empty"].value == 2
    assert bool(result.asset_materializations_for_node("downstream")) is goes_on


def test_a_metric_is_held_against_its_bounds_and_one_that_was_not_measured_fails(platform: Platform) -> None:
    tests = [Metric(test="metric", metric=name, min=0.5) for name in ("ndcg@10", "recall@10", "mrr")]

    @dg.asset(key=KEY)
    def documents() -> None: ...

    result = dg.materialize(
        [documents, *metric_checks(KEY, tests, lambda _: {"ndcg@10": 0.9, "recall@10": 0.4})],
        resources={PLATFORM_KEY: PlatformHere(target="here", folder=str(platform.profile.state_dir))},
        raise_on_error=False,
    )
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    passed = {name: check.passed for name, check in found.items()}
    assert passed == {"metric_ndcg_10": True, "metric_recall_10": False, "metric_mrr": False}
    assert "'mrr' was not measured; measured: ndcg@10, recall@10" in str(found["metric_mrr"].metadata["reason"].value)

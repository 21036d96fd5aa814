"""The catalogue says what each column means: a column that it does not know, or that is long gone, misleads."""

from __future__ import annotations

import pytest

from llm_assets.columns import KINDS, TABLES, columns_of
from llm_assets.corpora.chunks import chunks_schema
from llm_assets.corpora.documents import documents_schema
from llm_assets.models import answers, training_set
from llm_assets.models.evaluation import storing

ARROW = {"int": ("int32", "int64"), "float": ("double",), "bool": ("bool",), "string": ("string",)}


@pytest.mark.parametrize(
    ("stage", "schema"),
    [
        ("documents", documents_schema),
        ("chunks", chunks_schema),
        ("training_set", training_set._schema),
        ("evaluation", storing._schema),
        ("answers", answers._schema),
    ],
)
def test_every_column_of_a_table_is_described_with_its_type(stage: str, schema: object) -> None:
    fields = {field.name: str(field.type) for field in schema()}  # type: ignore[operator]
    assert set(TABLES[stage]) == set(fields)
    for name, arrow in fields.items():
        if not arrow.startswith("list"):
            assert arrow in ARROW[KINDS.get(name, "string")], name


def test_an_asset_without_a_table_has_no_columns() -> None:
    assert columns_of("promoted_model") == {}


def test_each_column_has_a_sentence() -> None:
    for stage in TABLES:
        for column in columns_of(stage)["dagster/column_schema"].columns:
            assert column.description
            assert column.description.endswith((".", "…"))

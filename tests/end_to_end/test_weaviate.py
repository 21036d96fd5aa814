"""The chain on a real Weaviate server: a delta that rewrites everything, a name that leads to an old collection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resources.vector_index.weaviate_schema import ClassNames
from resources.weaviate_server import Address
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import materialize, recorded, succeeded
from tests.weaviate_fixtures import weaviate_program, weaviate_server  # noqa: F401  (fixtures)

COUNT = 8
PROFILES = """
default_target: dev
targets:
  dev:
    state_dir: .state/dev
    index: weaviate
    weaviate: {backup: {before_deletion: true}}
"""
TENANT = "acmew"
INDEX = f"{TENANT}/handbook/vector_index"


@pytest.mark.long
def test_the_chain_builds_changes_swaps_goes_back_and_restores(
    project: Project,
    weaviate_server: Address,  # noqa: F811  (the fixture)
) -> None:
    env = {"WEAVIATE_URL": weaviate_server.url, "WEAVIATE_GRPC_PORT": str(weaviate_server.grpc_port)}
    env["WEAVIATE_API_KEY"] = str(weaviate_server.key)
    project.write("profiles.yml", PROFILES)
    folder = project.write(f"{TENANT}/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", COUNT)

    def run() -> dict[str, Any]:
        done = succeeded(materialize(project, f'key:"{TENANT}/*" and not kind:"file"', env=env))
        assert str(weaviate_server.key) not in done.stdout + done.stderr
        return recorded(project, INDEX)

    def cli(*arguments: str) -> str:
        return succeeded(project.run("llm-assets", *arguments, env=env)).stdout

    def alias() -> str:
        with weaviate_server.client() as client:
            found = client.alias.get(alias_name=ClassNames(TENANT).alias("handbook"))
        assert found
        return found.collection

    first = run()
    assert first["chunks upserted in this run"] == first["dagster/row_count"] >= COUNT
    assert (first["name on the server leads to"], first["nodes healthy"]) == (first["served collection"], 1)
    old = alias()

    again = run()
    assert (again["chunks upserted in this run"], again["served version"]) == (0, first["served version"])

    (folder / "documents" / "new.md").write_text("# Zephyr\n\nThe zephyr clause allows subletting to kites.\n")
    second = run()
    assert (second["chunks upserted in this run"], second["chunks deleted in this run"]) == (1, 0)
    assert alias() == old
    assert "kites" in cli("search", "handbook", "zephyr clause", "-k", "1")

    trigram = {"weaviate": {"tokenization": "trigram", "quantisation": "none"}}
    project.write(f"{TENANT}/handbook/defs.yaml", corpus_yaml(index=trigram))
    third = run()
    assert third["served collection"] != first["served collection"]
    assert alias() != old
    with weaviate_server.client() as client:
        assert client.collections.exists(old), "kept for rollback"

    assert first["served collection"] in cli("rollback", "index", f"{TENANT}/handbook")
    assert alias() == old
    cli("resume", "index", f"{TENANT}/handbook")
    assert json.loads(cli("search", "handbook", "zephyr clause", "-k", "1", "--json"))[0]["uri"].endswith("new.md")

    project.write(f"{TENANT}/handbook/defs.yaml", corpus_yaml(index=trigram | {"keep": 1}))
    assert run()["served collection"] == third["served collection"]
    with weaviate_server.client() as client:
        assert not client.collections.exists(old), "not kept any more"
    backup_id = cli("backups", "handbook").split()[0]
    assert first["served collection"] in cli("restore", "handbook", backup_id)
    assert alias() == old
    assert "kites" in cli("search", "handbook", "zephyr clause", "-k", "1")

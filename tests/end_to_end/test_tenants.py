"""Two tenants that use one name must not read, overwrite or forget each other's documents."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, write_documents
from tests.end_to_end.looking import assert_whole, contents, files_with, platform_of, succeeded

INGEST = ("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", "ingest")
SECRETS = {
    "acme": "The acme vault opens with code 4711-saffron.",
    "bolt": "The bolt vault opens with code 0815-indigo.",
}
SHARED = "Both offices close at six in the evening on Fridays."


def write_tenant(project: Project, tenant: str, count: int) -> None:
    folder = project.write(f"{tenant}/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", count)
    project.write(f"{tenant}/handbook/documents/secret.md", f"# Vault\n\n{SECRETS[tenant]}\n\n# Hours\n\n{SHARED}\n")


@pytest.fixture(scope="module")
def built(module_project: Project) -> Project:
    write_tenant(module_project, "acme", 3)
    write_tenant(module_project, "bolt", 6)
    succeeded(module_project.run(*INGEST))
    return module_project


def search(project: Project, corpus: str, question: str) -> list[str]:
    done = succeeded(project.run("llm-assets", "search", corpus, question, "--json"))
    return [passage["text"] for passage in json.loads(done.stdout)]


def state_of(project: Project, tenant: str) -> dict[str, tuple[int, int]]:
    """Every file of a tenant, with its size and time of change."""
    folder = project.root / ".state" / "dev" / "tenants" / tenant
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


def test_each_tenant_has_its_own_rows(built: Project) -> None:
    for tenant, count in (("acme", 4), ("bolt", 7)):
        assert_whole(platform_of(built), tenant)
        assert len(contents(platform_of(built), tenant)["documents"]) == count


def test_a_search_finds_only_the_tenants_own_passages(built: Project) -> None:
    for tenant, other in (("acme", "bolt"), ("bolt", "acme")):
        texts = search(built, f"{tenant}/handbook", "Which code opens the vault?")
        assert SECRETS[tenant] in texts[0]
        assert not any(SECRETS[other] in text for text in texts)


def test_a_name_that_two_tenants_have_must_be_said_in_full(built: Project) -> None:
    done = built.run("llm-assets", "search", "handbook", "vault")
    assert done.returncode == 1
    assert "acme/handbook, bolt/handbook" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_one_tenant_lies_in_the_folder_of_another(built: Project) -> None:
    tenants = built.root / ".state" / "dev" / "tenants"
    for tenant, other in (("acme", "bolt"), ("bolt", "acme")):
        assert files_with(tenants / tenant, SECRETS[tenant]), "not stored plainly: this test would prove nothing"
        assert not files_with(tenants / tenant, SECRETS[other])


def test_keys_groups_and_tags_are_apart(built: Project) -> None:
    done = succeeded(built.run("dg", "list", "defs", "--json"))
    assets = [asset for asset in json.loads(done.stdout)["assets"] if asset["group_name"] != "platform"]
    assert {asset["asset_key_parts"][0] for asset in assets} == set(SECRETS)
    for asset in assets:
        tenant, corpus, stage = asset["asset_key_parts"]
        assert asset["group_name"] == f"{tenant}_handbook"
        plain = [tag for tag in asset["tags"] if not tag["key"].startswith("accelerator/")]  # its pool's
        tags = {tag["key"]: tag["value"] for tag in plain}
        assert tags == {"tenant": tenant, "corpus": corpus, "stage": stage}


def test_what_one_tenant_does_leaves_the_other_as_it_is(built: Project) -> None:
    """Last of this module: acme changes, and forgets a document whose URI and passages bolt has too."""
    before, files = contents(platform_of(built), "bolt"), state_of(built, "bolt")
    built.write("acme/handbook/documents/00.md", "# Changed\n\nNothing is as it was.\n")
    acme = 'key:"acme/*" and not kind:"file"'
    succeeded(built.run("dagster", "asset", "materialize", "-m", "llm_assets.definitions", "--select", acme))

    unclear = built.run("llm-assets", "forget", "documents/secret.md")
    assert unclear.returncode == 1
    assert "acme/handbook, bolt/handbook" in unclear.stderr
    assert files_with(built.root / ".state" / "dev" / "tenants", SECRETS["acme"])

    succeeded(built.run("llm-assets", "forget", "documents/secret.md", "--corpus", "acme/handbook"))
    assert not files_with(built.root / ".state" / "dev" / "tenants" / "acme", SECRETS["acme"])
    assert contents(platform_of(built), "bolt") == before
    assert state_of(built, "bolt") == files

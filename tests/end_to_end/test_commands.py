"""What a command tells, or takes back, must be so: a wrong status or a half rollback is worse than none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_assets.corpora import serving
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, sentence_ja, write_documents
from tests.end_to_end.looking import assert_whole, contents, files_with, materialize, platform_of, recorded, succeeded

COUNT = 7
SECRET = "The quincunx of Zanzibarry was sold for 918273 ducats on a foggy Tuesday."
SECRET_JA = "幻の翡翠観音像は霧深い火曜日に九一八二七三両で売られた。"
WORD = "quincunx"  # of the secret: the full-text index must not keep it either


@pytest.fixture(scope="module")
def built(module_project: Project) -> Project:
    """Three corpora of one tenant: `handbook` to look at, `rolled` to roll back, `secretive` to forget."""
    for name in ("handbook", "rolled", "secretive"):
        folder = module_project.write(f"acme/{name}/defs.yaml", corpus_yaml(name)).parent
        write_documents(folder / "documents", COUNT)
    module_project.write("acme/handbook/documents/broken.docx", b"PK\x03\x04 not a document")
    module_project.write("acme/secretive/documents/secret.md", f"# Sale\n\n{SECRET}\n\n# 売却\n\n{SECRET_JA}\n")
    succeeded(materialize(module_project))
    return module_project


def told(project: Project, *command: str) -> str:
    return succeeded(project.run("llm-assets", *command)).stdout


def refused(project: Project, *command: str) -> str:
    """What a command says that fails as it should: one line, no trace."""
    done = project.run("llm-assets", *command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"llm-assets {command[0]}: ")
    return done.stderr


def status_of(project: Project, corpus: str) -> dict[str, Any]:
    found = json.loads(told(project, "status", "--json"))
    return next(entry for entry in found["corpora"] if entry["corpus"] == corpus)


def found(project: Project, question: str) -> list[str]:
    """The texts that full-text search finds in what is served of `rolled`."""
    platform = platform_of(project)
    served = serving.served(platform.state, "acme", "rolled")
    assert served
    hits = platform.index("acme").search(served.snapshot, text=question, vector=None, mode="text", k=20, where=None)
    return [hit.text for hit in hits]


def test_search_shows_passages_with_their_source(built: Project) -> None:
    lines = told(built, "search", "handbook", sentence(0), "-k", "2").splitlines()
    assert lines[0].startswith(" 1. documents/00.md")
    assert sentence(0) in lines[1]
    assert len([line for line in lines if line.startswith(" 2. ")]) == 1


def test_search_json_has_every_field_and_language_filters(built: Project) -> None:
    passages = json.loads(told(built, "search", "acme/handbook", sentence_ja(1), "--json", "--language", "ja"))
    assert passages[0]["uri"] == "documents/01.txt"
    assert {passage["language"] for passage in passages} == {"ja"}
    assert set(passages[0]) >= {"uri", "text", "score", "page", "headings", "title", "chunk_id", "doc_id"}


def test_a_page_is_told_where_the_format_has_pages(built: Project) -> None:
    passages = json.loads(told(built, "search", "handbook", sentence(6), "-k", "1", "--json", "--mode", "text"))
    assert (passages[0]["uri"], passages[0]["page"]) == ("documents/06.pdf", 1)


def test_status_counts_what_the_tables_hold_and_says_why_a_file_is_quarantined(built: Project) -> None:
    status, held = status_of(built, "acme/handbook"), contents(platform_of(built))
    assert status["documents"] == COUNT
    assert [(row["uri"], row["code"]) for row in status["quarantined"]] == [("documents/broken.docx", "corrupt")]
    assert status["chunks"] == status["vectors"] == len(held["chunks"])
    assert status["collection"] == held["served"][2]
    text = told(built, "status")
    assert f"documents   {COUNT} parsed, 1 quarantined (corrupt 1)" in text
    assert status["quarantined"][0]["reason"] in text


def test_names_that_do_not_exist_are_answered_with_those_that_do(built: Project) -> None:
    assert "acme/handbook" in refused(built, "search", "handbok", "question")
    assert "acme/handbook" in refused(built, "rollback", "index", "handbok")
    assert "documents/nothing.md" in refused(built, "forget", "documents/nothing.md")
    assert "there is: none" in refused(built, "rollback", "model", "classifier")
    assert "there is: none" in refused(built, "resume", "model", "classifier")
    assert "no earlier state" in refused(built, "rollback", "index", "handbook")


def test_a_wrong_use_is_explained(built: Project) -> None:
    assert "at least one" in refused(built, "search", "handbook", "question", "-k", "0")
    done = built.run("llm-assets", "rollback", "corpus", "handbook")
    assert done.returncode == 2
    assert "index" in done.stderr


def test_an_unknown_target_is_named(built: Project) -> None:
    done = built.run("llm-assets", "status", env={"LLM_ASSETS_TARGET": "nowhere"})
    assert done.returncode == 1
    assert "'nowhere'" in done.stderr
    assert "dev" in done.stderr


def test_a_rollback_serves_the_old_text_without_what_was_deleted_and_holds_until_resumed(built: Project) -> None:
    documents, rolled = built.root / "dbt_like_configs/acme/rolled/documents", 'key:"acme/rolled/*"'
    (documents / "00.md").write_text("# Changed\n\nThe walrus chairs the committee.\n")
    (documents / "02.html").unlink()
    succeeded(materialize(built, rolled))
    assert any("walrus" in text for text in found(built, "walrus"))

    (documents / "03.eml").unlink()  # no run has seen this deletion
    told(built, "rollback", "index", "acme/rolled")
    assert any(sentence(0) in text for text in found(built, sentence(0)))
    assert not any("walrus" in text for text in found(built, "walrus"))
    for number in (2, 3):
        assert not any(sentence(number) in text for text in found(built, sentence(number)))
    assert status_of(built, "acme/rolled")["pinned"]

    (documents / "04.csv").write_text("case,rule\n4,The otter keeps the minutes.\n")
    succeeded(materialize(built, rolled))
    assert not any("otter" in text for text in found(built, "otter"))
    assert recorded(built, "acme/rolled/vector_index")["candidate is served"] is False

    told(built, "resume", "index", "rolled")
    succeeded(materialize(built, rolled))
    assert any("otter" in text for text in found(built, "otter"))
    assert any("walrus" in text for text in found(built, "walrus"))
    assert_whole(platform_of(built), corpus="rolled")


def test_a_forgotten_document_is_on_no_byte_of_the_disk_and_stays_out(built: Project) -> None:
    state, uri = built.root / ".state", "documents/secret.md"
    for text in (SECRET, SECRET_JA, WORD):
        assert files_with(state, text), f"'{text}' is not stored plainly: this test would prove nothing"
    lines = told(built, "forget", uri)
    assert "acme/secretive" in lines
    assert "models trained on it: none" in lines
    for text in (SECRET, SECRET_JA, WORD):
        assert not files_with(state, text)

    succeeded(materialize(built, 'key:"acme/secretive/*"'))
    assert (built.root / "dbt_like_configs/acme/secretive" / uri).exists()
    assert not files_with(state, SECRET)
    assert status_of(built, "acme/secretive")["documents"] == COUNT
    assert_whole(platform_of(built), corpus="secretive")
    told(built, "forget", uri)  # once more: nothing to do, no error

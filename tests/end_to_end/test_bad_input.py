"""One bad folder, file or setting must be named, and must neither stop the rest nor harm what is served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_assets.corpora import chunks, documents, serving, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.settings import CorpusSpec
from resources.platform import Platform
from tests.conftest import Project
from tests.corpora.parsing import samples
from tests.corpora.parsing.test_bad_documents import encrypted_docx, encrypted_pdf, zip_bomb
from tests.end_to_end.documents import corpus_yaml, sentence, write_documents
from tests.end_to_end.looking import assert_whole, contents, failures, materialize, platform_of, succeeded

COUNT = 4
INGEST = ("dagster", "job", "execute", "-m", "llm_assets.definitions", "-j", "ingest")
AS_A_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")  # root, but permissions hold
BAD_FILES = {
    "corrupt.docx": (samples.docx()[:2000], "corrupt"),
    "empty.txt": (b"", "empty"),
    "locked.pdf": (encrypted_pdf(), "encrypted"),
    "locked.docx": (encrypted_docx(), "encrypted"),
    "bomb.docx": (zip_bomb("word/media/image1.xml", 60), "oversized"),
}
GOOD_FILES = {
    "cp932.txt": "本契約は、甲と乙との間の取引について必要な事項を定める。納期は三十日とする。".encode("cp932"),
    "really-html.txt": samples.html(),
}


def write_corpus(project: Project, name: str, **attributes: Any) -> Path:
    folder = project.write(f"acme/{name}/defs.yaml", corpus_yaml(name, **attributes)).parent
    write_documents(folder / "documents", COUNT)
    return folder


def write_questions(folder: Path) -> None:
    """Questions whose answer is the sentence of document 0."""
    (folder / "questions" / "qrels").mkdir(parents=True)
    (folder / "questions" / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": sentence(0)}) + "\n")
    (folder / "questions" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t00.md\t1\n")


@pytest.fixture(scope="module")
def project_of_all(module_project: Project) -> Project:
    """A corpus for each thing that can be wrong, beside good ones."""
    project = module_project
    folder = write_corpus(project, "files")
    for name, content in {**{name: data for name, (data, _) in BAD_FILES.items()}, **GOOD_FILES}.items():
        (folder / "documents" / name).write_bytes(content)
    write_corpus(project, "missing", source={"path": "elsewhere"})
    (write_corpus(project, "unreadable") / "documents" / "private").mkdir(mode=0)
    write_corpus(project, "emptied")
    write_corpus(project, "no_model", embedder={"model": "package:no-such-embedder"})
    write_corpus(project, "no_questions", evaluation={"path": "questions"})
    broken = write_corpus(project, "broken_questions", evaluation={"path": "questions"})
    write_questions(broken)
    (broken / "questions" / "queries.jsonl").write_text('{"_id": "q", "text": \n')
    write_questions(write_corpus(project, "gated", evaluation={"path": "questions", "gate": {"ndcg@10": 0.5}}))
    return project


@pytest.fixture(scope="module")
def first(project_of_all: Project) -> dict[str, str]:
    """What failed in the first run."""
    done = project_of_all.run(*AS_A_USER, *INGEST)
    assert done.returncode == 1
    told = failures(project_of_all)
    assert [text for text in told.values() if text not in done.stderr] == [], "the console does not say why"
    return told


@pytest.fixture(scope="module")
def second(project_of_all: Project, first: dict[str, str]) -> dict[str, str]:
    """What failed in the second run: a source was emptied, and the answer to the question has left the documents."""
    configs = project_of_all.root / "dbt_like_configs" / "acme"
    shutil.rmtree(configs / "emptied" / "documents")
    (configs / "emptied" / "documents").mkdir()
    (configs / "gated" / "documents" / "00.md").write_text("# Nothing\n\nThe answer is gone.\n")
    done = project_of_all.run(*AS_A_USER, *INGEST)
    assert done.returncode == 1
    assert "below the 0.5 that the gate asks for" in done.stderr
    return failures(project_of_all)


def test_bad_files_are_quarantined_and_the_others_are_served(project_of_all: Project, first: dict[str, str]) -> None:
    assert not [key for key in first if key.startswith("acme/files/")]
    rows = contents(platform_of(project_of_all), corpus="files")["documents"]
    codes = {Path(row["uri"]).name: row["code"] for row in rows if row["status"] == "quarantined"}
    assert codes == {name: code for name, (_, code) in BAD_FILES.items()}
    assert all(row["reason"] for row in rows if row["status"] == "quarantined")
    assert {Path(row["uri"]).name for row in rows if row["status"] == "parsed"} >= set(GOOD_FILES)
    assert len(rows) == COUNT + len(BAD_FILES) + len(GOOD_FILES)
    assert_whole(platform_of(project_of_all), corpus="files")
    texts = " ".join(row["text"] for row in contents(platform_of(project_of_all), corpus="files")["chunks"])
    assert "納期は三十日とする" in texts


@pytest.mark.parametrize(
    ("asset", "words"),
    [
        ("missing/documents", ("elsewhere", "does not exist")),
        ("unreadable/documents", ("private", "Permission denied")),
        ("no_model/chunks", ("no-such-embedder",)),
        ("no_questions/vector_index", ("questions",)),
        ("broken_questions/vector_index", ("queries.jsonl:1",)),
    ],
)
def test_what_is_wrong_is_named_without_a_trace(first: dict[str, str], asset: str, words: tuple[str, ...]) -> None:
    told = first[f"acme/{asset}"]
    assert all(word in told for word in words), told
    assert "Traceback" not in told


def test_nothing_else_fails(first: dict[str, str]) -> None:
    bad = {"missing", "unreadable", "no_model", "no_questions", "broken_questions"}
    assert {key.split("/")[1] for key in first} == bad


def test_an_emptied_source_is_not_taken_for_a_deletion(project_of_all: Project, second: dict[str, str]) -> None:
    assert "allow_empty" in second["acme/emptied/documents"]
    assert_whole(platform_of(project_of_all), corpus="emptied")
    assert len(contents(platform_of(project_of_all), corpus="emptied")["documents"]) == COUNT


def test_an_index_that_answers_badly_is_not_served_and_the_previous_one_stays(
    project_of_all: Project, second: dict[str, str]
) -> None:
    assert "fit_to_serve" in second["acme/gated/vector_index"]
    platform = platform_of(project_of_all)
    served = serving.served(platform.state, "acme", "gated")
    assert served
    texts = [
        hit.text for hit in platform.index("acme").search(served.snapshot, text=sentence(0), vector=None, mode="text")
    ]
    assert sentence(0) in texts[0]
    assert len(serving.history(platform.state, "acme", "gated")) == 1


def test_an_index_that_passes_again_is_served(project_of_all: Project, second: dict[str, str]) -> None:
    """After the tests above: the answer is put back."""
    configs = project_of_all.root / "dbt_like_configs" / "acme"
    (configs / "gated" / "documents" / "00.md").write_text(f"# Back\n\n{sentence(0)} It is back.\n")
    succeeded(materialize(project_of_all, 'key:"acme/gated/*"'))
    assert_whole(platform_of(project_of_all), corpus="gated")


def test_an_index_that_is_built_before_its_embeddings_says_so(
    platform: Platform, make_corpus: Callable[..., CorpusSpec], tmp_path: Path, model_cache: Path
) -> None:
    platform.cache.parent.mkdir()
    platform.cache.symlink_to(model_cache)
    write_documents(tmp_path / "documents", 1)
    spec = make_corpus(tmp_path)
    documents.ingest(platform, spec, open_source(spec), parse_options(spec), workers=1)
    chunker = open_chunker(platform, spec)
    chunks.cut(platform, spec, chunker)
    with open_store(platform, spec) as store, pytest.raises(vector_index.NotEmbeddedError, match="embeddings, then"):
        vector_index.build(platform, spec, store, chunker=chunker.fingerprint, evaluate=None, gate=lambda metrics: [])
    assert serving.served(platform.state, "acme", "handbook") is None

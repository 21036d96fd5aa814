"""Guards against a listing that leaves files out without a word: it would look as if they had been deleted."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from resources.sources import FileTooLarge, FileVanished, SourceError, open_source
from resources.sources.local import LocalFolder
from resources.sources.selection import Selection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.md", "sub/a.txt", "sub/deep/c.pdf", ".hidden.txt", ".git/x.txt", "~$b.docx", "Thumbs.db"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(name)
    return tmp_path


def uris(folder: Path, path: str = "docs", **options) -> list[str]:
    return [file.uri for file in open_source(path, base=folder, **options).list()]


def test_files_are_listed_by_uri_without_hidden_and_lock_files(folder: Path) -> None:
    assert uris(folder) == ["docs/b.md", "docs/sub/a.txt", "docs/sub/deep/c.pdf"]


def test_a_uri_starts_with_the_path_as_it_was_written(folder: Path) -> None:
    (folder / "defs").mkdir()
    assert uris(folder / "defs", "../docs")[0] == "../docs/b.md"
    assert uris(folder, str(folder / "docs"))[0] == f"{folder}/docs/b.md"


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.pdf"], [], ["docs/sub/deep/c.pdf"]),
        (["sub/*"], [], ["docs/sub/a.txt"]),
        (["sub/**"], [], ["docs/sub/a.txt", "docs/sub/deep/c.pdf"]),
        (["**"], ["sub/deep/**"], ["docs/b.md", "docs/sub/a.txt"]),
        (["**/*.[mt]*"], ["?.md"], ["docs/sub/a.txt"]),
        ([], [], []),
    ],
)
def test_globs_select_files(folder: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert uris(folder, include=include, exclude=exclude) == expected


def test_an_excluded_folder_is_not_entered() -> None:
    selection = Selection(exclude=("archive/**", "**/node_modules/**"))
    assert not selection.enters("archive")
    assert not selection.enters("a/b/node_modules")
    assert selection.enters("archived")


def test_a_stamp_changes_with_the_content(folder: Path) -> None:
    source = open_source("docs", base=folder)
    before = {file.uri: file.stamp for file in source.list()}
    (folder / "docs" / "b.md").write_text("other")
    after = {file.uri: file.stamp for file in source.list()}
    assert {uri for uri in after if after[uri] != before[uri]} == {"docs/b.md"}


@pytest.mark.parametrize(("path", "words"), [("nothing", "does not exist"), ("docs/b.md", "is not a folder")])
def test_a_path_that_is_no_folder_is_an_error_with_the_place(folder: Path, path: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        uris(folder, path)
    assert str(folder / path) in str(error.value)


def test_a_subfolder_that_cannot_be_listed_fails_the_whole_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "docs")
    for _ in range(30):  # in the end beyond the length that the system takes for a path
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    monkeypatch.chdir("/")
    with pytest.raises(SourceError, match="cannot be listed"):
        uris(folder)


def test_a_file_that_vanishes_while_its_folder_is_listed_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = LocalFolder._entries

    def vanishing(self: LocalFolder, path: str) -> list[os.DirEntry[str]]:
        found = entries(self, path)
        (folder / "docs" / "b.md").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(LocalFolder, "_entries", vanishing)
    assert uris(folder) == ["docs/sub/a.txt", "docs/sub/deep/c.pdf"]


def test_a_subfolder_that_vanishes_while_its_folder_is_listed_fails_the_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = LocalFolder._entries

    def vanishing(self: LocalFolder, path: str) -> list[os.DirEntry[str]]:
        found = entries(self, path)
        shutil.rmtree(folder / "docs" / "sub", ignore_errors=True)
        return found

    monkeypatch.setattr(LocalFolder, "_entries", vanishing)
    with pytest.raises(SourceError, match="cannot be listed"):
        uris(folder)


def test_links_are_followed_but_not_in_circles(folder: Path) -> None:
    (folder / "docs" / "sub" / "up").symlink_to(folder / "docs")
    (folder / "docs" / "link.md").symlink_to(folder / "docs" / "b.md")
    assert uris(folder) == ["docs/b.md", "docs/link.md", "docs/sub/a.txt", "docs/sub/deep/c.pdf"]


def test_a_broken_link_is_listed_and_reading_it_says_so(folder: Path) -> None:
    (folder / "docs" / "broken.md").symlink_to(folder / "gone.md")
    source = open_source("docs", base=folder)
    file = next(file for file in source.list() if file.uri == "docs/broken.md")
    with pytest.raises(FileVanished):
        source.read(file, 100)


def test_a_pipe_is_no_document(folder: Path) -> None:
    os.mkfifo(folder / "docs" / "pipe.txt")
    assert "docs/pipe.txt" not in uris(folder)


def test_a_name_in_another_encoding_is_listed_as_text_and_read(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / os.fsdecode("契約.txt".encode("cp932"))).write_bytes(b"content")
    source = open_source("docs", base=tmp_path)
    [file] = source.list()
    file.uri.encode("utf-8")
    assert source.read(file, 100) == b"content"


def test_reading_is_bounded_and_names_what_vanished(folder: Path) -> None:
    source = pickle.loads(pickle.dumps(open_source("docs", base=folder)))
    file = source.list()[0]
    assert source.read(file, 4) == b"b.md"
    with pytest.raises(FileTooLarge, match=r"docs/b\.md"):
        source.read(file, 3)
    (folder / "docs" / "b.md").unlink()
    with pytest.raises(FileVanished, match=r"docs/b\.md"):
        source.read(file, 4)


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    import fsspec

    root = f"/bucket-{tmp_path.name}"
    for name in ("b.md", "sub/a.txt", "sub/~$a.docx", ".git/x.txt"):
        fsspec.filesystem("memory").pipe(f"{root}/{name}", name.encode())
    return f"memory:/{root}"


def test_a_url_is_listed_and_read_like_a_folder(bucket: str, tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(open_source(bucket, base=tmp_path, exclude=["*.pdf"])))
    files = source.list()
    assert [file.uri for file in files] == [f"{bucket}/b.md", f"{bucket}/sub/a.txt"]
    assert source.read(files[1], 100) == b"sub/a.txt"
    with pytest.raises(FileTooLarge):
        source.read(files[1], 3)


def test_a_url_that_is_missing_or_needs_a_package_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist or is empty"):
        open_source("memory://nowhere", base=tmp_path).list()
    with pytest.raises(SourceError, match="Install"):
        open_source("dropbox://x/y", base=tmp_path).list()


def test_storage_options_stay_out_of_messages(tmp_path: Path) -> None:
    source = open_source("memory://x", base=tmp_path, storage_options={"secret": "hunter2"})
    assert "hunter2" not in repr(source)


def write_beir(folder: Path, texts: dict[str, str]) -> None:
    (folder / "beir" / "qrels").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"_id": key, "title": "題", "text": text}, ensure_ascii=False) for key, text in texts.items()]
    (folder / "beir" / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "beir" / "queries.jsonl").write_text('{"_id": "q1", "text": "?"}\n')


@pytest.mark.parametrize("remote", [False, True])
def test_each_line_of_a_beir_corpus_is_a_document(tmp_path: Path, remote: bool) -> None:
    write_beir(tmp_path, {"d2": "二", "d1": "one"})
    path = "beir"
    if remote:
        import fsspec

        path = f"memory://beir-{tmp_path.name}"
        fsspec.filesystem("memory").pipe(f"{path}/corpus.jsonl", (tmp_path / "beir/corpus.jsonl").read_bytes())
    source = pickle.loads(pickle.dumps(open_source(path, base=tmp_path)))
    files = source.list()
    assert [file.uri for file in files] == [f"{path}/corpus.jsonl#d1", f"{path}/corpus.jsonl#d2"]
    assert json.loads(source.read(files[1], 1000))["text"] == "二"


def test_only_a_changed_line_gets_another_stamp(tmp_path: Path) -> None:
    write_beir(tmp_path, {"d1": "one", "d2": "two", "d3": "three"})
    source = open_source("beir", base=tmp_path)
    before = source.list()
    source.read(before[2], 1000)
    write_beir(tmp_path, {"d0": "new", "d1": "one", "d2": "changed", "d3": "three"})
    after = source.list()
    assert {file.uri[-2:] for file in set(after) - set(before)} == {"d0", "d2"}
    assert json.loads(source.read(after[3], 1000))["text"] == "three"
    write_beir(tmp_path, {"d1": "one"})
    with pytest.raises(FileVanished):
        source.read(after[2], 1000)


@pytest.mark.parametrize("line", ["not json", '{"text": "no id"}', '["_id"]'])
def test_a_broken_line_of_a_beir_corpus_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    write_beir(tmp_path, {"d1": "one"})
    with (tmp_path / "beir" / "corpus.jsonl").open("a") as corpus:
        corpus.write(line + "\n")
    with pytest.raises(SourceError, match="line 2"):
        open_source("beir", base=tmp_path).list()

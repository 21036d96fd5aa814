"""Guards against a server that is away and is taken for an empty folder, and against its errors telling a token."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llm_assets.corpora.settings import SourceSettings
from llm_assets.failures import Kind, kind_of
from resources.config_errors import problems
from resources.sources import FileVanished, Source, SourceError, SourceUnreachable, open_source
from resources.sources.foreign import cleaned, holds_credentials
from tests.webhdfs import WebHdfs, webhdfs

TOKEN = "planted/token+5521"
FILES = {"/docs/a.txt": b"a", "/docs/sub/b.txt": b"b", "/docs/sub/deep/c.txt": b"c"}


@pytest.fixture
def server() -> Iterator[WebHdfs]:
    with webhdfs(FILES) as server:
        yield server


def opened(server: WebHdfs, folder: str = "/docs") -> Source:
    return open_source(server.url(folder), base=Path("/"), storage_options={"token": TOKEN})


def says(attempt: Callable[[], Any], kind: type[Exception] = SourceError) -> str:
    """The message of an error, after a look at all that Python and Dagster would show of it."""
    with pytest.raises(kind) as raised:
        attempt()
    shown = "".join(traceback.format_exception(raised.value))
    assert "planted" not in shown
    return str(raised.value)


def test_a_folder_behind_http_is_listed_and_read(server: WebHdfs) -> None:
    source = pickle.loads(pickle.dumps(opened(server)))
    files = source.list()
    assert [file.uri.removeprefix(server.url("/docs/")) for file in files] == ["a.txt", "sub/b.txt", "sub/deep/c.txt"]
    assert source.read(files[1], 10) == b"b"


def test_a_file_that_is_only_read_keeps_its_stamp(server: WebHdfs, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(server).list()
    status = WebHdfs._status

    def read_since(self: WebHdfs, path: str) -> dict[str, Any] | None:
        found = status(self, path)
        return {"FileStatus": found["FileStatus"] | {"accessTime": 2}} if found else None

    monkeypatch.setattr(WebHdfs, "_status", read_since)
    assert opened(server).list() == before


@pytest.mark.parametrize(("status", "kind"), [(503, Kind.SERVICE_DOWN), (403, Kind.BAD_INPUT)])
def test_a_folder_that_fails_in_the_middle_fails_the_listing_and_tells_no_token(
    server: WebHdfs, status: int, kind: Kind
) -> None:
    server.fails["LISTSTATUS /docs/sub"] = status
    with pytest.raises(SourceError) as raised:
        opened(server).list()
    assert kind_of([type(raised.value).__name__], str(raised.value)) is kind
    said = says(lambda: opened(server).list())
    assert "HTTPError" in said
    assert str(status) in said


def test_a_folder_that_vanishes_in_the_middle_fails_the_listing(server: WebHdfs) -> None:
    def remove() -> None:
        for name in [name for name in server.files if name.startswith("/docs/sub/deep/")]:
            del server.files[name]

    server.fails["LISTSTATUS /docs/sub/deep"] = remove
    assert "cannot be listed: FileNotFoundError" in says(lambda: opened(server).list())
    assert [file.uri.rpartition("/")[2] for file in opened(server).list()] == ["a.txt", "b.txt"]


def test_a_server_that_is_away_is_not_an_empty_folder(server: WebHdfs) -> None:
    server.fails["GETFILESTATUS /docs"] = 502
    assert "cannot be reached" in says(lambda: opened(server).list(), SourceUnreachable)
    server.port = 1
    assert "Connection refused" in says(lambda: opened(server).list(), SourceUnreachable)


def test_a_folder_that_is_not_there_is_told_as_that(server: WebHdfs) -> None:
    assert "does not exist" in says(lambda: opened(server, "/none").list())


def test_a_corpus_whose_file_cannot_be_asked_for_is_not_taken_for_a_folder(server: WebHdfs) -> None:
    server.files["/docs/corpus.jsonl"] = b'{"_id": "d1", "text": "one"}\n'
    assert [file.uri.rpartition("#")[2] for file in opened(server).list()] == ["d1"]
    server.fails["GETFILESTATUS /docs/corpus.jsonl"] = 503
    says(lambda: opened(server).list(), SourceUnreachable)


def test_a_corpus_that_cannot_be_read_tells_no_token(server: WebHdfs) -> None:
    server.files["/docs/corpus.jsonl"] = b'{"_id": "d1", "text": "one"}\n'
    source = opened(server)
    [file] = source.list()
    server.fails["OPEN /docs/corpus.jsonl"] = 403
    assert "corpus.jsonl cannot be read" in says(source.list)
    assert "corpus.jsonl cannot be read" in says(lambda: source.read(file, 100))


def test_a_file_that_cannot_be_read_tells_no_token(server: WebHdfs) -> None:
    source = opened(server)
    file = source.list()[0]
    server.fails["OPEN /docs/a.txt"] = 503
    assert "a.txt cannot be read" in says(lambda: source.read(file, 10), SourceUnreachable)
    del server.files["/docs/a.txt"]
    assert "is gone" in says(lambda: source.read(file, 10), FileVanished)


@pytest.mark.parametrize(
    "text",
    [
        "403 for url: http://h/v1/x?delegation=planted&op=LIST",
        "Max retries exceeded with url: /v1/x?delegation=planted&op=LIST (Caused by Timeout())",
        "https://user:planted@host/x",
        "x-amz-security-token: planted",
        "{'secret_key': 'planted', 'region': 'eu'}",
        "Authorization: Basic planted",
        "login of someone with s3cret/planted refused",
        "GET /x%3Fp=s3cret%2Fplanted",
        "a" * 295 + "s3cret/planted",
    ],
)
def test_no_part_of_a_secret_is_left_of_a_foreign_text(text: str) -> None:
    options = {"client_kwargs": {"auth": ["s3cret/planted"]}, "anon": False, "port": 1}
    assert not [part for part in ("plant", "s3cr") if part in cleaned(text, options)]


@pytest.mark.parametrize(
    ("path", "credentials"),
    [
        ("ftp://user:password@host/x", True),
        ("simplecache::ftp://user:password@host/x", True),
        ("https://host/x?sv=1&sig=abc", True),
        ("webhdfs://host/x?delegation=abc", True),
        ("sftp://user@host:22/x", False),
        ("github://organisation:repository@branch/x", False),
        ("s3://bucket/a:b@c", False),
        ("s3://bucket/what?.txt", False),
        ("/data/a:b@c?token=1", False),
    ],
)
def test_credentials_in_a_url_are_seen(path: str, credentials: bool) -> None:
    assert holds_credentials(path) is credentials


def test_credentials_in_the_path_of_a_corpus_are_refused_without_showing_them() -> None:
    with pytest.raises(ValidationError) as raised:
        SourceSettings(path="ftp://user:planted@host/x")
    [said] = problems(raised.value, SourceSettings)
    assert said.startswith("path: a URL without password or token is needed")
    assert "options" in said
    assert "{password: \"{{ env_var('NAME') }}\"}" in said
    assert "planted" not in said

"""Guards against one document that takes the others, the machine or the run with it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path

import psutil
import pytest

from llm_assets.corpora.parsing import (
    Parsed,
    ParseOptions,
    ParserPool,
    Quarantined,
    Result,
    Unchanged,
    WorkerStartError,
    parse,
)
from resources.digests import digest
from resources.sources import Source, SourceFile, open_source
from tests.corpora.parsing.hostile import Hostile, file
from tests.corpora.parsing.samples import SAMPLES

FolderOf = Callable[[dict[str, bytes]], Source]


def run(source: Source, files: list[SourceFile], workers: int = 2, **options) -> dict[str, Result]:
    with ParserPool(source, ParseOptions(**options), workers) as pool:
        return {file.uri.rsplit("/", 1)[-1]: result for file, result in pool.run((file, None) for file in files)}


def eventually(fact: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := fact()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def children() -> set[int]:
    return {
        child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE
    }


def test_workers_give_what_parsing_in_this_process_gives(folder_of: FolderOf) -> None:
    contents = {name: made() for name, made in SAMPLES.items()}
    source = folder_of(contents)
    found = run(source, source.list())
    assert found == {name: parse(f"documents/{name}", data, ParseOptions()) for name, data in contents.items()}


def test_content_whose_digest_is_known_is_not_parsed(folder_of: FolderOf) -> None:
    source = folder_of({"same.txt": b"as before", "other.txt": b"changed"})
    known = digest(b"as before")
    with ParserPool(source, ParseOptions(), 1) as pool:
        found = {file.uri: result for file, result in pool.run((file, known) for file in source.list())}
    assert found["documents/same.txt"] == Unchanged(known)
    assert isinstance(found["documents/other.txt"], Parsed)


@pytest.mark.parametrize("name", ["hang", "hang-with-child"])
def test_a_file_that_hangs_is_quarantined_and_the_rest_goes_on(name: str) -> None:
    before = children()
    found = run(Hostile(), [file(name), *[file(f"{n}.txt") for n in range(20)]], timeout_seconds=0.5)
    late = found.pop(name)
    assert isinstance(late, Quarantined)
    assert late.code == "timeout"
    assert len(found) == 20
    assert all(isinstance(result, Parsed) for result in found.values())
    assert children() == before


def test_a_document_that_takes_the_parser_too_long_times_out(folder_of: FolderOf) -> None:
    page = b"<html><body>" + b"<div><p>word <b>word</b></p><table><tr><td>cell</td></tr></table></div>" * 60_000
    source = folder_of({"slow.html": page, "quick.txt": b"quick"})
    found = run(source, source.list(), timeout_seconds=1.0)
    slow = found["slow.html"]
    assert isinstance(slow, Quarantined)
    assert slow.code == "timeout"
    assert "parsing" in slow.reason
    assert isinstance(found["quick.txt"], Parsed)


def test_a_document_that_needs_too_much_memory_is_quarantined(folder_of: FolderOf) -> None:
    page = b"<html><body>" + b"<p>word word word</p>" * 500_000
    source = folder_of({"large.html": page, **{f"{n}.html": SAMPLES["a.html"]() for n in range(3)}})
    found = run(source, source.list(), workers=1, memory_gb=0.3)
    large = found.pop("large.html")
    assert isinstance(large, Quarantined)
    assert large.code == "memory"
    assert "memory_gb" in large.reason
    assert all(isinstance(result, Parsed) for result in found.values())


def test_a_file_larger_than_memory_allows_is_quarantined() -> None:
    found = run(Hostile(), [file("greedy"), file("1.txt")], workers=1, memory_gb=0.5)
    assert [getattr(found[name], "code", "parsed") for name in ("greedy", "1.txt")] == ["memory", "parsed"]


@pytest.mark.parametrize(("name", "code"), [("crash", "corrupt"), ("killed", "memory")])
def test_a_worker_that_dies_costs_one_document(name: str, code: str) -> None:
    found = run(Hostile(), [file("0.txt"), file(name), file("1.txt"), file("2.txt")], workers=1)
    dead = found.pop(name)
    assert isinstance(dead, Quarantined)
    assert dead.code == code
    assert all(isinstance(result, Parsed) for result in found.values())


def test_a_file_that_vanishes_after_the_listing_is_quarantined(folder_of: FolderOf, tmp_path: Path) -> None:
    source = folder_of({"a.txt": b"a", "b.txt": b"b"})
    files = source.list()
    (tmp_path / "documents" / "a.txt").unlink()
    found = run(source, files)
    assert isinstance(found["a.txt"], Quarantined)
    assert found["a.txt"].code == "vanished"
    assert isinstance(found["b.txt"], Parsed)


def test_a_file_without_permission_is_unreadable() -> None:
    found = run(Hostile(), [file("denied"), file("1.txt")])
    assert isinstance(found["denied"], Quarantined)
    assert found["denied"].code == "unreadable"
    assert "Permission denied" in found["denied"].reason
    assert isinstance(found["1.txt"], Parsed)


def test_an_oversized_file_is_not_read(folder_of: FolderOf) -> None:
    source = folder_of({"a.txt": b"a" * 2000})
    listed = source.list()
    grown = [SourceFile(listed[0].uri, 5, listed[0].stamp)]  # it grew after the listing
    for files in (listed, grown):
        found = run(source, files, max_bytes=1000)["a.txt"]
        assert isinstance(found, Quarantined)
        assert found.code == "oversized"


def test_a_hanging_file_times_out_while_others_keep_coming() -> None:
    others = (f"{number}.txt" for number in count())
    deadline = time.monotonic() + 30
    with ParserPool(Hostile(), ParseOptions(timeout_seconds=0.5), 2) as pool:
        for each, result in pool.run((file(name), None) for name in chain(["hang"], others)):
            assert time.monotonic() < deadline
            if each.uri == "h/hang":
                assert isinstance(result, Quarantined)
                break


def test_a_slow_caller_makes_no_document_late() -> None:
    with ParserPool(Hostile(), ParseOptions(timeout_seconds=0.3), 2) as pool:
        for _, result in pool.run((each, None) for each in Hostile(4).list()):
            assert isinstance(result, Parsed)
            time.sleep(0.5)  # the caller's own work


def test_files_are_taken_only_as_workers_get_free() -> None:
    taken = 0

    def files() -> Iterator[tuple[SourceFile, None]]:
        nonlocal taken
        for each in Hostile(200).list():
            taken += 1
            yield each, None

    with ParserPool(Hostile(200), ParseOptions(), 2) as pool:
        for done, _ in enumerate(pool.run(files()), 1):
            assert taken <= done + 3


def test_a_run_that_is_left_early_ends_its_workers() -> None:
    before = children()
    with ParserPool(Hostile(50), ParseOptions(), 2) as pool:
        next(iter(pool.run((each, None) for each in Hostile(50).list())))
        assert children() > before
    assert children() == before


def test_a_run_after_one_that_was_left_early_gives_only_its_own_files() -> None:
    with ParserPool(Hostile(), ParseOptions(), 2) as pool:
        left = pool.run((file(name), None) for name in ("1.txt", "hang", "2.txt"))
        next(left)
        left.close()
        assert [each.uri for each, _ in pool.run([(file("3.txt"), None)])] == ["h/3.txt"]


def test_a_pool_runs_again_with_the_same_workers() -> None:
    with ParserPool(Hostile(4), ParseOptions(), 1) as pool:
        list(pool.run((each, None) for each in Hostile(4).list()))
        before = children()
        assert len(list(pool.run((each, None) for each in Hostile(4).list()))) == 4
        assert children() == before


def test_workers_die_with_a_parent_that_is_killed() -> None:
    script = (
        "from llm_assets.corpora.parsing import *; from tests.corpora.parsing.hostile import *\n"
        "with ParserPool(Hostile(), ParseOptions(), 2) as pool:\n"
        "    for done in pool.run((file(n), None) for n in ('1.txt', 'hang', 'hang')): print(done, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout
    assert parent.stdout.readline()
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert workers
    assert eventually(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))


def test_files_that_only_this_process_can_see_are_parsed(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/parsing/a.txt", b"kept in memory")
    source = open_source("memory://parsing", base=tmp_path)
    found = run(source, source.list())["a.txt"]
    assert isinstance(found, Parsed)
    assert found.elements[0].text == "kept in memory"


def test_a_worker_that_cannot_start_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # the installation is gone
    monkeypatch.chdir("/")
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(WorkerStartError, match="does not start"):
        run(Hostile(), [file("1.txt")])

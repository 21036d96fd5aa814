"""Guards against a server built twice, half a program in the cache, and a machine without one that says nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resources.weaviate_server import VERSION, Address, NoServer, find_program, provide_program
from resources.weaviate_server.provision import client_file_name
from tests.conftest import CHECKOUT

COMMAND = [sys.executable, "-m", "resources.weaviate_server"]


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a server, without Go, and without a way to the outside."""
    for name in ("bin", "home", "cache"):
        (tmp_path / name).mkdir()
    for name in ("sh", "sleep", "cp"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    # A proxy that refuses at once: no download is waited for.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    folders = {
        "HOME": tmp_path / "home",
        "XDG_CACHE_HOME": tmp_path / "cache",
        "PATH": tmp_path / "bin",
    }
    for name, value in {**nowhere, **folders}.items():
        monkeypatch.setenv(name, str(value))
    for name in ("WEAVIATE_URL", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def program(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def go(bare: Path, script: str) -> Path:
    """A stand-in for Go, which takes minutes: it counts how often it is called."""
    return program(bare / "bin" / "go", f"#!/bin/sh\necho called >> {bare}/calls\n{script}\n")


def cached(bare: Path) -> Path:
    return bare / "cache" / "llm-assets" / "weaviate" / VERSION / "weaviate-server"


def test_the_program_on_the_path_comes_first_then_ours_then_the_client_s(bare: Path) -> None:
    assert find_program() is None
    theirs = program(bare / "home" / ".cache" / "weaviate-embedded" / client_file_name())
    assert find_program() == theirs
    ours = program(cached(bare))
    assert find_program() == provide_program() == ours
    on_path = program(bare / "bin" / "weaviate-server")
    assert find_program() == on_path


def test_the_file_is_named_as_the_client_names_it(bare: Path) -> None:
    from weaviate.embedded import EmbeddedOptions, EmbeddedV4

    theirs = program(bare / "cache" / client_file_name())
    embedded = EmbeddedV4(
        EmbeddedOptions(binary_path=str(bare / "cache"), persistence_data_path=str(bare), version=VERSION)
    )
    embedded.ensure_weaviate_binary_exists()  # would download it under another name
    assert find_program() == theirs


def test_what_cannot_be_executed_is_passed_over(bare: Path) -> None:
    program(cached(bare)).chmod(0o644)
    assert find_program() is None


def test_without_any_way_to_get_one_the_reason_is_one_line(bare: Path) -> None:
    with pytest.raises(NoServer) as failure:
        provide_program(lambda _: None)
    message = str(failure.value)
    assert "\n" not in message
    for part in ("no weaviate-server on PATH", "download failed", "Go", "WEAVIATE_URL"):
        assert part in message
    assert list(cached(bare).parent.glob("new-*")) == []


def test_a_build_that_fails_leaves_nothing_and_says_why(bare: Path) -> None:
    go(bare, 'echo half > "$GOBIN/weaviate-server"; echo "module is not there" >&2; exit 1')
    with pytest.raises(NoServer, match="`go install` failed: module is not there"):
        provide_program(lambda _: None)
    assert find_program() is None


def test_two_that_want_one_at_once_build_it_once(bare: Path) -> None:
    go(bare, 'sleep 1; cp /bin/sh "$GOBIN/weaviate-server"')
    (cached(bare).parent / "new-killed").mkdir(parents=True)
    two = [subprocess.Popen(COMMAND, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in two]
    assert [process.returncode for process in two] == [0, 0]
    assert all(f"Weaviate's server: {cached(bare)}" in text for text in said)
    assert (bare / "calls").read_text() == "called\n"
    assert [file.name for file in cached(bare).parent.iterdir() if not file.name.endswith(".lock")] == [
        "weaviate-server"
    ]


def test_a_given_server_that_does_not_answer_is_reported_and_none_is_built_instead(bare: Path) -> None:
    go(bare, 'cp /bin/sh "$GOBIN/weaviate-server"')
    done = subprocess.run(
        COMMAND,
        cwd=CHECKOUT,
        env={**os.environ, "WEAVIATE_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no Weaviate server: WEAVIATE_URL is http://127.0.0.1:9, which does not answer\n"
    assert not (bare / "calls").exists()


def test_an_address_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Address.from_environment() is None
    monkeypatch.setenv("WEAVIATE_URL", "https://somewhere.example/")
    assert Address.from_environment() == Address("https://somewhere.example", 443)
    monkeypatch.setenv("WEAVIATE_API_KEY", "hidden")
    assert "hidden" not in repr(Address.from_environment())

"""Guards against a server that outlives its tests, takes another's ports, or lets in whoever finds its open port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import weaviate.exceptions
from weaviate.classes.config import Configure, DataType, Property

from resources.weaviate_server import Address, ServerFailed, ServerOptions, WeaviateServer
from resources.weaviate_server import server as server_module
from tests.conftest import CHECKOUT

USER_KEY = "key-of-a-reader"
SECONDS = 30


@pytest.fixture(scope="module")
def own(weaviate_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """A server that the tests of this module may stop and set up differently."""
    options = ServerOptions(keys={"reader": USER_KEY}, rbac=True)
    with WeaviateServer(weaviate_program, tmp_path_factory.mktemp("own"), options) as server:
        yield server


def until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not fact():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make(server: Address, collection: str, texts: list[str]) -> None:
    with server.client() as client:
        made = client.collections.create(
            collection,
            properties=[Property(name="text", data_type=DataType.TEXT)],
            vector_config=Configure.Vectors.self_provided(),
        )
        failed = made.data.insert_many([{"text": text} for text in texts]).errors
        assert not failed


def count(server: Address, collection: str) -> int:
    with server.client() as client:
        return client.collections.use(collection).aggregate.over_all(total_count=True).total_count or 0


def test_what_was_written_survives_kill_9_and_is_served_on_the_same_ports(own: WeaviateServer) -> None:
    make(own.address, "Survivor", ["one", "two"])
    before = own.address
    own.kill()
    assert not own.address.ready
    own.start()
    assert own.address == before
    assert count(own.address, "Survivor") == 2


def test_nobody_gets_in_without_the_key(own: WeaviateServer) -> None:
    for key in (None, "guessed"):
        with pytest.raises(weaviate.exceptions.WeaviateBaseError):
            count(replace(own.address, key=key), "Survivor")


def test_a_user_has_only_the_rights_of_its_roles(own: WeaviateServer) -> None:
    make(own.address, "Private", ["one"])
    with pytest.raises(weaviate.exceptions.WeaviateBaseError, match=r"(?i)forbidden|permission|denied"):
        count(own.address.with_key(USER_KEY), "Private")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a file system that can be filled up without filling the machine's disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="weaviate-") as folder:
        yield Path(folder)


def test_shards_become_read_only_when_the_disk_fills_up(weaviate_program: Path, small_disk: Path) -> None:
    disk = shutil.disk_usage(small_disk)
    threshold = 100 * disk.used // disk.total + 3
    options = ServerOptions(readonly_at_percent=threshold)
    with WeaviateServer(weaviate_program, small_disk, options) as server, server.address.client() as client:
        make(server.address, "Full", ["one"])
        with (small_disk / "filling").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, (threshold + 1) * disk.total // 100 - disk.used)
        full = client.collections.use("Full")
        until(lambda: any(shard.status == "READONLY" for shard in full.config.get_shards()), "a read-only shard")
        with pytest.raises(weaviate.exceptions.WeaviateBaseError, match="read-only"):
            full.data.insert({"text": "two"})


def test_two_servers_do_not_meet(own: WeaviateServer, weaviate_program: Path, tmp_path: Path) -> None:
    with WeaviateServer(weaviate_program, tmp_path) as other:
        assert {other.address.url, other.address.grpc_port}.isdisjoint({own.address.url, own.address.grpc_port})
        with other.address.client() as client:
            assert len(client.cluster.nodes()) == 1


def test_it_ends_when_the_process_that_started_it_is_killed(weaviate_program: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "resources.weaviate_server", "--serve", str(tmp_path / "served")]
    environment = {**os.environ, "PATH": f"{weaviate_program.parent}{os.pathsep}{os.environ['PATH']}"}
    starter = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert starter.stdout is not None
        line = next(line for line in starter.stdout if line.startswith("export"))
        ports = [int(line.split("127.0.0.1:")[1].split()[0]), int(line.rsplit("=", 1)[1])]
        assert all(listens(port) for port in ports)
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.communicate()
    until(lambda: not any(listens(port) for port in ports), "the ports are free")


def test_a_server_that_cannot_start_says_why(weaviate_program: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where its folder should be")
    with (
        pytest.raises(ServerFailed, match="cannot create data directory"),
        WeaviateServer(weaviate_program, tmp_path),
    ):
        pass


def test_a_server_that_never_gets_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READY_SECONDS", 0.5)
    program = tmp_path / "sleeper"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\necho waiting for nothing\nexec sleep 600\n")
    program.chmod(0o755)
    with (
        pytest.raises(ServerFailed, match=r"not ready after(.|\n)*waiting for nothing"),
        WeaviateServer(program, tmp_path),
    ):
        pass
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()

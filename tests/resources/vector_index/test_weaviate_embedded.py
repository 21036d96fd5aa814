"""A server of our own: two processes that start two on the same data, or one that outlives its users for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.weaviate_server import Address

ROOT = Path(__file__).parents[3]
USER = """
import sys
from pathlib import Path
from resources.vector_index.weaviate_embedded import embedded_server
print(embedded_server(Path(sys.argv[1]), 1.0).url, flush=True)
sys.stdin.readline()
"""


def _user(folder: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WEAVIATE_URL"}
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def _until_gone(address: Address) -> None:
    deadline = time.monotonic() + 60
    while address.ready:
        assert time.monotonic() < deadline, "the server outlives its users"
        time.sleep(0.1)


@pytest.mark.usefixtures("weaviate_program")
def test_processes_share_one_server_that_ends_after_the_last_of_them_even_if_killed(tmp_path):
    folder = tmp_path / "weaviate"
    users = [_user(folder), _user(folder)]
    urls = {user.stdout.readline().strip() for user in users if user.stdout}
    assert len(urls) == 1
    file = folder / "address.json"
    assert file.stat().st_mode & 0o077 == 0, "the key is for the owner alone"
    address = Address(**json.loads(file.read_text()))
    users[0].kill()
    users[0].wait()
    assert address.ready
    users[1].kill()
    users[1].wait()
    for user in users:
        for pipe in (user.stdin, user.stdout):
            assert pipe
            pipe.close()
    _until_gone(address)


READER = """
import os, signal, sys
from pathlib import Path
from resources.vector_index import IndexSpec, weaviate_embedded
from resources.vector_index.weaviate import WeaviateIndex, connection_of
from resources.vector_index.weaviate_settings import ServerSettings
from tests.resources.vector_index.corpus import DIMENSION, batches, chunks, topic_vector

weaviate_embedded.embedded_server.__defaults__ = (1.0,)
folder = Path(sys.argv[1])
index = WeaviateIndex(connection_of(ServerSettings(), folder, "a"), tenant="a")
index.create("book", IndexSpec(DIMENSION))
snapshot = index.apply("book", None, batches(chunks(range(20))), [])
before = index.server.connection
[server] = [
    int(process.name) for process in Path("/proc").glob("[0-9]*")
    if os.path.exists(process / "cwd") and (process / "cwd").resolve() == folder.resolve()
    and "python" not in os.readlink(process / "exe")
]
os.kill(server, signal.SIGKILL)
hits = index.search(snapshot, text="clause", vector=topic_vector("lease"), k=20)
assert index.server.connection.api_key != before.api_key
print(len(hits), index.count(snapshot), flush=True)
"""


@pytest.mark.long  # the client itself tries a search again for a minute
@pytest.mark.usefixtures("weaviate_program")
def test_a_reader_goes_on_when_its_server_crashes(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "WEAVIATE_URL"}
    command = [sys.executable, "-c", READER, str(tmp_path / "weaviate")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert (done.returncode, done.stdout) == (0, "20 20\n"), done.stderr
    _until_gone(Address(**json.loads((tmp_path / "weaviate" / "address.json").read_text())))

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

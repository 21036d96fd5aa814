"""State databases to test on: SQLite, and a real PostgreSQL server that ends with the tests."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.weaviate_fixtures import weaviate_program, weaviate_server  # noqa: F401  (fixtures)

PASSWORD = "not-to-be-shown"
NO_SERVER = "PostgreSQL's server is not installed (Debian: apt-get install postgresql): not tested on it"


def server_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Server:
    """A PostgreSQL server on a free port of the loopback interface."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder, self._databases = programs, folder, 0
        # The server refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self, max_connections: int = 100) -> None:
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, password_file):
                os.chown(path, pwd.getpwnam(self.user).pw_uid, -1)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "tester", "-A", "scram-sha-256", "--pwfile", str(password_file), "-N")
        self.resume(max_connections)

    def resume(self, max_connections: int = 100) -> None:
        """Start a server that was stopped, with its data."""
        data, log = str(self._folder / "data"), str(self._folder / "log")
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} -F -N {max_connections}"
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg2://tester:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a database that nobody else uses."""
        self._databases += 1
        name = f"test_{self._databases}"
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
            cwd="/",
            user=self.user if os.geteuid() == 0 else None,
        )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of the tests' own; skipped where none is installed, but not in CI."""
    programs = server_programs()
    if programs is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(NO_SERVER)
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket may have 107 bytes
    server = Server(programs, folder)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty state database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()

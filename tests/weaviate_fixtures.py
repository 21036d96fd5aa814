"""A real Weaviate server for the tests. Imported by the `conftest.py` of each package that needs one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.weaviate_server import Address, NoServer, WeaviateServer, provide_program


@pytest.fixture(scope="session")
def weaviate_program() -> Path:
    """The server's program, for a test that stops, kills or sets up a `WeaviateServer` of its own."""
    try:
        return provide_program()
    except NoServer as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))


@pytest.fixture(scope="session")
def weaviate_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A server that tests share: each makes collections of its own. WEAVIATE_URL, or one that ends with the tests."""
    if given := Address.from_environment():
        yield given
        return
    program = request.getfixturevalue("weaviate_program")
    with WeaviateServer(program, tmp_path_factory.mktemp("weaviate")) as server:
        yield server.address


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all that is skipped without a server, instead of one for each test."""
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and "no Weaviate server" in report.longrepr[2]:
            report.longrepr = (__file__, None, report.longrepr[2])

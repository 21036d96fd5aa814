"""Builds of a corpus on a real Weaviate server: what others have there is touched, or what fails is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from benchmarks.chain import run_chain, write_documents
from llm_assets.corpora import serving
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.maintenance.indexes import compact
from resources.platform import Platform
from resources.profile import Profile
from resources.vector_index import VectorIndexError
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address
from tests.weaviate_fixtures import weaviate_program, weaviate_server  # noqa: F401  (fixtures)

DOCUMENTS = 4


@pytest.fixture
def spec(tmp_path: Path, make_corpus: Callable[..., CorpusSpec]) -> CorpusSpec:
    """A corpus of a tenant of its own, so that no test sees another's collections."""
    write_documents(tmp_path, DOCUMENTS)
    return make_corpus(tmp_path, tenant=f"b{uuid4().hex[:12]}")


@pytest.fixture
def target(
    tmp_path: Path,
    weaviate_server: Address,  # noqa: F811  (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Platform]:
    """`target(folder, **settings)`: a target with a state folder of its own, on the tests' server."""
    monkeypatch.setenv("WEAVIATE_URL", weaviate_server.url)
    monkeypatch.setenv("WEAVIATE_GRPC_PORT", str(weaviate_server.grpc_port))
    monkeypatch.setenv("WEAVIATE_API_KEY", weaviate_server.key or "")

    def make(folder: str, **settings: object) -> Platform:
        chosen = ServerSettings.model_validate(settings)
        return Platform(Profile(state_dir=tmp_path / folder, index="weaviate", weaviate=chosen, workers=1))

    return make


def test_two_targets_on_one_server_leave_each_other_alone(spec, target):
    prod, dev = target("prod"), target("dev")
    run_chain(prod, spec)
    served = serving.served(prod.state, spec.tenant, spec.name)
    assert served
    with pytest.raises(VectorIndexError, match=r"another target's.*name of its own in profiles\.yml"):
        run_chain(dev, spec)
    named = target("dev", name="Dev")
    run_chain(named, spec)
    compact(named)
    assert prod.index(spec.tenant).count(served.snapshot) == served.rows
    assert prod.index(spec.tenant).published(spec.name) == served.snapshot

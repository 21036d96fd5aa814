"""Builds of a corpus on a real Weaviate server: what others have there is touched, or what fails is served."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.chain import write_documents
from llm_assets import searching
from llm_assets.corpora import chunks, documents, embeddings, serving, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.restoring import restore
from llm_assets.corpora.serving import Served
from llm_assets.corpora.settings import CorpusSettings, CorpusSpec
from llm_assets.corpora.vector_index import BuildReport
from llm_assets.forgetting import forget
from llm_assets.maintenance.indexes import compact
from resources.platform import Platform
from resources.profile import Profile
from resources.vector_index import Snapshot, UnknownCollection, VectorIndexError
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_schema import ClassNames
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address
from tests.weaviate_fixtures import weaviate_program, weaviate_server  # noqa: F401  (fixtures)

TENANT, CORPUS = "acme", "handbook"


@dataclass
class Target:
    """A target of the project on the tests' server, its corpus ready to be indexed.

    Attributes:
        folder: of the corpus and the target's state.
        server: how the target uses the server.
    """

    folder: Path
    server: dict[str, Any] = field(default_factory=dict)
    index_settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = ServerSettings.model_validate(self.server)
        profile = Profile(state_dir=self.folder / "state", index="weaviate", weaviate=settings, workers=1)
        self.platform = Platform(profile)

    @property
    def spec(self) -> CorpusSpec:
        values = {"name": CORPUS, "source": {"path": "documents"}, "index": self.index_settings}
        return CorpusSpec(TENANT, self.folder, CorpusSettings.model_validate(values))

    @property
    def index(self) -> WeaviateIndex:
        return self.platform.weaviate(TENANT)

    @property
    def served(self) -> Served | None:
        return serving.served(self.platform.state, TENANT, CORPUS)

    @property
    def snapshot(self) -> Snapshot:
        assert self.served
        return self.served.snapshot

    def prepare(self) -> None:
        """All stages before the index."""
        documents.ingest(self.platform, self.spec, open_source(self.spec), parse_options(self.spec), workers=1)
        chunks.cut(self.platform, self.spec, open_chunker(self.platform, self.spec))
        with open_store(self.platform, self.spec) as store:
            embeddings.embed_corpus(self.platform, self.spec, store)

    def build(self, *problems: str, measured: list[str] | None = None, **index_settings: Any) -> BuildReport:
        """The index, whose retrieval gate finds these problems."""
        self.index_settings |= index_settings

        def evaluate(_: Snapshot, content: str) -> dict[str, float]:
            (measured if measured is not None else []).append(content)
            return {"ndcg@10": 0.5}

        chunker = open_chunker(self.platform, self.spec).fingerprint
        with open_store(self.platform, self.spec) as store:
            return vector_index.build(
                self.platform, self.spec, store, chunker=chunker, evaluate=evaluate, gate=lambda _: list(problems)
            )

    def change_a_document(self) -> None:
        (self.folder / "documents" / "00000.md").write_text("# Changed\n\nThe zephyr clause allows kites.\n")
        self.prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus whose chunks are embedded, made once."""
    folder = tmp_path_factory.mktemp("prepared")
    write_documents(folder, 4)
    Target(folder).prepare()
    return folder


@pytest.fixture
def target(
    prepared: Path,
    tmp_path: Path,
    weaviate_server: Address,  # noqa: F811  (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Target]:
    """`target(folder, **settings)`: one with a state folder and, if not said otherwise, a name of its own."""
    monkeypatch.setenv("WEAVIATE_URL", weaviate_server.url)
    monkeypatch.setenv("WEAVIATE_GRPC_PORT", str(weaviate_server.grpc_port))
    monkeypatch.setenv("WEAVIATE_API_KEY", weaviate_server.key or "")

    def make(folder: str = "only", **settings: Any) -> Target:
        shutil.copytree(prepared, tmp_path / folder)
        return Target(tmp_path / folder, {"name": f"T{uuid4().hex[:12]}"} | settings)

    return make


def test_two_targets_on_one_server_leave_each_other_alone(target):
    prod = target("prod")
    prod.build()
    served = prod.served
    name = prod.server["name"]
    with pytest.raises(VectorIndexError, match=r"another target's.*name of its own in profiles\.yml"):
        target("dev", name=name).build()
    other = target("other")
    other.build()
    compact(other.platform)
    assert prod.index.count(served.snapshot) == served.rows
    assert prod.index.published(CORPUS) == served.snapshot


@pytest.mark.parametrize("swap", [False, True])
def test_what_the_retrieval_gate_refuses_is_not_served_and_the_alias_stays(target, swap):
    one = target()
    before = one.build().served
    if swap:
        one.index_settings = {"weaviate": {"ef_construction": 64}}
    else:
        one.change_a_document()
    report = one.build("ndcg@10 is 0.5")
    assert report.problems == ["ndcg@10 is 0.5"]
    assert one.served == before
    assert one.index.published(CORPUS) == before.snapshot
    after = one.build()
    assert after.problems == []
    assert after.served.snapshot == report.snapshot
    assert one.index.published(CORPUS) == report.snapshot


def test_rows_that_are_not_those_of_the_chunks_table_are_not_served(target, monkeypatch, weaviate_server):  # noqa: F811
    one = target()
    before = one.build().served
    one.change_a_document()
    with monkeypatch.context() as patched, weaviate_server.client() as client:
        apply = one.index.apply

        def damaged(collection: str, *change: Any) -> Snapshot:
            snapshot = apply(collection, *change)
            rows = client.collections.use(one.index.catalogue.open(collection).class_name)
            key = next(each.uuid for each in rows.iterator() if each.properties["valid_from"] == snapshot.version)
            rows.data.update(key, properties={"row_digest": "another"})
            return snapshot

        patched.setattr(one.index, "apply", damaged)
        assert one.build().problems == ["1 chunks differ from those of the chunks table"]
    assert one.served == before
    assert one.build().problems == []


def test_other_search_settings_are_verified_and_kept_without_any_changed_document(target, weaviate_server):  # noqa: F811
    one, measured = target(), []
    first = one.build(measured=measured).served

    def ef() -> int:
        with weaviate_server.client() as client:
            name = ClassNames(TENANT, one.server["name"]).alias(CORPUS)
            rows = client.collections.use(client.alias.get(alias_name=name).collection)
            return rows.config.get().vector_config["default"].vector_index_config.ef

    assert ef() == -1
    assert one.build("too bad", measured=measured, weaviate={"ef": 77}).problems == ["too bad"]
    assert ef() == -1
    assert one.served == first
    report = one.build(measured=measured)
    assert (report.upserted, report.deleted, report.problems) == (0, 0, [])
    assert ef() == 77
    assert report.served.snapshot == first.snapshot
    one.build(measured=measured)
    assert len(measured) == 3
    assert measured[0] != measured[1] == measured[2]


def test_a_run_that_was_killed_between_pointer_and_alias_is_made_good_and_said(target, monkeypatch):
    one = target()
    first = one.build().served.snapshot
    one.change_a_document()
    with monkeypatch.context() as patched:
        patched.setattr(one.index, "publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.build()
    assert one.snapshot != first
    assert one.index.published(CORPUS) == first
    report = one.build()
    assert f"led to {first.collection}, state {first.version} until this run" in report.astray
    assert report.name_problem is None
    assert one.index.published(CORPUS) == one.snapshot
    assert one.build().astray is None


def test_what_was_forgotten_is_not_in_what_a_backup_brings_back(target, weaviate_server):  # noqa: F811
    one = target(backup={"before_deletion": True})
    old = one.build(keep=1).served
    one.change_a_document()
    old = one.build().served
    one.build(weaviate={"ef_construction": 64})
    [(backup_id, _)] = one.index.backups(CORPUS)
    [uri] = [row["uri"] for row in documents.known_documents(one.platform.state, TENANT, CORPUS).values()][:1]
    [forgotten] = forget(one.platform, uri)
    assert forgotten.backups == [backup_id]

    restore(one.platform, TENANT, CORPUS, one.spec, backup_id, lambda _: None)
    assert one.snapshot.collection == old.snapshot.collection
    assert one.index.published(CORPUS) == one.snapshot
    with weaviate_server.client() as client:
        rows = client.collections.use(one.index.catalogue.open(one.snapshot.collection).class_name)
        uris = {row.properties["uri"] for row in rows.iterator() if row.properties["uri"]}
    assert uris
    assert uri not in uris
    assert uris == {row["uri"] for row in documents.known_documents(one.platform.state, TENANT, CORPUS).values()}


def test_a_search_during_a_swap_finds_what_is_served_now(target, monkeypatch):
    one = target()
    old = one.build(keep=1).served
    new = one.build(weaviate={"ef_construction": 64}).served
    assert old.snapshot.collection not in one.index.collections()
    seen = [old, new]
    monkeypatch.setattr(searching, "_platform", lambda _: one.platform)
    monkeypatch.setattr(searching.serving, "served", lambda *_: seen.pop(0))
    assert searching.search(f"{TENANT}/{CORPUS}", "delivery", k=3)
    seen += [old, old]
    with pytest.raises(UnknownCollection):
        searching.search(f"{TENANT}/{CORPUS}", "delivery", k=3)

"""Ask a served index: the seam between this project and whatever builds prompts from passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.corpora import serving
from llm_assets.names import choose
from resources.platform import Platform
from resources.vector_index import Hit, Mode, SnapshotGone, UnknownCollection

if TYPE_CHECKING:
    from resources.embedder import Embedder

MOVES = 5  # how often the served pointer may move under one search before it is given up


class SearchError(RuntimeError):
    """The question cannot be answered: no such corpus, or nothing served yet."""


@dataclass(frozen=True)
class Passage:
    """A passage that answers a question, with its source.

    Attributes:
        uri: the document.
        text: the passage.
        score: orders the passages of one search; not comparable between searches.
        page: page in the document, where it has pages.
        headings: the headings it stands below, outermost first.
        title: the document's title.
        language: ISO 639-1 code.
        media_type: of the document.
        chunk_id, doc_id: keys in the project's tables.
    """

    uri: str
    text: str
    score: float
    page: int | None
    headings: tuple[str, ...]
    title: str | None
    language: str
    media_type: str
    chunk_id: str
    doc_id: str


def search(
    corpus: str,
    question: str,
    k: int = 10,
    *,
    mode: Mode = "hybrid",
    where: Mapping[str, str | Sequence[str]] | None = None,
    target: str | None = None,
) -> list[Passage]:
    """The `k` passages of a corpus that answer a question best, from what is served now.

    Args:
        corpus: `tenant/name`, or the name alone where only one tenant has it.
        question: in any language that the corpus is written in.
        k: passages at most.
        mode: `hybrid` (vectors and full text), `vector` or `text`.
        where: filters: `language`, `media_type`, `uri`, `uri_prefix`, `doc_id`, each a value or several.
        target: of profiles.yml; by default the chosen one.

    Raises:
        SearchError: there is no such corpus, or nothing of it is served yet.
        VectorIndexError: an unknown filter or mode, or the index has lost what is served.
    """
    if k < 1:
        raise SearchError(f"k is {k}: ask for at least one passage")
    platform = _platform(target)
    tenant, name = resolve(platform, corpus)
    before = None
    for _ in range(MOVES):
        state = serving.served(platform.state, tenant, name)
        if state is None:
            raise SearchError(f"nothing of corpus {tenant}/{name} is served yet: materialise its vector_index")
        try:
            return [_passage(hit) for hit in _hits(platform, tenant, state, question, k, mode, where)]
        except (SnapshotGone, UnknownCollection):
            if state == before:
                raise
            before = state  # perhaps a newer state was served, and this one removed, in between
    raise SearchError(f"the served state of {tenant}/{name} moved {MOVES} times during one search; try again")


def resolve(platform: Platform, corpus: str) -> tuple[str, str]:
    """Tenant and name of a corpus that has been ingested.

    Raises:
        SearchError: none or several tenants have it.
    """
    try:
        return choose(corpus, serving.known_corpora(platform.state), "corpus", "ingested")
    except LookupError as error:
        raise SearchError(str(error)) from None


def _hits(
    platform: Platform,
    tenant: str,
    state: serving.Served,
    question: str,
    k: int,
    mode: Mode,
    where: Mapping[str, str | Sequence[str]] | None,
) -> list[Hit]:
    from resources.vector_index import dense_trust

    embedder = _embedder(platform.cache, **_model(state.settings))
    languages = state.settings["languages"]
    known = None if languages is None else frozenset(languages)
    return platform.index(tenant).search(
        state.snapshot,
        text=question,
        vector=None if mode == "text" else embedder.embed_query(question),
        mode=mode,
        k=k,
        where=where,
        dense_trust=dense_trust(question, known, embedder.coverage(question)),
    )


def _model(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: settings[name] for name in ("model", "folder", "runtime")}


@cache
def _platform(target: str | None) -> Platform:
    return Platform.open(target)


@cache
def _embedder(cache_dir: Path, *, model: str, folder: str, runtime: Any) -> Embedder:
    from resources.embedder import open_embedder

    return open_embedder(model, base=Path(folder), cache_dir=cache_dir, runtime=runtime)


def _passage(hit: Hit) -> Passage:
    return Passage(**{name: getattr(hit, name) for name in Passage.__dataclass_fields__})

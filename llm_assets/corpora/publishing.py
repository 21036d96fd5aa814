"""The name under which others than this project find a corpus on the index's server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.vector_index.errors import VectorIndexError

if TYPE_CHECKING:
    from llm_assets.corpora.serving import Served
    from llm_assets.corpora.settings import CorpusSpec
    from resources.vector_index.protocol import Snapshot, VectorIndex


def name_leads_to(index: VectorIndex, spec: CorpusSpec) -> Snapshot | None:
    """What the corpus's name leads to; looked at before anything is written, not after it is served.

    Raises:
        VectorIndexError: it leads to what is not this tenant's.
    """
    found = index.published(spec.name)
    if found is not None and found.collection not in index.collections():
        raise VectorIndexError(
            f"corpus {spec.id}: its name on the server leads to {found.collection}, which is not this tenant's, is "
            "another target's, or was made with another multi_tenancy: remove that alias, rename the corpus, or give "
            "this target a name of its own in profiles.yml (weaviate: {name: …}). What is served is as it was"
        )
    return found


def astray(found: Snapshot | None, served: Served | None) -> str | None:
    """That the name did not lead to what was served until now, because somebody moved it or a run was killed."""
    if served is None or found == served.snapshot:
        return None
    return f"led to {_shown(found)} until this run, served was {_shown(served.snapshot)}; it has been set right"


def name_problem(published: Snapshot | None, served: Served | None) -> str | None:
    """Why others do not find what is served; None if they do, or where there is no server."""
    if served is None or published in (None, served.snapshot):
        return None
    return f"leads to {_shown(published)}, served is {_shown(served.snapshot)}"


def _shown(snapshot: Snapshot | None) -> str:
    return f"{snapshot.collection}, state {snapshot.version}" if snapshot else "nothing"

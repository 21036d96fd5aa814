"""From the path in a YAML file to a `Source`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resources.sources.base import Source
from resources.sources.beir import CORPUS, BeirCorpus
from resources.sources.local import LocalFolder
from resources.sources.remote import RemoteFolder
from resources.sources.selection import Selection


def open_source(
    path: str,
    *,
    base: Path,
    include: Sequence[str] = ("**",),
    exclude: Sequence[str] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> Source:
    """The source at a path or URL. A folder with a BEIR corpus.jsonl becomes one document per line.

    A local path is looked at now; a missing one is reported by `list()`, so that loading a configuration never
    fails on a disk that is not mounted. A URL is not touched, but for a look for corpus.jsonl.

    Args:
        path: as the user wrote it: relative to `base`, absolute, or a URL (s3://, gs://, memory://, file://).
        base: the folder of the defs.yaml that names the path.
        include, exclude: globs over relative paths, see `Selection`.
        storage_options: for fsspec, e.g. credentials or an endpoint.

    Raises:
        SourceError: a URL cannot be asked for its corpus.jsonl.
    """
    label = path.rstrip("/") or "/"
    selection = Selection(tuple(include), tuple(exclude))
    if "://" not in path or path.startswith("file://"):
        folder = (base / Path(path.removeprefix("file://")).expanduser()).resolve()
        corpus = folder / CORPUS
        return BeirCorpus(label, str(corpus)) if _is_beir(corpus) else LocalFolder(label, str(folder), selection)
    options = dict(storage_options or {})
    remote = RemoteFolder(label, selection, options)
    return BeirCorpus(label, f"{label}/{CORPUS}", options) if remote.has(CORPUS) else remote


def _is_beir(corpus: Path) -> bool:
    try:
        return corpus.is_file()
    except OSError:  # an unreadable folder: listing it says so
        return False

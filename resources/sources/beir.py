"""A BEIR folder as a source: every line of its corpus.jsonl, `{"_id", "title", "text"}`, is one document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from resources.digests import digest
from resources.sources.base import FileTooLarge, FileVanished, Source, SourceError, SourceFile
from resources.sources.foreign import is_away, source_error

CORPUS = "corpus.jsonl"


@dataclass(frozen=True)
class BeirCorpus(Source):
    """Args: label: the folder as the user wrote it; location: corpus.jsonl as a path or URL that fsspec opens."""

    label: str
    location: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    # Where each line lies (start, length), by uri. Every process finds that out once, when it first reads.
    _positions: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def process_bound(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.location.startswith("memory:")

    def list(self) -> list[SourceFile]:
        """See `Source.list`. The stamp of a document is the digest of its line."""
        files: dict[str, SourceFile] = {}
        for number, (uri, _, line) in enumerate(self._documents(), 1):
            if uri in files:
                raise SourceError(f"source '{self.label}': document {number} of {CORPUS} repeats the _id of {uri}")
            files[uri] = SourceFile(uri, len(line), digest(line))
        if not files:
            raise SourceError(f"source '{self.label}': {CORPUS} is empty. Put one document on each line.")
        return sorted(files.values())

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        """See `Source.read`: the line, as it stands in the file."""
        if file.size > max_bytes:
            raise FileTooLarge(f"{file.uri} has more than {max_bytes:,} bytes")
        line = self._line(file.uri)
        if digest(line) != file.stamp:  # the file was rewritten since its lines were located
            self._positions.clear()
            line = self._line(file.uri)
        if not line:
            raise FileVanished(f"{file.uri} is gone since the corpus was listed")
        return line

    def _line(self, uri: str) -> bytes:
        if not self._positions:
            self._positions.update({uri: (start, len(line)) for uri, start, line in self._documents()})
        start, length = self._positions.get(uri, (0, 0))
        with self._open() as handle:
            handle.seek(start)
            return handle.read(length)

    def _documents(self) -> Iterator[tuple[str, int, bytes]]:
        start = 0
        with self._open() as handle:
            for number, line in enumerate(handle, 1):
                if line.strip():
                    yield f"{self.label}/{CORPUS}#{self._id(line, number)}", start, line
                start += len(line)

    @contextmanager
    def _open(self) -> Iterator[Any]:  # fsspec's files have no common type
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(self.location, **self.options)
            with filesystem.open(path, "rb") as handle:
                yield handle
        except (SourceError, MemoryError):
            raise
        except Exception as error:  # every filesystem has exceptions of its own
            if isinstance(error, FileNotFoundError) and not is_away(error):
                raise FileVanished(f"source '{self.label}': {CORPUS} is gone") from None
            what, advice = f"source '{self.label}': {CORPUS} cannot be read", "Check its permissions and `options`."
            raise source_error(what, error, self.options, advice) from None

    def _id(self, line: bytes, number: int) -> str:
        try:
            return str(json.loads(line)["_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"source '{self.label}': {CORPUS} line {number} is not a JSON object with an _id: {error!r}"
            ) from error

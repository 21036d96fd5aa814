"""The content digest of a model's files, cheap enough to be asked at every run.

A file's SHA-256 comes from, in this order: the installer's RECORD (for a model inside a package), a cache by
path, size and modification time, the file itself. So the same weights have the same digest in a package, in a
folder and on another machine, and gigabytes are read once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from resources.digests import digest

if TYPE_CHECKING:
    from importlib.metadata import PackagePath

DEFINING = {".safetensors", ".json", ".txt", ".model", ".jinja", ".gguf"}
"""Suffixes of the files that define what a model computes; a card or a licence doesn't."""

Known = dict[Path, tuple[int, str]]
"""Absolute path → (bytes, SHA-256 in hex), as somebody trusted has recorded it."""


def content_digest(path: Path, known: Known, cache_dir: Path | None) -> str:
    """Digest of a model's folder or single file: names and contents of the files that define it.

    Args:
        path: the folder, or one weights file.
        known: digests that need no reading; an entry whose size differs from the file's is ignored.
        cache_dir: where digests of read files are kept; None: they are read every time.
    """
    cache = _Cache(cache_dir / "model_digests.json" if cache_dir else None)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.suffix in DEFINING]
    parts = []
    for file in sorted(file for file in files if file.is_file()):
        size, recorded_sha = known.get(file, (-1, ""))
        sha = recorded_sha if size == file.stat().st_size else cache.sha256(file)
        parts += [file.name if file == path else file.relative_to(path).as_posix(), sha]
    cache.save()
    return digest("model", *parts)


def recorded(files: Iterable[PackagePath]) -> Known:
    """What an installed distribution's RECORD says of its files."""
    known: Known = {}
    for file in files:
        if file.hash is not None and file.hash.mode == "sha256" and file.size is not None:
            padded = file.hash.value + "=" * (-len(file.hash.value) % 4)
            sha = base64.urlsafe_b64decode(padded).hex()
            known[Path(str(file.locate())).resolve()] = (file.size, sha)
    return known


class _Cache:
    """SHA-256 by path, size and modification time, in one JSON file that is replaced as a whole.

    Two writers at once lose at most each other's entries, which are then computed again.
    """

    def __init__(self, file: Path | None) -> None:
        self._file, self._changed = file, False
        self._entries: dict[str, list[object]] = {}
        if file is not None and file.is_file():
            try:
                self._entries = json.loads(file.read_text("utf-8"))
            except ValueError:
                self._entries = {}  # a torn write of an older version: it's only a cache

    def sha256(self, file: Path) -> str:
        stat = file.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = self._entries.get(str(file))
        if not entry or entry[:2] != stamp:
            with file.open("rb") as stream:
                entry = [*stamp, hashlib.file_digest(stream, "sha256").hexdigest()]
            self._entries[str(file)], self._changed = entry, True
        return str(entry[2])

    def save(self) -> None:
        if self._file is None or not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(self._entries), "utf-8")
        beside.replace(self._file)

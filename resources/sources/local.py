"""A folder of the local filesystem, listed with os.scandir: one stat per file, 100,000 files in about a second."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resources.sources.base import FileVanished, Source, SourceError, SourceFile, read_bounded
from resources.sources.selection import Selection

_ESCAPED_BYTE = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class LocalFolder(Source):
    """Args: label: the path as the user wrote it, the start of every uri; root: the folder on this machine."""

    label: str
    root: str
    selection: Selection

    def list(self) -> list[SourceFile]:
        """See `Source.list`. A subfolder that cannot be read fails the whole listing."""
        if not Path(self.root).is_dir():
            what = "is not a folder" if Path(self.root).exists() else "does not exist"
            raise SourceError(f"source '{self.label}': {self.root} {what}. Correct the path, or create the folder.")
        return sorted(self._walk(), key=lambda file: file.uri)

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        """See `Source.read`."""
        path = self._path_of(file)
        try:
            with path.open("rb") as handle:
                return read_bounded(handle, file.uri, max_bytes)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileVanished(f"{file.uri} is gone since the folder was listed") from error
        except OSError as error:
            raise SourceError(f"{file.uri} cannot be read: {error.strerror}. Check its permissions.") from error

    def _walk(self) -> Iterator[SourceFile]:
        pending = [("", self.root)]
        seen: set[tuple[int, int]] = set()  # folders by device and inode: a link to a parent must end
        while pending:
            prefix, folder = pending.pop()
            if _first_visit(folder, seen):
                for entry in self._entries(folder):
                    relative = prefix + entry.name
                    if entry.is_dir():
                        if self.selection.enters(relative):
                            pending.append((relative + "/", entry.path))
                    elif self.selection.takes(relative) and (found := self._file(relative, entry)):
                        yield found

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            raise SourceError(
                f"source '{self.label}': {folder} cannot be listed: {error.strerror}. "
                "Grant read access, or leave it out with `exclude`."
            ) from error

    def _file(self, relative: str, entry: os.DirEntry[str]) -> SourceFile | None:
        uri = f"{self.label}/{printable(relative)}"
        try:
            found = entry.stat()
        except FileNotFoundError:
            # A link without a target is listed, and reading it says so; anything else was deleted just now.
            return SourceFile(uri, 0, "missing") if entry.is_symlink() else None
        except OSError as error:
            raise SourceError(
                f"source '{self.label}': {entry.path}: {error.strerror}. Check its permissions."
            ) from error
        if not stat.S_ISREG(found.st_mode):  # pipes, sockets and devices would block or never end
            return None
        return _as_listed(uri, found)

    def _path_of(self, file: SourceFile) -> Path:
        relative = file.uri.removeprefix(f"{self.label}/")
        path = Path(self.root, relative)
        if path.exists() or not _ESCAPED_BYTE.search(relative):
            return path
        return Path(self.root, original(relative))


def one_file(file: Path) -> SourceFile:
    """A file that is a source by itself.

    Raises:
        SourceError: it is not there, or its folder cannot be read.
    """
    try:
        return _as_listed(str(file), file.stat())
    except OSError as error:
        raise SourceError(f"file '{file}' cannot be read: {error.strerror}") from error


def _as_listed(uri: str, found: os.stat_result) -> SourceFile:
    return SourceFile(uri, found.st_size, f"{found.st_mtime_ns}:{found.st_size}")


def printable(relative: str) -> str:
    r"""A relative path as valid Unicode: bytes that are not UTF-8 (names from old archives) become \xNN."""
    if relative.isascii():  # nearly all, and a sensor asks for 10,000 of them every few seconds
        return relative
    return os.fsencode(relative).decode("utf-8", "backslashreplace")


def original(relative: str) -> str:
    """The inverse of `printable`."""
    return os.fsdecode(re.sub(_ESCAPED_BYTE.pattern.encode(), _byte, relative.encode()))


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def _first_visit(folder: str, seen: set[tuple[int, int]]) -> bool:
    try:
        found = os.stat(folder)  # noqa: PTH116  (a str path: this runs once per folder of a large tree)
    except OSError:
        return True  # the listing that follows says why
    key = (found.st_dev, found.st_ino)
    new = key not in seen
    seen.add(key)
    return new

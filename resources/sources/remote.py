"""A folder of any filesystem that fsspec knows: s3://, gs://, az://, memory://, sftp:// and the rest.

The user installs the filesystem's own package (s3fs, gcsfs, …); nothing here is specific to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resources.digests import digest_json
from resources.sources.base import FileVanished, Source, SourceError, SourceFile, read_bounded
from resources.sources.foreign import cleaned, is_away, source_error
from resources.sources.selection import Selection

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# What filesystems call "this content": the first that an entry has decides, together with its size.
VERSION_KEYS = ("ETag", "etag", "md5Hash", "content_md5", "crc32c", "generation", "VersionId", "mtime",
                "LastModified", "last_modified", "modificationTime", "updated", "modified", "created")  # fmt: skip


@dataclass(frozen=True)
class RemoteFolder(Source):
    """Args: label: the URL as the user wrote it; options: fsspec's storage options (may hold secrets)."""

    label: str
    selection: Selection
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def process_bound(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """memory:// lives in one process."""
        return self.label.startswith("memory:")

    def list(self) -> list[SourceFile]:
        """See `Source.list`."""
        filesystem, root = self._opened
        try:
            filesystem.invalidate_cache()
            if _is_folder(filesystem, root):
                return sorted(self._walk(filesystem, root))
        except Exception as error:  # every filesystem has exceptions of its own
            advice = "Check its credentials and `options`."
            raise source_error(f"source '{self.label}' cannot be listed", error, self.options, advice) from None
        raise SourceError(f"source '{self.label}' does not exist or is empty. Correct the URL.")

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        """See `Source.read`."""
        filesystem, root = self._opened
        path = f"{root.rstrip('/')}/{file.uri.removeprefix(self.label + '/')}"
        try:
            with filesystem.open(path, "rb") as handle:
                return read_bounded(handle, file.uri, max_bytes)  # pyright: ignore[reportArgumentType]  (binary)
        except (SourceError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not is_away(error):
                raise FileVanished(f"{file.uri} is gone since the folder was listed") from None
            advice = "Check its permissions."
            raise source_error(f"{file.uri} cannot be read", error, self.options, advice) from None

    def has(self, name: str) -> bool:
        """Whether a file of this name lies directly in the folder.

        Raises:
            SourceUnreachable: nobody knows. A corpus.jsonl taken for missing would delete what it holds.
            SourceError: the folder cannot be opened.
        """
        filesystem, root = self._opened
        try:
            return filesystem.info(f"{root.rstrip('/')}/{name}").get("type") == "file"
        except Exception as error:
            if is_away(error):
                raise source_error(f"source '{self.label}' cannot be listed", error, self.options, "") from None
            return False  # listing says why

    @cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        try:
            return url_to_fs(self.label, **self.options)
        except ImportError as error:
            said = cleaned(str(error), self.options)
            raise SourceError(f"source '{self.label}': {said}. Install that package beside this project.") from None
        except Exception as error:
            advice = "Check the URL and `options`."
            raise source_error(f"source '{self.label}' cannot be opened", error, self.options, advice) from None

    def _walk(self, filesystem: AbstractFileSystem, root: str) -> Iterator[SourceFile]:
        """Folder by folder: fsspec's `walk` leaves out a subfolder that fails, which would look like a deletion."""
        pending = [("", root)]
        while pending:
            prefix, folder = pending.pop()
            for entry in filesystem.ls(folder, detail=True):
                path = str(entry["name"]).rstrip("/")
                relative = prefix + path.rpartition("/")[2]
                if path == folder.rstrip("/"):  # an object store's mark that a folder exists
                    continue
                if entry["type"] == "directory":
                    if self.selection.enters(relative):
                        pending.append((relative + "/", path))
                elif self.selection.takes(relative):
                    yield SourceFile(f"{self.label}/{relative}", int(entry.get("size") or 0), stamp(entry))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_opened"}


def stamp(entry: Mapping[str, Any]) -> str:
    """What tells one content of a remote file from the next; without any version, all of its description."""
    for key in VERSION_KEYS:
        if entry.get(key):
            return f"{entry[key]}:{entry.get('size')}"
    return digest_json({key: str(value) for key, value in entry.items()})


def _is_folder(filesystem: AbstractFileSystem, root: str) -> bool:
    """Asked of `info` first: many an `isdir` takes a server that is away for a folder that is not there."""
    try:
        if filesystem.info(root)["type"] == "directory":
            return True
    except FileNotFoundError as error:
        if is_away(error):
            raise
    return filesystem.isdir(root)  # also for what has no description of a folder, as HTTP

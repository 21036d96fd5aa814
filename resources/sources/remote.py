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
from resources.sources.selection import Selection

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# What filesystems call "this content": the first that an entry has decides, together with its size.
VERSION_KEYS = ("ETag", "etag", "md5Hash", "content_md5", "crc32c", "generation", "VersionId", "mtime",
                "LastModified", "last_modified", "updated", "modified", "created")  # fmt: skip


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
            if not filesystem.isdir(root):
                raise SourceError(f"source '{self.label}' does not exist or is empty. Correct the URL.")
            return sorted(self._walk(filesystem, root))
        except SourceError:
            raise
        except Exception as error:  # every filesystem has exceptions of its own
            raise SourceError(
                f"source '{self.label}' cannot be listed: {_short(error)}. Check credentials and `storage_options`."
            ) from error

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        """See `Source.read`."""
        filesystem, root = self._opened
        path = f"{root.rstrip('/')}/{file.uri.removeprefix(self.label + '/')}"
        try:
            with filesystem.open(path, "rb") as handle:
                return read_bounded(handle, file.uri, max_bytes)  # pyright: ignore[reportArgumentType]  (binary)
        except SourceError:
            raise
        except FileNotFoundError as error:
            raise FileVanished(f"{file.uri} is gone since the folder was listed") from error
        except Exception as error:
            raise SourceError(f"{file.uri} cannot be read: {_short(error)}") from error

    def has(self, name: str) -> bool:
        """Whether a file of this name lies directly in the folder; no, if the folder cannot be opened."""
        try:
            filesystem, root = self._opened
            return filesystem.isfile(f"{root.rstrip('/')}/{name}")
        except Exception:  # listing says why
            return False

    @cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        try:
            return url_to_fs(self.label, **self.options)
        except ImportError as error:
            raise SourceError(f"source '{self.label}': {error}. Install that package beside this project.") from error
        except Exception as error:
            raise SourceError(
                f"source '{self.label}' cannot be opened: {_short(error)}. Check the URL and `storage_options`."
            ) from error

    def _walk(self, filesystem: AbstractFileSystem, root: str) -> Iterator[SourceFile]:
        start = root.rstrip("/") + "/"
        # on_error="raise": the default leaves out a folder that fails, which would look like a deletion.
        for folder, folders, files in filesystem.walk(root, detail=True, on_error="raise"):
            prefix = (str(folder).rstrip("/") + "/").removeprefix(start)
            for name in [name for name in folders if not self.selection.enters(prefix + name)]:
                del folders[name]  # walk() goes on into what is left here
            for name, entry in dict(files).items():
                if name and self.selection.takes(prefix + name):
                    yield SourceFile(f"{self.label}/{prefix}{name}", int(entry.get("size") or 0), stamp(entry))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_opened"}


def stamp(entry: Mapping[str, Any]) -> str:
    """What tells one content of a remote file from the next; without any version, all of its description."""
    for key in VERSION_KEYS:
        if entry.get(key):
            return f"{entry[key]}:{entry.get('size')}"
    return digest_json({key: str(value) for key, value in entry.items()})


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]

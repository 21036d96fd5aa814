"""The contract of a source of documents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

PIECE_BYTES = 1 << 20


class SourceError(Exception):
    """A source that is missing or cannot be listed or read; the message names it and the way out."""


class SourceUnreachable(SourceError):
    """Its server does not answer now, or says that it cannot: it may be back without any change of the source."""


class FileVanished(SourceError):
    """A listed file is no longer there."""


class FileTooLarge(SourceError):
    """A file holds more bytes than the caller allows."""


@dataclass(frozen=True, order=True)
class SourceFile:
    """One document of a source.

    Args:
        uri: the source's path as the user wrote it, then "/" and the relative path; stable across checkouts.
        size: bytes.
        stamp: differs whenever the content may have changed (modification time and size, ETag, line digest).
    """

    uri: str
    size: int
    stamp: str


def read_bounded(handle: BinaryIO, uri: str, max_bytes: int) -> bytes:
    """All of an open file, in pieces: asking for `max_bytes` at once would allocate them.

    Raises:
        FileTooLarge: there is more.
    """
    data = bytearray()
    while piece := handle.read(min(PIECE_BYTES, max_bytes + 1 - len(data))):
        data += piece
        if len(data) > max_bytes:
            raise FileTooLarge(f"{uri} has more than {max_bytes:,} bytes")
    return bytes(data)


class Source(ABC):
    """Lists and reads documents. Small and picklable, so that worker processes can read for themselves."""

    # True where only the process that opened the source can see its files (memory://).
    process_bound: ClassVar[bool] | bool = False

    @abstractmethod
    def list(self) -> list[SourceFile]:
        """All files, sorted by uri.

        Raises:
            SourceUnreachable: its server is away.
            SourceError: the source is missing or any part of it cannot be listed.
        """

    @abstractmethod
    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        """The content of one listed file.

        Raises:
            FileVanished: it is gone since it was listed.
            FileTooLarge: it has more than `max_bytes` bytes.
            SourceError: it cannot be read.
        """

"""A disk that fills while something is written: said plainly, and cleared away."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LITTLE_BYTES = 1 << 20


class DiskFull(OSError):
    """There was no room for a checkpoint or a result; what was whole before still is."""


@contextmanager
def disk_full_said(pending: Path, what: str) -> Iterator[None]:
    """Say so if the disk fills while `what` is written into `pending`, and give the room back.

    torch and safetensors report a full disk as errors of their own, so the disk itself is asked.

    Raises:
        DiskFull: it did.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error, pending):
            raise
        shutil.rmtree(pending, ignore_errors=True)
        raise DiskFull(
            f"the disk is full: there was no room for {what} in {pending.parent}. "
            "What was whole before still is; make room, and materialise again to go on from there"
        ) from error


def _is_full(error: BaseException, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    if "No space left" in str(error) or "File too large" in str(error):
        return True
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free < LITTLE_BYTES

"""Checkpoints that are whole or not there: written beside, sealed with the digest of every file, then renamed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path

SEAL = "COMPLETE.json"
KEPT = 2  # the last may be broken by the disk: then the one before it is used
BROKEN = "broken-"
UNWANTED = ("training_args.bin", "README.md")  # a pickle that nobody reads, and a card that says nothing

_log = logging.getLogger(__name__)


def seal(folder: Path, target: Path) -> None:
    """Turn a written folder into a whole one at `target`, which is replaced if it is there.

    A crash leaves either no `target` or a whole one. Files that serve nobody are left out.
    """
    for name in UNWANTED:
        (folder / name).unlink(missing_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    for path in files:
        _flush(path)
    digests = {str(path.relative_to(folder)): file_digest(path) for path in files}
    (folder / SEAL).write_text(json.dumps(digests, indent=1), encoding="utf-8")
    _flush(folder / SEAL)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)
    _flush(target.parent)


def is_whole(folder: Path) -> bool:
    """Whether every file is there with the content it was sealed with.

    A process reads a file of weights once, and again where it was written or replaced since.

    Raises:
        OSError: a file is there and cannot be read, which says nothing of what is in it: another time it may be.
    """
    try:
        return all(_digest_once(folder / name) == digest for name, digest in sealed_digests(folder).items())
    except (FileNotFoundError, ValueError):
        return False


def sealed_digests(folder: Path) -> Mapping[str, str]:
    """The digest of every file of a sealed folder, as it was sealed.

    Raises:
        OSError, ValueError: it is not sealed, or its seal is broken.
    """
    return json.loads((folder / SEAL).read_text(encoding="utf-8"))


def latest_whole(checkpoints: Path, say: Callable[[str], object] = _log.warning) -> Path | None:
    """The newest whole checkpoint; broken ones are put aside.

    Raises:
        OSError: one cannot be read now.
    """
    for folder in sorted(_all(checkpoints), reverse=True):
        if is_whole(folder):
            return folder
        put_aside(folder, say)
    return None


def put_aside(folder: Path, say: Callable[[str], object] = _log.warning) -> None:
    """Rename what is not whole any more, out of the way but kept: it was sealed once. Nothing there is fine."""
    aside = folder.with_name(f"{BROKEN}{folder.name}")
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        say(
            f"{folder} is not whole: a file is missing or changed; it is kept as {aside.name} until there is a result"
        )


def retain(checkpoints: Path, steps: Collection[int] = ()) -> None:
    """Remove all but the newest `KEPT` and those of the named steps."""
    wanted = {checkpoint_name(step) for step in steps}
    for folder in sorted(_all(checkpoints), reverse=True)[KEPT:]:
        if folder.name not in wanted:
            shutil.rmtree(folder)


def checkpoint_name(step: int) -> str:
    """`checkpoint-00000040`: as transformers expects it, and sorted by step."""
    return f"checkpoint-{step:08d}"


def file_digest(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _digest_once(path: Path) -> str:
    seen = path.stat()
    return _digest_of(path, (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))


@lru_cache(maxsize=1024)
def _digest_of(path: Path, _stamp: tuple[int, ...]) -> str:
    return file_digest(path)


def _all(checkpoints: Path) -> list[Path]:
    return [path for path in checkpoints.glob("checkpoint-*") if path.is_dir()]


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

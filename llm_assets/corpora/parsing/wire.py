"""Frames between pool and worker: four bytes of length, then JSON (or raw bytes).

Results come from a process that parsed untrusted input, so they are JSON and never pickles. Pickle goes one way
only, from the pool to its worker.
"""

from __future__ import annotations

import json
from typing import BinaryIO

HEADER_BYTES = 4
# A result of this size is not worth having: more than a hundred novels.
MAX_FRAME_BYTES = 256_000_000


def packed(payload: bytes) -> bytes:
    """A frame."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def packed_json(value: object) -> bytes:
    """A frame that holds a JSON value."""
    return packed(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame of a blocking stream; None at its end."""
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return stream.read(int.from_bytes(header, "big"))


def take_frames(buffer: bytearray) -> list[bytes]:
    """Remove and return the complete frames at the start of a buffer."""
    frames = []
    while len(buffer) >= HEADER_BYTES:
        end = HEADER_BYTES + int.from_bytes(buffer[:HEADER_BYTES], "big")
        if len(buffer) < end:
            break
        frames.append(bytes(buffer[HEADER_BYTES:end]))
        del buffer[:end]
    return frames

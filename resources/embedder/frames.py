"""Messages between a process and the child that embeds for it: length-prefixed JSON, vectors as raw bytes.

A message is 8 bytes of length, little-endian, then UTF-8 JSON. A message with "rows" and "dimension" is followed by
that many float32 numbers, row by row.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

PREFIX_BYTES = 8


def write_message(stream: IO[bytes], message: dict[str, Any], vectors: np.ndarray | None = None) -> None:
    """Write a message, and the vectors (rows, dimension) float32 that belong to it."""
    if vectors is not None:
        message = {**message, "rows": vectors.shape[0], "dimension": vectors.shape[1]}
    body = json.dumps(message).encode("ascii")
    stream.write(len(body).to_bytes(PREFIX_BYTES, "little"))
    stream.write(body)
    if vectors is not None:
        stream.write(vectors.tobytes())
    stream.flush()


def read_message(stream: IO[bytes]) -> dict[str, Any] | None:
    """The next message; None at the end of the stream, even in the middle of a message."""
    prefix = stream.read(PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        return None
    length = int.from_bytes(prefix, "little")
    body = stream.read(length)
    return json.loads(body) if len(body) == length else None


def read_vectors(stream: IO[bytes], message: dict[str, Any]) -> np.ndarray | None:
    """The vectors that follow a message: (rows, dimension) float32; None if the stream ends before."""
    import numpy as np

    rows, dimension = int(message["rows"]), int(message["dimension"])
    data = stream.read(rows * dimension * 4)
    if len(data) < rows * dimension * 4:
        return None
    return np.frombuffer(data, np.float32).reshape(rows, dimension)

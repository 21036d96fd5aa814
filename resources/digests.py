"""Content digests: the names of things whose identity is their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

HEX_CHARS = 32  # 128 bits: collisions stay out of reach for 10^12 rows


def digest(*parts: str | bytes | int) -> str:
    """Digest of a sequence of parts; each is length-prefixed, so ("ab", "c") and ("a", "bc") differ."""
    hasher = hashlib.blake2b(digest_size=HEX_CHARS // 2)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()


def digest_json(value: object) -> str:
    """Digest of a JSON-serialisable value; the order of mapping keys does not count."""
    return digest(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def digest_all(items: Iterable[str]) -> str:
    """Digest of a set of strings: equal for every order they come in."""
    return digest(*sorted(items))

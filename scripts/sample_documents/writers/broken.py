"""Two ways in which a file that reaches a pipeline is useless."""

from __future__ import annotations

import io

PASSWORD = "harbour-quay"  # only the writer and its test know it


def truncated(content: bytes) -> bytes:
    """The first half, as an interrupted copy leaves it."""
    return content[: len(content) // 2]


def password_protected(content: bytes) -> bytes:
    """A PDF that no one opens without the password. RC4 (R3), because its bytes do not depend on chance."""
    import pikepdf

    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        lock = pikepdf.Encryption(user=PASSWORD, owner=PASSWORD, R=3, aes=False, metadata=False)
        pdf.save(out, encryption=lock, static_id=True)
    return out.getvalue()

"""Refuses zipped documents that would unpack to more than the machine should hold, before anything unpacks them."""

from __future__ import annotations

import zipfile
from io import BytesIO

from llm_assets.corpora.parsing.results import Refused

MAX_RATIO = 200  # a member's size to its compressed size; deflate reaches about 1,000, real XML about 20
HARMLESS_BYTES = 20_000_000  # below this a member may compress as well as it likes
MAX_MEMBERS = 50_000


def refuse_zip_bomb(data: bytes, max_unpacked_bytes: int) -> None:
    """Check the directory of a zip container.

    Raises:
        Refused: oversized, or encrypted.
    """
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise Refused("encrypted", "its container is encrypted. Save it without a password.")
    total = sum(member.file_size for member in members)
    if total > max_unpacked_bytes or len(members) > MAX_MEMBERS:
        raise Refused("oversized", f"it unpacks to {total:,} bytes in {len(members):,} parts: a zip bomb?")
    for member in members:
        if member.file_size > HARMLESS_BYTES and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise Refused(
                "oversized", f"its part '{member.filename}' unpacks from {member.compress_size:,} to "
                f"{member.file_size:,} bytes: a zip bomb?"
            )  # fmt: skip

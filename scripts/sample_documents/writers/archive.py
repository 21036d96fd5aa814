"""Zip files whose bytes do not depend on the clock."""

from __future__ import annotations

import io
import re
import zipfile

STAMP = "2025-04-01T09:00:00Z"
_DATE = (2025, 4, 1, 9, 0, 0)


def write_archive(members: dict[str, bytes], *, stored: frozenset[str] = frozenset()) -> bytes:
    """The members in the given order, all with one date; those in `stored` are not compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def read_archive(content: bytes) -> dict[str, bytes]:
    """The members' contents by name, in the archive's order."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def without_clock(content: bytes) -> bytes:
    """An Office file with the moment of its writing replaced by the fixed one."""
    members = read_archive(content)
    core = members["docProps/core.xml"].decode()
    core = re.sub(r"(<dcterms:(created|modified)[^>]*>)[^<]*", rf"\g<1>{STAMP}", core)
    return write_archive({**members, "docProps/core.xml": core.encode()})

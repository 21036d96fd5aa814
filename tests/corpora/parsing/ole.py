"""Writes an OLE2 compound file, the container of .doc, .xls, .ppt and .msg ([MS-CFB], version 3)."""

from __future__ import annotations

import struct

SECTOR, MINI, CUTOFF = 512, 64, 4096
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
NONE = 0xFFFFFFFF


def compound_file(streams: dict[str, bytes]) -> bytes:
    """A container of the given streams; "a/b" is the stream b in the storage a."""
    entries, ministream, minifat = _entries(streams)
    sectors: list[bytes] = []
    chains: list[int] = []

    def store(data: bytes) -> int:
        start, count = len(sectors), -(-len(data) // SECTOR)
        for index in range(count):
            sectors.append(data[index * SECTOR : (index + 1) * SECTOR].ljust(SECTOR, b"\0"))
            chains.append(start + index + 1 if index + 1 < count else END)
        return start if count else END

    for entry in entries:
        if entry["kind"] == 2 and len(entry["data"]) >= CUTOFF:
            entry["start"] = store(entry["data"])
    entries[0]["start"], entries[0]["size"] = store(ministream), len(ministream)
    minifat_bytes = struct.pack(f"<{len(minifat)}I", *minifat).ljust(-(-len(minifat) // 128) * SECTOR, b"\xff")
    minifat_start = store(minifat_bytes)
    directory = b"".join(map(_directory_entry, entries))
    directory_start = store(directory.ljust(-(-len(directory) // SECTOR) * SECTOR, b"\0"))
    fat_start = len(sectors)
    fat_count = -(-(len(sectors) + 1) // 127)
    chains += [FAT] * fat_count
    fat = struct.pack(f"<{len(chains)}I", *chains).ljust(fat_count * SECTOR, b"\xff")
    difat = [fat_start + index for index in range(fat_count)] + [FREE] * (109 - fat_count)
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6,
        0, fat_count, directory_start, 0, CUTOFF,
        minifat_start if minifat else END, len(minifat_bytes) // SECTOR, END, 0,
    ) + struct.pack("<109I", *difat)  # fmt: skip
    return header + b"".join(sectors) + fat


def _entries(streams: dict[str, bytes]) -> tuple[list[dict], bytes, list[int]]:
    root: dict = {}
    for path, data in streams.items():
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = data
    entries: list[dict] = [{"name": "Root Entry", "kind": 5, "data": b"", "size": 0, "start": END}]
    ministream, minifat = bytearray(), []
    _add(root, 0, entries, ministream, minifat)
    return entries, bytes(ministream), minifat


def _add(node: dict, parent: int, entries: list[dict], ministream: bytearray, minifat: list[int]) -> None:
    """Children form a chain of right siblings, in the order that the format asks for: by length, then name."""
    previous = None
    for name in sorted(node, key=lambda name: (len(name), name.upper())):
        value, index = node[name], len(entries)
        data = value if isinstance(value, bytes) else b""
        entries.append({"name": name, "kind": 2 if isinstance(value, bytes) else 1, "data": data, "size": len(data)})
        if 0 < len(data) < CUTOFF:
            start, count = len(ministream) // MINI, -(-len(data) // MINI)
            entries[index]["start"] = start
            minifat += [start + step + 1 for step in range(count - 1)] + [END]
            ministream += data.ljust(count * MINI, b"\0")
        entries[parent if previous is None else previous]["child" if previous is None else "right"] = index
        previous = index
        if not isinstance(value, bytes):
            _add(value, index, entries, ministream, minifat)


def _directory_entry(entry: dict) -> bytes:
    name = (entry["name"] + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sI8s8sIQ", name, len(name), entry["kind"], 1, NONE, entry.get("right", NONE),
        entry.get("child", NONE), b"", 0, b"", b"", entry.get("start", END), entry["size"],
    )  # fmt: skip

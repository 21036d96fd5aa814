"""Bytes of unknown encoding to text, Japanese encodings first.

Statistical detection guesses wrong on short Japanese text (a five-line CP932 csv). The rules here are
deterministic: a byte order mark, strict UTF-8, the escape sequences of ISO-2022-JP and the zero bytes of UTF-16
are proof; between EUC-JP and CP932 the one decides whose text looks like Japanese; only then is
charset-normalizer asked, and a Western single-byte encoding comes last because it decodes anything.
"""

from __future__ import annotations

import codecs
import re

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ISO_2022_JP = re.compile(rb"\x1b\$[@B]|\x1b\(J")
SAMPLE_BYTES = 200_000  # enough to tell encodings apart

WIDE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff60]+")
KANA = re.compile(r"[\u3041-\u30fe]")
# What Western or Chinese text turns into when it is read as CP932 or EUC-JP.
MISREAD = re.compile(r"[\uff61-\uff9f\ue000-\uf8ff\x80-\x9f]")
WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŸŒ¡¿«»„“”‘’–—…•·°§©®€£\xa0ºª")


class Undecodable(ValueError):
    """The bytes are no text in any known encoding."""


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of `data`.

    Args: declared: an encoding that the document names itself (HTML meta, mail header); used if it decodes.

    Raises:
        Undecodable: the bytes are not text.
    """
    for encoding in _proven(data):
        return data.decode(encoding, "replace")
    for encoding in ("utf-8", _known(declared)):
        if encoding and (text := strictly(data, encoding)) is not None:
            return text
    if looks_binary(data):
        raise Undecodable("binary data")
    return data.decode(_guess(data[:SAMPLE_BYTES]), "replace")


def strictly(data: bytes, encoding: str) -> str | None:
    """The text, or None where one byte does not fit the encoding."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def looks_binary(data: bytes) -> bool:
    """Whether a sample holds control characters that no text has."""
    sample = data[:SAMPLE_BYTES]
    control = sum(sample.count(byte) for byte in range(32) if byte not in b"\t\n\x0b\x0c\r\x1b")
    return b"\0" in sample or control > 0.002 * len(sample) + 1


def _proven(data: bytes) -> list[str]:
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return [encoding]
    if (wide := _utf16(data[:4096])) is not None:
        return [wide]
    if ISO_2022_JP.search(data) and strictly(data, "iso2022_jp_ext") is not None:
        return ["iso2022_jp_ext"]
    return []


def _utf16(sample: bytes) -> str | None:
    """UTF-16 without a mark: in any language line breaks, spaces and digits leave zeros on one side only."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 0.02 * len(sample) or 20 * min(even, odd) > max(even, odd):
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = strictly(sample[: len(sample) // 2 * 2], encoding)
    return encoding if text is not None and text.isprintable() | bool(re.match(r"[\w\s]", text)) else None


def _known(declared: str | None) -> str | None:
    """A declared encoding as Python names it. Japanese mail and pages say shift_jis and mean CP932."""
    try:
        name = codecs.lookup((declared or "").strip().strip("\"'")).name
    except LookupError:
        return None
    return {"shift_jis": "cp932", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}.get(name, name)


def _guess(sample: bytes) -> str:
    scores = {encoding: japanese(sample, encoding) for encoding in ("euc_jp", "cp932")}
    best = max(scores, key=lambda encoding: scores[encoding])
    if scores[best] > 0:
        return best
    return "cp1252" if western(sample) else _asked(sample) or "cp1252"


def western(sample: bytes) -> bool:
    """Whether the sample, read as CP1252, has only letters and marks of Western languages, and mostly plain ones."""
    text = sample.decode("cp1252", "replace")
    foreign = re.findall(r"[^\x00-\x7f]", text)
    return len(foreign) < 0.25 * len(re.findall(r"[^\W\d_]", text)) and set(foreign) <= WESTERN


def japanese(sample: bytes, encoding: str) -> float:
    """How much the sample, read as this encoding, looks like Japanese: above 0 it does, at most 1."""
    text = _decoded_prefix(sample, encoding)
    if text is None:
        return -1.0
    foreign = len(re.findall(r"[^\x00-\x7f]", text)) or 1
    runs = WIDE.findall(text)
    # Japanese stands in runs; an accented letter misread as a kanji stands alone between Latin letters.
    in_runs = sum(len(run) for run in runs if len(run) > 1)
    kana = len(KANA.findall(text))
    misread = len(MISREAD.findall(text))
    if encoding == "euc_jp" and not kana:  # without kana it could as well be Chinese or Korean
        return -1.0
    return (in_runs - 3 * misread) / foreign - 0.5


def _decoded_prefix(sample: bytes, encoding: str) -> str | None:
    """Strictly decoded, but for a character that the end of the sample cuts."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) < SAMPLE_BYTES)
    except UnicodeDecodeError:
        return None


def _asked(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    # An EBCDIC or DOS code page is its answer where it does not know.
    return best.encoding if best and not best.encoding.startswith(("cp0", "cp4", "cp5", "cp8", "cp1026")) else None

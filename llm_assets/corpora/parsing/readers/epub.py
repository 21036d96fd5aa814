"""EPUB: its chapters in reading order, each read as HTML with unstructured.

unstructured's own way converts the whole book with pandoc first: 2-4 s a book, no headings kept apart.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import unquote

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.readers import Document, Job, html
from llm_assets.corpora.parsing.results import Refused
from llm_assets.corpora.parsing.xml import etree, parse_xml  # pyright: ignore[reportAttributeAccessIssue]  (no stubs)

FONT_OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read(data: bytes, _job: Job) -> Document:
    """The elements of all chapters, and the book's title.

    Raises:
        Refused: encrypted (DRM) or corrupt.
    """
    with zipfile.ZipFile(BytesIO(data)) as book:
        _refuse_drm(book)
        package_path = _package_path(book)
        package = parse_xml(book.read(package_path))
        elements = []
        for chapter in _chapters(package, package_path):
            if chapter in book.namelist():
                content = book.read(chapter)
                elements += html.body(decode(content, html.declared(content)))
    title = package.findtext(".//{http://purl.org/dc/elements/1.1/}title")
    return Document(elements, title)


def _package_path(book: zipfile.ZipFile) -> str:
    container = parse_xml(book.read("META-INF/container.xml"))
    path = container.find(".//{*}rootfile")
    if path is None:
        raise Refused("corrupt", "the book's container.xml names no package file")
    return str(path.get("full-path"))


def _chapters(package: etree._Element, package_path: str) -> Iterator[str]:
    """Paths of the spine's documents, in reading order."""
    places = {item.get("id"): item.get("href") for item in package.iterfind(".//{*}manifest/{*}item")}
    for entry in package.iterfind(".//{*}spine/{*}itemref"):
        if place := places.get(entry.get("idref")):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(package_path), unquote(place)))


def _refuse_drm(book: zipfile.ZipFile) -> None:
    if "META-INF/encryption.xml" in book.namelist():
        methods = parse_xml(book.read("META-INF/encryption.xml")).iterfind(".//{*}EncryptionMethod")
        if any(method.get("Algorithm") not in FONT_OBFUSCATION for method in methods):
            raise Refused("encrypted", "the book is protected (DRM). Export it without protection.")

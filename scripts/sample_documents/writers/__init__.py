"""One writer a format: a source in, the file's bytes out."""

from __future__ import annotations

from collections.abc import Callable

from ..source import Source
from .broken import password_protected, truncated
from .mail import write_eml
from .office import write_docx, write_xlsx
from .packages import write_epub, write_odt
from .pdf import write_pdf
from .slides import write_pptx
from .text import write_csv, write_html, write_md, write_rst, write_txt

WRITERS: dict[str, Callable[[Source], bytes]] = {
    "csv": write_csv,
    "docx": write_docx,
    "eml": write_eml,
    "epub": write_epub,
    "html": write_html,
    "md": write_md,
    "odt": write_odt,
    "pdf": write_pdf,
    "pptx": write_pptx,
    "rst": write_rst,
    "txt": write_txt,
    "xlsx": write_xlsx,
}

BREAKERS: dict[str, Callable[[bytes], bytes]] = {"truncated": truncated, "password": password_protected}


def render(source: Source) -> bytes:
    """The document's bytes, equal at every run with the same library versions.

    Raises:
        KeyError: no writer for the suffix, or no way to break it so.
    """
    content = WRITERS[source.suffix](source)
    return BREAKERS[source.broken](content) if source.broken else content

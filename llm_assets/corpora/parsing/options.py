"""How documents are parsed, and the fingerprint by which a parse is known to be still good."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Literal

from resources.digests import digest_json

# Raise it with every change of this package that changes what a document parses to.
PARSER_VERSION = 1

# The libraries whose version can change the text.
LIBRARIES = (
    "unstructured",
    "pypdfium2",
    "python-docx",
    "python-pptx",
    "openpyxl",
    "xlrd",
    "markdown-it-py",
    "lxml",
    "pypandoc_binary",
    "charset-normalizer",
    "langdetect",
)

MIN_MEMORY_GB = 0.3

Strategy = Literal["pdfium", "fast", "auto", "hi_res", "ocr_only"]


@dataclass(frozen=True)
class ParseOptions:
    """Args:
    strategy: how PDFs and images are read. "pdfium" reads a PDF's text layer with pypdfium2; the others are
        unstructured's: "fast" (text layer, about 50 times slower), "auto", "hi_res" and "ocr_only" (scans and
        images; they need tesseract and poppler, hi_res also a layout model).
    timeout_seconds: for reading a file, and again for parsing it.
    memory_gb: private memory of a worker process, libraries included, in decimal GB.
    max_bytes: a larger file is quarantined unread.
    max_unpacked_bytes: of a zipped format (docx, xlsx, epub, …), all members together.
    """

    strategy: Strategy = "pdfium"
    timeout_seconds: float = 120.0
    memory_gb: float = 2.0
    max_bytes: int = 200_000_000
    max_unpacked_bytes: int = 1_000_000_000

    def __post_init__(self) -> None:
        if self.memory_gb < MIN_MEMORY_GB:
            raise ValueError(f"memory_gb is {self.memory_gb:g}; the libraries alone need {MIN_MEMORY_GB}")
        if self.timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds:g}; it must be more than 0")

    @cached_property
    def fingerprint(self) -> str:
        """Covers what determines the result of a parse, not the limits that only decide whether there is one."""
        versions = {name: version(name) for name in LIBRARIES}
        return digest_json({"parser": PARSER_VERSION, "strategy": self.strategy, "libraries": versions})

    @cached_property
    def limits_fingerprint(self) -> str:
        """Covers the limits: when it changes, documents quarantined by a limit are worth another try."""
        return digest_json([self.timeout_seconds, self.memory_gb, self.max_bytes, self.max_unpacked_bytes])

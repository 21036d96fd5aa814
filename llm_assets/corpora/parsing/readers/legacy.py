"""Word and PowerPoint files from before 2007: unstructured reads them where LibreOffice is installed."""

from __future__ import annotations

import shutil
from io import BytesIO

from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.results import Refused
from llm_assets.corpora.parsing.unstructured_setup import NO_LANGUAGE, prepare


def read(data: bytes, job: Job) -> Document:
    """As docx and pptx.

    Raises:
        Refused: unsupported, without LibreOffice.
    """
    if shutil.which("soffice") is None:
        word = job.media_type == "application/msword"
        old, new = (".doc", ".docx") if word else (".ppt", ".pptx")
        raise Refused(
            "unsupported", f"{old} needs LibreOffice (soffice) on this machine. Install it, or save as {new}."
        )
    prepare()
    from unstructured.partition.doc import partition_doc
    from unstructured.partition.ppt import partition_ppt

    from llm_assets.corpora.parsing.from_unstructured import convert

    if job.media_type == "application/msword":
        return Document(convert(partition_doc(file=BytesIO(data), languages=NO_LANGUAGE)))
    return Document(convert(partition_ppt(file=BytesIO(data), languages=NO_LANGUAGE), pages=True))

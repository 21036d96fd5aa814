"""RTF, reStructuredText and Org through pandoc to HTML, then with unstructured.

unstructured calls pandoc too, but without `--sandbox`: there a document can include any file of this machine.
"""

from __future__ import annotations

import subprocess

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.limits import die_with_parent
from llm_assets.corpora.parsing.readers import Document, Job, html
from llm_assets.corpora.parsing.results import Refused

FORMATS = {"text/rtf": "rtf", "text/x-rst": "rst", "text/org": "org"}


def read(data: bytes, job: Job) -> Document:
    """As HTML.

    Raises:
        Refused: corrupt, in pandoc's words.
    """
    import pypandoc

    # RTF is ASCII with its own escapes; the others are text in any encoding.
    content = data if job.media_type == "text/rtf" else decode(data).encode()
    command = [
        pypandoc.get_pandoc_path(),
        "--sandbox",
        "--from",
        FORMATS[job.media_type],
        "--to",
        "html",
        "--wrap=none",
    ]
    done = subprocess.run(  # noqa: S603  (a fixed program)
        command, input=content, capture_output=True, preexec_fn=die_with_parent, check=False
    )
    if done.returncode:
        raise Refused("corrupt", f"pandoc cannot read it: {done.stderr.decode('utf-8', 'replace').strip()[:300]}")
    return html.read_text(done.stdout.decode())

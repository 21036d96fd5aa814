"""Electronic mail (eml) in the source's charset."""

from __future__ import annotations

import hashlib
from email.header import Header
from email.mime.text import MIMEText
from email.utils import formataddr, parseaddr

from ..source import Source
from .text import write_txt


def write_eml(source: Source) -> bytes:
    """A mail whose subject is the title; `from`, `to`, `cc` and `date` come from the front matter."""
    charset = source.fields.get("encoding", "utf-8")
    mail = MIMEText(_body(source), "plain", charset)
    mail["Subject"] = Header(source.title, charset).encode()
    for name in ("from", "to", "cc"):
        if address := source.fields.get(name):
            mail[name.title()] = formataddr(parseaddr(address), charset)
    mail["Date"] = source.fields["date"]
    mail["Message-ID"] = f"<{hashlib.blake2b(source.path.encode(), digest_size=8).hexdigest()}@mail.example>"
    return mail.as_bytes()


def _body(source: Source) -> str:
    """The plain text without its first line, the title: that is the subject."""
    text = write_txt(source).decode(source.fields.get("encoding", "utf-8")).replace("\r\n", "\n")
    return text.partition("\n\n")[2]

"""Mail (.eml, and Outlook's .msg): headers, the body, and every attachment that is a document.

The message is taken apart here and not by unstructured, because its attachments would go past the guards for
bombs and encrypted files, and a part whose charset is misnamed (common in Japanese mail) would fail the whole mail.
HTML bodies are read with unstructured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import formataddr
from io import BytesIO
from typing import cast

from llm_assets.corpora.parsing.encodings import Undecodable, decode
from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.readers.plain import BLANK_LINE, paragraph
from llm_assets.corpora.parsing.results import Element, Refused

HEADERS = ("From", "To", "Cc", "Date")
MAX_DEPTH = 3  # mails in mails


def read_eml(data: bytes, job: Job) -> Document:
    """An RFC 822 message. The HTML body is used where there is one: it has the structure.

    Raises:
        Refused: encrypted.
    """
    message = cast("EmailMessage", message_from_bytes(data, policy=default))
    if message.get_content_type() in ("multipart/encrypted", "application/pkcs7-mime"):
        raise Refused("encrypted", "the mail is encrypted. Save it decrypted.")
    headers = {name: _header(message, name) for name in ("Subject", *HEADERS)}
    attached = [(part.get_filename() or "attachment", _payload(part)) for part in message.iter_attachments()]
    return _document(headers, _body(message), attached, job)


def read_msg(data: bytes, job: Job) -> Document:
    """An Outlook message."""
    from oxmsg import Message

    message = Message.load(BytesIO(data))
    if "encrypted" in message.message_headers.get("Content-Type", ""):
        raise Refused("encrypted", "the mail is encrypted. Save it decrypted.")
    headers = {
        "Subject": message.subject or "",
        "From": str(make_header(decode_header(message.sender or ""))),
        "To": ", ".join(formataddr((who.name, who.email_address)) for who in message.recipients if who.email_address),
        "Date": message.sent_date.isoformat(" ") if message.sent_date else "",
    }
    body = _html(message.html_body) if message.html_body else _plain(message.body or "")
    attached = [(item.file_name or "attachment", item.file_bytes or b"") for item in message.attachments]
    return _document(headers, body, attached, job)


def _document(headers: dict[str, str], body: list[Element], attached: list[tuple[str, bytes]], job: Job) -> Document:
    subject = headers.get("Subject", "")
    lines = "\n".join(f"{name}: {headers[name]}" for name in HEADERS if headers.get(name))
    top = [Element("title", subject, level=1)] if subject else []
    content = [element for element in body if element.text.strip()]
    content += [element for name, data in attached for element in _attachment(name, data, job)]
    # Headers alone are no content: a mail of which only they are left counts as nothing extracted.
    return Document([*top, Element("text", lines), *content] if content or subject else [], subject or None)


def _attachment(name: str, data: bytes, job: Job) -> Iterator[Element]:
    """Its name, and its content where it can be read: a picture or an encrypted file must not fail the mail."""
    from llm_assets.corpora.parsing.document import read_document

    yield Element("title", f"Attachment: {name}", level=2)
    if job.depth < MAX_DEPTH and data:
        try:
            _, document = read_document(name, data, job.options, depth=job.depth + 1)
            yield from map(_below_attachment, document.elements)
        except MemoryError:
            raise
        except Exception as error:  # any reader may fail on a broken attachment
            reason = error.reason if isinstance(error, Refused) else f"{type(error).__name__}"
            yield Element("text", f"(not read: {reason})")


def _below_attachment(element: Element) -> Element:
    """Its headings belong under the attachment's name, and its pages are not the mail's."""
    return replace(element, page=None, level=element.level + 2 if element.level else None)


def _body(message: EmailMessage) -> list[Element]:
    part = message.get_body(preferencelist=("html", "plain"))
    if part is None:
        return []
    text = _text(cast("EmailMessage", part))
    return _html(text) if part.get_content_type() == "text/html" else _plain(text)


def _html(text: str) -> list[Element]:
    from llm_assets.corpora.parsing.readers import html

    return html.body(text)


def _plain(text: str) -> list[Element]:
    return [paragraph(part) for part in BLANK_LINE.split(text.replace("\r\n", "\n")) if part.strip()]


def _text(part: EmailMessage) -> str:
    try:
        return decode(_payload(part), part.get_content_charset())
    except Undecodable:
        return ""


def _payload(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        return inner[0].as_bytes() if isinstance(inner, list) and inner else b""  # pyright: ignore
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, "") or "").strip()
    except Exception:  # the standard library raises many things on malformed headers
        return ""

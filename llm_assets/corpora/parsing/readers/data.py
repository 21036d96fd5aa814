"""JSON, JSON lines, notebooks and XML as text: their values are the content, their syntax is not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.results import Element, Refused
from llm_assets.corpora.parsing.text import one_line

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def read_json(data: bytes, _job: Job) -> Document:
    """An element per entry of a list, else one for the whole; each value on a line behind its path."""
    value = _loaded(decode(data), "the file")
    entries = value if isinstance(value, list) else [value]
    return Document([Element("text", "\n".join(_lines(entry))) for entry in entries])


def read_json_lines(data: bytes, _job: Job) -> Document:
    """An element per line."""
    lines = [(number, line) for number, line in enumerate(decode(data).splitlines(), 1) if line.strip()]
    return Document([Element("text", "\n".join(_lines(_loaded(line, f"line {number}")))) for number, line in lines])


def read_notebook(data: bytes, _job: Job) -> Document:
    """A Jupyter notebook's cells: Markdown as such, source as code; outputs are left out, they repeat."""
    from llm_assets.corpora.parsing.readers import markdown

    notebook = _loaded(decode(data), "the notebook")
    cells = notebook.get("cells", []) if isinstance(notebook, dict) else []
    elements: list[Element] = []
    for cell in cells if isinstance(cells, list) else []:
        if isinstance(cell, dict):
            source = cell.get("source", "")
            text = "".join(map(str, source)) if isinstance(source, list) else str(source)
            elements += markdown.elements(text) if cell.get("cell_type") == "markdown" else [Element("code", text)]
    return Document(elements)


def read_xml(data: bytes, _job: Job) -> Document:
    """The text of each element that directly holds some. Entities from outside are never loaded."""
    from llm_assets.corpora.parsing.xml import etree  # pyright: ignore[reportAttributeAccessIssue]  (no stubs)

    elements: list[Element] = []
    events = etree.iterparse(
        io.BytesIO(data), events=("end",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for _, node in events:
            if isinstance(node.tag, str) and (text := one_line(node.text or "")):
                elements.append(Element("text", text))
            elements += [Element("text", one_line(child.tail)) for child in node if (child.tail or "").strip()]
            node.clear(keep_tail=True)
    except etree.XMLSyntaxError as error:
        raise Refused("corrupt", f"the XML is not well-formed: {error}") from error
    return Document(elements)


def _loaded(text: str, what: str) -> Json:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refused("corrupt", f"{what} is not valid JSON: {error}") from error


def _lines(value: Json, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _lines(item, path)
    elif value is not None and value != "":
        yield f"{path}: {value}" if path else str(value)

"""The one way in which XML from documents is parsed: no entities, no network, no unbounded trees."""

from __future__ import annotations

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (a C extension without stubs)


def parse_xml(data: bytes) -> etree._Element:
    """The root element.

    Raises:
        etree.XMLSyntaxError: not well-formed, or beyond libxml2's limits.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(data, parser)

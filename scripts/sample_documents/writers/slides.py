"""Slides (pptx): a title slide, then one slide a level-2 heading with its text as bullets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..source import Heading, Source, Table
from .office import AUTHOR, saved

if TYPE_CHECKING:
    from pptx.presentation import Presentation as Deck
    from pptx.shapes.autoshape import Shape
    from pptx.text.text import TextFrame

_TITLE, _BULLETS = 0, 1  # layouts of the library's default template
_BULLET_SIZE = 20  # points; the template's own size lets four of our bullets run off the slide


def write_pptx(source: Source) -> bytes:
    """Text before the first heading has no slide to stand on, and a table does not fit beside bullets: refused.

    Raises:
        ValueError: the source has one of the two.
    """
    from pptx import Presentation

    deck = Presentation()
    deck.core_properties.author = AUTHOR
    deck.core_properties.title = source.title
    frame = _add_slide(deck, _TITLE, source.title)
    frame.text = source.fields["subtitle"]
    for block in source.blocks:
        if isinstance(block, Heading):
            frame = _add_slide(deck, _BULLETS, block.text)
        elif isinstance(block, Table) or len(deck.slides) == 1:
            raise ValueError(f"{source.path}: write it as headings with paragraphs or lists below them.")
        else:
            _add_bullet(frame, block.text)
    return saved(deck)


def _add_slide(deck: Deck, layout: int, title: str) -> TextFrame:
    """A new slide with its title; the frame returned is the one below it."""
    slide = deck.slides.add_slide(deck.slide_layouts[layout])
    heading, below = (cast("Shape", slide.placeholders[place]) for place in (0, 1))
    heading.text_frame.text = title
    return below.text_frame


def _add_bullet(frame: TextFrame, text: str) -> None:
    from pptx.util import Pt

    paragraph = frame.add_paragraph() if frame.text else frame.paragraphs[0]
    paragraph.text = text
    paragraph.font.size = Pt(_BULLET_SIZE)

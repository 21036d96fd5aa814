"""Guards against PDF text that is cut into lines, or runs together over paragraphs and table rows."""

from __future__ import annotations

from llm_assets.corpora.parsing.pdf_layout import Bookmark, Line, elements

LEFT, RIGHT, PITCH = 50.0, 300.0, 12.0


def lines(*texts: str, page: int = 1, top: float = 700.0, right: float = RIGHT, size: float = 10.0) -> list[Line]:
    """Lines below each other, as wide as the column."""
    return [
        Line(text, page, LEFT, right, top - PITCH * n, top - PITCH * n, size, bold=False)
        for n, text in enumerate(texts)
    ]


def heading(text: str, top: float, size: float = 10.0, bold: bool = False) -> Line:
    return Line(text, 1, LEFT, 150.0, top, top, size, bold)


def found(laid_out: list[Line], outline: list[Bookmark] | None = None) -> list[tuple[str, str, int | None]]:
    return [(element.kind, element.text, element.level) for element in elements(laid_out, outline or [])]


def test_lines_of_a_paragraph_run_on_with_spaces_only_between_words() -> None:
    assert found(lines("a long line of", "English text")) == [("text", "a long line of English text", None)]
    assert found(lines("本契約は甲と乙との間", "の取引を定める。")) == [
        ("text", "本契約は甲と乙との間の取引を定める。", None)
    ]


def test_a_wider_gap_starts_a_paragraph() -> None:
    laid_out = lines("one", "two", "three") + lines("four", top=700 - 2 * PITCH - 1.6 * PITCH)
    assert [text for _, text, _ in found(laid_out)] == ["one two three", "four"]


def test_a_short_line_that_ends_a_sentence_ends_the_paragraph() -> None:
    first, second, *rest = lines("A sentence that is long and", "ends here.", "Another one that is", "long too")
    short = Line(second.text, 1, LEFT, 120.0, second.bottom, second.bottom, 10.0, False)
    assert len(found([first, short, *rest])) == 2


def test_short_lines_of_one_block_stay_lines() -> None:
    laid_out = [*lines("12 Main Street", "Springfield", right=120.0), *lines("and a line that is full", top=676.0)]
    assert [text for _, text, _ in found(laid_out)] == ["12 Main Street\nSpringfield\nand a line that is full"]


def test_cells_of_a_row_stay_together() -> None:
    row = [
        Line(text, 1, left, left + 40, 700.0, 700.0, 10.0, False) for text, left in (("Total", 50), ("EUR 12", 260))
    ]
    assert found(row) == [("text", "Total EUR 12", None)]


def test_larger_or_bolder_short_lines_are_headings_by_prominence() -> None:
    body = lines("This is the body of the text", "which has more letters than all else")
    laid_out = [heading("Title", 800, size=20), heading("Section", 760, bold=True), *body]
    assert found(laid_out)[:2] == [("title", "Title", 1), ("title", "Section", 2)]


def test_a_bold_total_is_no_heading() -> None:
    laid_out = [*lines("This is the body of the text"), heading("Total 48 12,500.00", 600, bold=True)]
    assert [kind for kind, *_ in found(laid_out)] == ["text", "text"]


def test_the_outline_decides_on_headings_and_levels() -> None:
    laid_out = [
        heading("1.2 Term", 790),
        heading("第3章 解除", 760),
        heading("Large print", 730, size=20),
        *lines("This is the body of the text"),
    ]
    assert found(laid_out, [Bookmark("1.2 Term", 2), Bookmark("解除", 1)]) == [
        ("title", "1.2 Term", 2),
        ("title", "第3章 解除", 1),
        ("text", "Large print", None),
        ("text", "This is the body of the text", None),
    ]


def test_a_page_starts_a_paragraph_and_keeps_its_number() -> None:
    assert [element.page for element in elements(lines("one") + lines("two", page=2), [])] == [1, 2]

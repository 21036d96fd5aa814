"""Guards against sentences cut at abbreviations, inside quotations, or not at all where there are no spaces."""

from __future__ import annotations

import time

import pytest

from llm_assets.corpora.chunking.sentences import sentence_spans


def sentences(text: str, language: str = "en") -> list[str]:
    return [text[start:end].strip() for start, end in sentence_spans(text, language)]


@pytest.mark.parametrize(
    "expected",
    [
        ["The rent is due.", "It is paid monthly.", "Is it late?", "Then interest accrues!"],
        ["See Art. 5 and No. 3, e.g. the annex, i.e. the list.", "Dr. Sato of Acme Inc. signs."],
        ["It was sold to Acme Inc.", "The price was USD 1.5 million."],
        ["J. R. Smith left.", "So did I.", "Then we closed."],
        ['He said "Stop."', "Then he left.", "(So it is.)", "Yes."],
        ["1. Rent is due.", "2. It is paid."],
        ["Version 2.0.1 of node.js runs.", "It is fine."],
        ["He waited...", "Nothing came."],
    ],
)
def test_english_sentences_end_where_a_reader_ends_them(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["本契約は成立した。", "賃料は月額とする。", "本当か！？", "はい。"],
        ["「行くぞ。」と彼は言った。", "「終わり。」", "次に進む。"],
        ["賃借人（以下「乙」という。）は支払う。", "乙は通知する。"],
        ["料率は３．５％とする。", "Node.jsを使う。"],
        ["『規程。』", "第二章に続く。"],
    ],
)
def test_japanese_sentences_end_without_spaces_and_not_inside_quotations(expected: list[str]) -> None:
    assert sentences("".join(expected), "ja") == expected


def test_both_languages_mix_in_one_paragraph() -> None:
    assert sentences("甲はAcme Inc. の株主である。The buyer pays. 乙は売主である。") == [
        "甲はAcme Inc. の株主である。",
        "The buyer pays.",
        "乙は売主である。",
    ]


def test_abbreviations_depend_on_the_language() -> None:
    assert len(sentences("Siehe Abs. 3 des Vertrags.", "de")) == 1
    assert len(sentences("He has strong Abs. 3 days later he rested.", "en")) == 2


def test_numbered_lines_and_blank_lines_part_sentences() -> None:
    assert sentences("以下のとおり\n第1条 目的\n第2条 定義", "ja") == ["以下のとおり", "第1条 目的", "第2条 定義"]
    assert sentences("first part\n\nsecond part\n- third") == ["first part", "second part", "- third"]


def test_an_unclosed_bracket_does_not_hold_the_rest_together() -> None:
    text = "「閉じない括弧。" + "文がある。" * 100
    assert len(sentences(text, "ja")) > 30


def test_spans_cover_the_text_without_gaps() -> None:
    text = "  One.  Two。三つ目！「四。」 \n\n five "
    spans = sentence_spans(text, "en")
    assert "".join(text[start:end] for start, end in spans) == text


@pytest.mark.parametrize("unit", ["A. ", "。", "「", "a.b", ". . . ", "\n", "（。）", "no. ", "No. 5 ", '." '])
def test_time_is_linear_in_the_text(unit: str) -> None:
    def seconds(repeats: int) -> float:
        text = unit * repeats
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            sentence_spans(text, "en")
            best = min(best, time.process_time() - started)
        return best

    assert seconds(20_000) < 8 * seconds(5_000) + 0.05  # quadratic would be 16 times

"""Guards against chunks that lose text, lose their heading, or are cut off when they are embedded."""

from __future__ import annotations

import itertools
import random
import time
import unicodedata

import pytest

from llm_assets.corpora.chunking import Chunk, Chunker
from llm_assets.corpora.parsing import Element
from resources.embedder import TokenCounter

ENGLISH = (
    "The supplier shall deliver the goods within thirty days. If delivery is late, see Art. 5; the buyer may "
    "withdraw. Dr. Sato of Acme Inc. (the “Agent”) confirms receipt, e.g. by e-mail. Is notice needed? Yes! "
)
JAPANESE = (
    "売主は、注文書に指定する場所に目的物を納入するものとする。買主（以下「乙」という。）は、納入後十日以内に検査を行う。"
    "「異議がある。」と通知した場合は、この限りでない。ﾊﾟｿｺﾝの代金は別途定める！　"
)
ODD = "👩‍👩‍👧‍👦 e\u0301a\u0308 \u200b हिन्दी ｶﾞｷﾞ 𠮷野家 🇯🇵🇫🇷 ﷽ \t\xa0"


def packed(text: str) -> str:
    return "".join(text.split())


def contains_in_order(needle: str, hay: str) -> bool:
    rest = iter(hay)
    return all(character in rest for character in needle)


def random_text(chance: random.Random) -> str:
    source = chance.choice([ENGLISH, JAPANESE, ENGLISH + JAPANESE, ODD, ENGLISH.replace(" ", ""), "ab" * 200])
    text = source * chance.randrange(1, 6)
    start = chance.randrange(len(text))
    return text[start : start + int(10 ** chance.uniform(0, 3.2))]


def random_document(chance: random.Random) -> list[Element]:
    elements = []
    for number in range(chance.randrange(0, 14)):
        kind = chance.choice(["title", "text", "text", "text", "list_item", "table", "code"])
        page = 1 + number // 4
        if kind == "title":
            text = random_text(chance)[: chance.choice([12, 40, 900])]
            elements.append(Element(kind, text, page, chance.choice([None, 1, 2, 3])))
        elif kind == "table":
            rows = [f"{random_text(chance)[:30].strip()} | {row}" for row in range(chance.randrange(1, 40))]
            elements.append(Element(kind, "\n".join(rows), page))
        else:
            elements.append(Element(kind, random_text(chance), page))  # type: ignore[arg-type]
    return elements


def test_nothing_is_lost_and_nothing_is_too_long_for_the_embedder(tokens: TokenCounter) -> None:
    chance = random.Random(20)
    for _ in range(150):
        document = random_document(chance)
        bound = chance.choice([16, 40, 200, 254])
        chunks = Chunker(tokens, bound, chance.choice([0, bound // 8])).chunk(document, "en")
        wanted = packed("".join(element.text for element in document))
        assert contains_in_order(wanted, packed("".join(chunk.text for chunk in chunks)))
        assert [chunk.tokens for chunk in chunks] == tokens.count([chunk.text for chunk in chunks])
        assert all(chunk.tokens <= bound for chunk in chunks)
        assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
        assert all(chunk.text.strip() for chunk in chunks)


def test_without_headings_tables_and_overlap_nothing_is_repeated(tokens: TokenCounter) -> None:
    chance = random.Random(21)
    for _ in range(100):
        document = [Element("text", random_text(chance)) for _ in range(chance.randrange(8))]
        chunks = Chunker(tokens, chance.choice([16, 60])).chunk(document, "ja")
        assert packed("".join(c.text for c in chunks)) == packed("".join(e.text for e in document))


def test_the_same_document_gives_the_same_chunks(tokens: TokenCounter) -> None:
    document = random_document(random.Random(22))
    assert Chunker(tokens, 64, 8).chunk(document, "en") == Chunker(tokens, 64, 8).chunk(document, "en")


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_every_chunk_of_a_section_begins_with_its_heading(tokens: TokenCounter) -> None:
    document = [Element("title", "Lease", 1, 1), Element("title", "Deposit", 1, 2), Element("text", ENGLISH * 6, 2)]
    chunks = Chunker(tokens, 100).chunk(document, "en")
    assert len(chunks) > 2
    assert chunks[0].text.startswith("Lease\n\nDeposit\n\nThe supplier")
    assert all(chunk.text.startswith("Deposit\n") for chunk in chunks[1:])
    assert all(chunk.headings == ("Lease", "Deposit") for chunk in chunks)
    assert [chunk.page for chunk in chunks] == [1] + [2] * (len(chunks) - 1)


def test_a_heading_begins_a_new_chunk_once_the_current_one_is_big_enough(tokens: TokenCounter) -> None:
    short, long = "Brief clause. ", ENGLISH
    document = []
    for name, body in [("One", short), ("Two", long), ("Three", short)]:
        document += [Element("title", name, None, 1), Element("text", body)]
    chunks = Chunker(tokens, 120).chunk(document, "en")
    assert [chunk.headings for chunk in chunks] == [("One",), ("Three",)]  # the first small section joins the next
    assert "Two" in chunks[0].text


def test_a_heading_never_ends_a_chunk_that_has_something_else(tokens: TokenCounter) -> None:
    chance = random.Random(23)
    for _ in range(60):
        document = []
        for number in range(8):
            document.append(Element("title", f"Heading {number}", None, chance.choice([1, 2])))
            document.append(Element("text", ENGLISH[: chance.randrange(1, len(ENGLISH))]))
        for chunk in Chunker(tokens, 60).chunk(document, "en"):
            assert not chunk.text.splitlines()[-1].startswith("Heading")


def test_headings_of_a_level_end_those_below_it(tokens: TokenCounter) -> None:
    document = []
    for name, level in [("A", 1), ("A.1", 2), ("A.1.x", 3), ("A.2", 2), ("B", 1)]:
        document += [Element("title", name, None, level), Element("text", ENGLISH)]
    paths = [chunk.headings for chunk in Chunker(tokens, 70).chunk(document, "en")]
    assert list(dict.fromkeys(paths)) == [("A",), ("A", "A.1"), ("A", "A.1", "A.1.x"), ("A", "A.2"), ("B",)]


def test_a_table_that_is_parted_repeats_its_first_row(tokens: TokenCounter) -> None:
    rows = ["item | price", *(f"article {number} | {number * 100} yen" for number in range(40))]
    chunks = Chunker(tokens, 80).chunk([Element("table", "\n".join(rows))], "en")
    assert len(chunks) > 2
    assert all(text.startswith("item | price\n") for text in texts(chunks))
    assert [line for text in texts(chunks) for line in text.splitlines()[1:]] == rows[1:]


def test_a_list_that_fits_into_a_chunk_stays_together(tokens: TokenCounter) -> None:
    items = [Element("list_item", f"duty number {number} of the tenant") for number in range(8)]
    chunks = Chunker(tokens, 100).chunk([Element("text", ENGLISH), *items], "en")
    assert texts(chunks)[1].splitlines() == [item.text for item in items]


def test_sentences_are_parted_only_between(tokens: TokenCounter) -> None:
    for text, ends in [(ENGLISH * 8, ".!?"), (JAPANESE * 8, "。！")]:
        for chunk in Chunker(tokens, 120).chunk([Element("text", text)], "en"):
            assert chunk.text[-1] in ends


def test_overlap_repeats_whole_sentences_within_its_bound(tokens: TokenCounter) -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(60))
    chunks = Chunker(tokens, 60, 14).chunk([Element("text", text)], "en")
    for left, right in itertools.pairwise(chunks):
        repeated = right.text[: right.text.index(".", 10) + 1]
        assert left.text.endswith(right.text.split(".")[1].strip() + ".")
        assert repeated in left.text


def test_a_too_long_sentence_is_cut_behind_clauses(tokens: TokenCounter) -> None:
    english = ", ".join(f"the party of part {number}" for number in range(40))
    japanese = "、".join("当該契約に定める義務" for _ in range(40))
    for text, mark in [(english, ","), (japanese, "、")]:
        chunks = Chunker(tokens, 50).chunk([Element("text", text)], "en")
        assert all(chunk.text.endswith(mark) for chunk in chunks[:-1])


def test_a_cut_never_parts_a_grapheme(tokens: TokenCounter) -> None:
    for grapheme in ["👩‍👩‍👧‍👦", "e\u0301", "ﾊﾟ", "🇯🇵", "क्षि"]:
        for chunk in Chunker(tokens, 16).chunk([Element("text", grapheme * 200)], "en"):
            assert len(chunk.text) % len(grapheme) == 0
            assert not unicodedata.category(chunk.text[0]).startswith("M")


def test_a_blob_without_spaces_is_bounded_in_characters(tokens: TokenCounter) -> None:
    chunks = Chunker(tokens, 100).chunk([Element("text", "A" * 50_000)], "en")
    assert max(len(chunk.text) for chunk in chunks) <= 100 * 16


def test_an_empty_document_has_no_chunks(tokens: TokenCounter) -> None:
    assert Chunker(tokens).chunk([], "en") == []
    assert Chunker(tokens).chunk([Element("text", " \n "), Element("title", "")], "en") == []


def test_the_fingerprint_covers_what_changes_the_chunks(tokens: TokenCounter) -> None:
    prints = {Chunker(tokens, bound, overlap).fingerprint for bound, overlap in [(100, 0), (101, 0), (100, 10)]}
    other = TokenCounter(tokens.file, tokens.max_tokens, lowercase=True)
    assert len(prints | {Chunker(other, 100).fingerprint}) == 4
    assert Chunker(tokens, 100).fingerprint in prints


@pytest.mark.parametrize(("bound", "overlap"), [(255, 0), (15, 0), (100, 51), (100, -1)])
def test_bounds_that_the_embedder_cannot_keep_are_refused(tokens: TokenCounter, bound: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="Permitted"):
        Chunker(tokens, bound, overlap)


@pytest.mark.parametrize("text", [ENGLISH, JAPANESE, "word ", "字", "A", "a, "])
def test_time_is_linear_in_the_document(tokens: TokenCounter, text: str) -> None:
    def seconds(characters: int) -> float:
        document = [Element("text", text * (characters // len(text)))]
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            Chunker(tokens, 64).chunk(document, "en")
            best = min(best, time.process_time() - started)
        return best

    assert seconds(100_000) < 8 * seconds(25_000) + 0.1  # quadratic would be 16 times

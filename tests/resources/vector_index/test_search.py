"""What a search finds."""

from __future__ import annotations

import numpy as np
import pytest

from resources.vector_index import IndexSpec, InvalidQuery
from tests.resources.vector_index.corpus import DIMENSION, TOPICS, batches, chunk, chunks, topic_vector

JAPANESE = "乙は、本契約の終了後も三年間、秘密情報を第三者に開示してはならない。"


@pytest.fixture
def library(filled):
    """English and Japanese contracts, one of them with a title that its text does not repeat."""
    return filled(
        [
            *chunks(range(40)),
            chunk(100, text=JAPANESE, topic="privacy", language="ja", uri="documents/ja/nda.pdf", page=3),
            chunk(
                101,
                text="甲は、賃料を毎月末日までに支払う。",
                topic="lease",
                language="ja",
                uri="documents/ja/lease.docx",
            ),
            chunk(102, text="It ends after two years.", title="Zephyr agreement", headings=["Term and Ending"]),
        ]
    )


def test_words_are_found_in_english_and_japanese(index, library):
    assert index.search(library, text="秘密情報の開示", mode="text")[0].chunk_id == "c000100"
    assert index.search(library, text="賃料はいつ払いますか", mode="text")[0].chunk_id == "c000101"
    assert index.search(library, text="the 17th clauses", mode="text")[0].text.startswith("Clause")


def test_a_passage_is_found_by_its_title_and_headings(index, library):
    for text in ("zephyr agreements", "term"):
        assert index.search(library, text=text, mode="text")[0].chunk_id == "c000102"


def test_vectors_find_their_topic_best_first(index, library):
    hits = index.search(library, vector=topic_vector("salary"), mode="vector", k=5)
    assert {hit.uri.split("/")[1] for hit in hits} == {"salary"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert 0.8 < hits[0].score <= 1.0
    assert hits[0].vector_score == hits[0].score
    assert hits[0].text_score is None


def test_a_hit_carries_its_source(index, library):
    hit = index.search(library, text="秘密情報", mode="text", k=1)[0]
    assert (hit.text, hit.uri, hit.page, hit.language) == (JAPANESE, "documents/ja/nda.pdf", 3, "ja")
    assert (hit.headings, hit.title, hit.ordinal, hit.doc_id) == ((), None, 0, "d00020")
    assert index.search(library, text="zephyr", mode="text")[0].headings == ("Term and Ending",)


def test_hybrid_gives_each_chunk_once_with_the_scores_of_both_halves(index, library):
    hits = index.search(library, text="Clause 17 about salary", vector=topic_vector("salary"), k=43)
    assert len({hit.chunk_id for hit in hits}) == len(hits) == 43
    assert hits[0].chunk_id == "c000017"
    assert hits[0].text_score is not None
    assert hits[0].vector_score is not None


def test_a_blind_embedder_does_not_drown_what_the_words_found(index, library):
    question = {"text": "秘密情報の開示と賃料", "vector": topic_vector("lease")}
    assert index.search(library, **question, dense_trust=1.0)[0].chunk_id == "c000101"
    assert index.search(library, **question, dense_trust=0.0)[0].chunk_id == "c000100"


def test_without_any_word_in_common_the_vectors_still_answer(index, library):
    hits = index.search(library, text="qwertz", vector=topic_vector("insurance"), dense_trust=0.0, k=3)
    assert {hit.uri.split("/")[1] for hit in hits} == {"insurance"}


@pytest.mark.parametrize("text", ["", "?!", "the of and", "   ", 'a" OR (b', "*:*", "～…。"])
def test_text_without_words_finds_nothing_and_breaks_nothing(index, library, text):
    assert len(index.search(library, text=text, mode="text")) <= 10
    assert len(index.search(library, text=text, vector=topic_vector("travel"), k=4)) == 4


@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"language": "ja"}, {"c000100", "c000101"}),
        ({"language": ["ja", "fr"], "uri": "documents/ja/nda.pdf"}, {"c000100"}),
        ({"uri_prefix": "documents/ja/l"}, {"c000101"}),
        ({"doc_id": ["d00020"], "media_type": "text/markdown"}, {"c000100", "c000101", "c000102"}),
        ({"language": "x' OR '1'='1"}, set()),
        ({"language": []}, set()),
    ],
)
def test_filters_hold_for_every_hit(index, library, mode, where, expected):
    hits = index.search(
        library, text="秘密情報 賃料 two years", vector=topic_vector("lease"), mode=mode, where=where, k=50
    )
    assert {hit.chunk_id for hit in hits} == expected


def test_an_apostrophe_in_a_filter_is_text(index, filled):
    snapshot = filled([chunk(1, uri="documents/O'Neill.md"), chunk(2)])
    for where in ({"uri": "documents/O'Neill.md"}, {"uri_prefix": "documents/O'"}):
        assert [hit.chunk_id for hit in index.search(snapshot, text="Clause", mode="text", where=where)] == [
            "c000001"
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "x"}, "needs the question's vector"),
        ({"vector": topic_vector("lease")}, "needs the question's text"),
        ({"text": "x", "vector": [1.0, 2.0]}, "collection's own embedder"),
        ({"text": "x", "vector": np.zeros(DIMENSION)}, "not zero"),
        ({"text": "x", "mode": "fuzzy"}, "permitted: hybrid, vector, text"),
        ({"text": "x", "mode": "text", "where": {"colour": "red"}}, "permitted: doc_id, language"),
        ({"text": "x", "mode": "text", "where": {"language": [1]}}, "not text"),
    ],
)
def test_a_search_that_cannot_be_run_says_why(index, library, arguments, message):
    with pytest.raises(InvalidQuery, match=message):
        index.search(library, **arguments)


def test_a_large_collection_is_searched_through_a_graph_that_finds_nearly_all(index):
    rows = chunks(range(3000))
    index.create("large", IndexSpec(DIMENSION, exact_below=1000))
    snapshot = index.apply("large", None, batches(rows), [])
    checked = index.verify(snapshot, 3000)
    assert checked.problems(minimum_recall=0.95) == []
    assert checked.sampled == 64
    later = index.apply("large", snapshot, batches([chunk(9999, topic="newcomer")]), [f"c{n:06d}" for n in range(8)])
    assert index.search(later, vector=topic_vector("newcomer"), mode="vector", k=1)[0].chunk_id == "c009999"
    nearest = index.search(later, vector=topic_vector(TOPICS[0]), mode="vector", k=10)
    assert "c000000" not in {hit.chunk_id for hit in nearest}
    assert len(nearest) == 10


def test_verification_says_what_is_missing(index, filled):
    problems = index.verify(filled(chunks(range(5))), 7).problems()
    assert problems == ["holds 5 chunks instead of 7"]

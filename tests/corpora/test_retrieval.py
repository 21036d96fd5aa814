"""The corpus's own questions: reading them, measuring a search, the gate, the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_assets.corpora.retrieval import (
    METRICS,
    EvaluationSetError,
    Gate,
    GateError,
    evaluate,
    read_evaluation_set,
    resolve,
)
from llm_assets.corpora.retrieval.chart import retrieval_chart
from resources.vector_index import Hit

QUERIES = [
    {"_id": "q1", "text": "When is rent due?", "language": "en"},
    {"_id": "q2", "text": "秘密保持の期間は？", "language": "ja"},
    {"_id": "q3", "text": "Nobody judged this"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\tcontracts/lease.docx\t1\nq2\t秘密保持契約書.pdf\t2\n"
URIS = ["documents/contracts/lease.docx", "documents/秘密保持契約書.pdf", "documents/other.md"]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def files(queries: list[dict] | str = QUERIES, qrels: str | None = QRELS, name: str = "test.tsv") -> Path:
        text = queries if isinstance(queries, str) else "".join(json.dumps(row) + "\n" for row in queries)
        (tmp_path / "queries.jsonl").write_text(text, "utf-8")
        (tmp_path / "qrels").mkdir(exist_ok=True)
        if qrels is not None:
            (tmp_path / "qrels" / name).write_text(qrels, "utf-8")
        return tmp_path

    return files


def hit(uri: str, text: str = "", number: int = 0) -> Hit:
    return Hit(f"{uri}-{number}", uri, uri, number, text, None, None, (), "en", "text/plain", 1.0)


def searching(answers: dict[str, list[Hit]]) -> Callable[[str], list[Hit]]:
    return lambda text: answers.get(text, [])


def test_questions_and_judgements_are_read(write):
    judged = read_evaluation_set(write())
    assert [(query.id, query.language) for query in judged.queries] == [("q1", "en"), ("q2", "ja")]
    assert [(row.document, row.score) for row in judged.judgements] == [
        ("contracts/lease.docx", 1),
        ("秘密保持契約書.pdf", 2),
    ]
    assert judged.unjudged == 1


def test_files_as_other_tools_write_them_are_read_too(write):
    folder = write(qrels="\ufeffq1\tcontracts/lease.docx\t1\r\n\r\nq2\t秘密保持契約書.pdf\t1\r\n")
    assert len(read_evaluation_set(folder).judgements) == 2


def test_the_test_split_is_preferred_and_others_are_used_without_one(write):
    write(qrels="q1\tother.md\t1\n", name="dev.tsv")
    assert read_evaluation_set(write(qrels=None)).judgements[0].document == "other.md"
    assert read_evaluation_set(write()).judgements[0].document == "contracts/lease.docx"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"queries": '{"_id": "q1"}'}, r"queries.jsonl:1: not a question"),
        ({"queries": "[1]"}, r"queries.jsonl:1: not a question"),
        ({"queries": "{broken"}, r"queries.jsonl:1: not a question"),
        ({"queries": [{"_id": "q1", "text": " "}]}, "'q1' has no text"),
        ({"queries": [QUERIES[0], QUERIES[0]]}, r"queries.jsonl:2: question id 'q1' is used twice"),
        ({"qrels": "q1 other.md 1\n"}, r"test.tsv:1: 1 tab-separated fields"),
        ({"qrels": "q9\tother.md\t1\n"}, r"test.tsv:1: question 'q9' is not in queries.jsonl"),
        ({"qrels": "q1\tother.md\thigh\n"}, r"test.tsv:1: score 'high'"),
        ({"qrels": "q1\tother.md\t0\n"}, "judges no document relevant"),
        ({"qrels": None}, "has no .tsv file"),
    ],
)
def test_broken_files_are_named_with_their_line(write, files, message):
    with pytest.raises(EvaluationSetError, match=message):
        read_evaluation_set(write(**files))


def test_a_missing_folder_says_what_an_evaluation_is(tmp_path):
    with pytest.raises(EvaluationSetError, match=r"queries\.jsonl is missing"):
        read_evaluation_set(tmp_path / "nowhere")


def test_documents_are_named_by_path_by_beir_id_or_by_uri(write):
    judged = read_evaluation_set(write(qrels="q1\ta.md\t1\nq1\td7\t1\nq2\tx/b.md\t1\n"))
    targets = resolve(judged, ["docs/a.md", "beir/corpus.jsonl#d7", "x/b.md"], ["docs", "beir", "x"])
    assert [target.uri for target in targets.by_query["q1"]] == ["docs/a.md", "beir/corpus.jsonl#d7"]
    assert [target.uri for target in targets.by_query["q2"]] == ["x/b.md"]
    assert targets.unknown == ()


def test_names_match_whichever_way_the_file_system_composes_kana(write):
    judged = read_evaluation_set(write(qrels="q1\tデータ.md\t1\n"))
    decomposed = "docs/テ\u3099ータ.md"
    assert resolve(judged, [decomposed], ["docs"]).by_query["q1"][0].uri == decomposed


def test_a_judged_document_that_is_missing_is_reported_and_costs_points(write):
    targets = resolve(read_evaluation_set(write()), URIS[:1], ["documents"])
    report = evaluate(searching({"When is rent due?": [hit(URIS[0])]}), targets)
    assert report.unknown == ("秘密保持契約書.pdf",)
    assert report.metrics["ndcg@10"] == 0.5


def test_judgements_of_another_corpus_are_refused_with_examples(write):
    with pytest.raises(EvaluationSetError, match=r"none of the 2 .* below documents.* 'documents/other.md'"):
        resolve(read_evaluation_set(write()), URIS[2:], ["documents"])


def test_a_name_that_fits_two_sources_must_be_written_in_full(write):
    judged = read_evaluation_set(write(qrels="q1\ta.md\t1\n"))
    with pytest.raises(EvaluationSetError, match=r"write the uri: x/a.md, y/a.md"):
        resolve(judged, ["x/a.md", "y/a.md"], ["x", "y"])


def test_metrics_are_what_their_definitions_give(write):
    """First question: relevant at rank 1. Second: relevant at rank 2, so nDCG 1/log2(3), reciprocal rank 1/2."""
    targets = resolve(read_evaluation_set(write()), URIS, ["documents"])
    answers = {"When is rent due?": [hit(URIS[0])], "秘密保持の期間は？": [hit(URIS[2]), hit(URIS[1])]}
    report = evaluate(searching(answers), targets)
    assert report.metrics["ndcg@10"] == pytest.approx((1 + 0.63093) / 2, abs=1e-4)
    assert report.metrics["mrr@10"] == 0.75
    assert report.metrics["recall@10"] == report.metrics["recall@5"] == 1.0
    assert report.by_language["ja"]["mrr@10"] == 0.5
    assert [(row.query_id, row.first_relevant, row.top) for row in report.per_query] == [
        ("q1", 1, URIS[0]),
        ("q2", 2, URIS[2]),
    ]
    assert report.metrics.keys() == METRICS.keys()


def test_chunks_of_one_document_count_once_at_the_best_place(write):
    targets = resolve(read_evaluation_set(write(qrels="q1\tcontracts/lease.docx\t1\n")), URIS, ["documents"])
    crowd = [hit(URIS[2], number=number) for number in range(30)]
    report = evaluate(searching({"When is rent due?": [*crowd, hit(URIS[0]), hit(URIS[0], number=1)]}), targets)
    assert report.per_query[0].first_relevant == 2


def test_a_judged_passage_counts_only_where_the_chunk_contains_it(write):
    folder = write(
        qrels="q1\tcontracts/lease.docx\t1\tdue on the  first day\nq2\t秘密保持契約書.pdf\t1\t三年間存続する\n"
    )
    targets = resolve(read_evaluation_set(folder), URIS, ["documents"])
    lease = [hit(URIS[0], "The parties are …"), hit(URIS[0], "Rent is due\non the first\nday of a month.", 1)]
    broken_line = [hit(URIS[1], "本契約は三年\n間存続する。")]
    report = evaluate(searching({"When is rent due?": lease, "秘密保持の期間は？": broken_line}), targets)
    assert [row.first_relevant for row in report.per_query] == [2, 1]
    missed = evaluate(searching({"When is rent due?": lease[:1]}), targets)
    assert missed.metrics["recall@10"] == 0.0


def test_a_search_that_finds_nothing_scores_nothing(write):
    report = evaluate(searching({}), resolve(read_evaluation_set(write()), URIS, ["documents"]))
    assert set(report.metrics.values()) == {0.0}
    assert [(row.first_relevant, row.top) for row in report.per_query] == [(None, None)] * 2
    assert report.per_query[0].row()["ndcg"] == 0.0


def test_the_gate_says_what_falls_short():
    gate = Gate({"ndcg@10": 0.6, "recall@10": 0.9})
    assert gate.failures({"ndcg@10": 0.61, "recall@10": 0.9}) == []
    assert gate.failures({"ndcg@10": 0.55, "recall@10": 0.9}) == [
        "ndcg@10 is 0.550, below the 0.6 that the gate asks for"
    ]


@pytest.mark.parametrize(
    ("minimum", "message"), [({"ndgc@10": 0.5}, "permitted: ndcg@10"), ({"mrr@10": 60}, "0 and 1")]
)
def test_a_gate_on_something_impossible_is_refused(minimum, message):
    with pytest.raises(GateError, match=message):
        Gate(minimum)


@pytest.mark.parametrize("count", [1, 12, 200])
def test_the_picture_shows_any_number_of_questions(write, count):
    rows = [{"_id": f"質問{n}" if n % 2 else f"q{n}", "text": f"question {n}"} for n in range(count)]
    folder = write(queries=rows, qrels="".join(f"{row['_id']}\tcontracts/lease.docx\t1\n" for row in rows))
    targets = resolve(read_evaluation_set(folder), URIS, ["documents"])
    places = {row["text"]: [*[hit(URIS[2])] * (n % 3), hit(URIS[0])] for n, row in enumerate(rows)}
    png = retrieval_chart(evaluate(searching(places), targets))
    assert png.startswith(b"\x89PNG")
    assert 5_000 < len(png) < 200_000

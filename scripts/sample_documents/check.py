"""What can be wrong with the sample: stale files, and questions whose passages are not in the documents."""

from __future__ import annotations

from .project import DOCUMENTS, Relevance, read_queries, read_relevances
from .source import Source, plain_text, read_sources
from .writers import render
from .writers.pdf import pdf_lines

MAX_PASSAGE = 80  # characters


def problems() -> list[str]:
    """One sentence for each thing that is wrong; empty if nothing is."""
    sources = read_sources()
    return stale_documents(sources) + unanswerable_questions(sources)


def stale_documents(sources: list[Source]) -> list[str]:
    """Documents that are missing, differ from their source's rendering, or have no source.

    Bytes are compared, so a new version of a library that writes a format can make all its files stale.
    """
    found = []
    for source in sources:
        file = DOCUMENTS / source.path
        if not file.exists():
            found.append(f"{source.path}: not written yet; run python -m scripts.sample_documents.")
        elif file.read_bytes() != render(source):
            found.append(f"{source.path}: differs from its source; run python -m scripts.sample_documents.")
    known = {source.path for source in sources}
    paths = (file.relative_to(DOCUMENTS).as_posix() for file in DOCUMENTS.rglob("*") if file.is_file())
    return found + [f"{path}: has no source; delete it or write one." for path in sorted(paths) if path not in known]


def unanswerable_questions(sources: list[Source]) -> list[str]:
    """Questions without a passage, and passages that do not stand in exactly one place of a readable document."""
    texts = {source.path: searchable_text(source) for source in sources if not source.broken}
    relevances = read_relevances()
    asked = {query.id for query in read_queries()}
    answered = {relevance.query_id for relevance in relevances}
    found = [f"queries.jsonl: {query} has no passage in qrels/test.tsv." for query in sorted(asked - answered)]
    found += [f"qrels/test.tsv: {query} is not in queries.jsonl." for query in sorted(answered - asked)]
    return found + [problem for relevance in relevances if (problem := _passage_problem(relevance, texts))]


def searchable_text(source: Source) -> str:
    """The text as an extraction gives it: a PDF's lines end where they were printed."""
    if source.suffix == "pdf":
        return "\n".join(line.text for line in pdf_lines(source))
    return plain_text(source)


def _passage_problem(relevance: Relevance, texts: dict[str, str]) -> str | None:
    places = {path: text.count(relevance.passage) for path, text in texts.items() if relevance.passage in text}
    where = f"qrels/test.tsv: {relevance.query_id}: '{relevance.passage}'"
    if len(relevance.passage) > MAX_PASSAGE:
        return f"{where} is longer than {MAX_PASSAGE} characters."
    if relevance.path not in places:
        return f"{where} does not stand in one line of {relevance.path}."
    if sum(places.values()) != 1:
        return f"{where} stands in more than one place: {places}."
    return None

"""Examples made of a corpus: each chunk fills a prompt template and a completion template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from string import Formatter
from typing import Any

from llm_assets.models.examples import Example, ExamplesError
from llm_assets.models.settings import CorpusExamplesSettings

FIELDS = ("text", "title", "folder", "uri", "headings", "language")
COLUMNS = ("chunk_id", "doc_id", "uri", "ordinal", "text", "title", "headings", "language")


def corpus_examples(
    settings: CorpusExamplesSettings, chunks: Iterable[Mapping[str, Any]], source: str
) -> list[Example]:
    """Examples from chunk rows, in the order of document and chunk.

    Args:
        settings: the templates.
        chunks: rows with `COLUMNS`.
        source: the path of the corpus' source, as in its YAML; `folder` is the first folder below it.

    Raises:
        ExamplesError: a template holds an unknown field, or the corpus gives no example.
    """
    for name in ("prompt", "completion"):
        check_template(f"data.corpus.{name}", getattr(settings, name))
    rows = sorted(chunks, key=lambda row: (row["uri"], row["ordinal"]))
    long_enough = [row for row in rows if len(row["text"]) >= settings.min_chars]
    made = [_example(settings, row, source) for row in _first_of_each(long_enough, settings.per_document)]
    examples = [example for example in made if example.completion.strip()]
    if not examples:
        raise ExamplesError(
            f"corpus '{settings.corpus}': none of its {len(rows)} chunks gives an example: they are shorter than "
            f"min_chars ({settings.min_chars}), or the completion template is empty for them"
        )
    return examples


def check_template(place: str, template: str) -> None:
    """Refuse a template with a field that no chunk has.

    Raises:
        ExamplesError: names the field and those that are permitted.
    """
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ExamplesError(f"{place}: {error}; a literal brace is written twice") from None
    for name in names:
        if name not in FIELDS:
            raise ExamplesError(f"{place}: unknown field {{{name}}}; permitted: {', '.join(FIELDS)}")


def folder_of(uri: str, source: str) -> str:
    """The first folder of a document's path below its source; empty for a file at the top."""
    path = uri.removeprefix(source).lstrip("/").split("#")[0]
    return path.split("/")[0] if "/" in path else ""


def _first_of_each(rows: Iterable[Mapping[str, Any]], count: int | None) -> Iterator[Mapping[str, Any]]:
    taken: Counter[str] = Counter()
    for row in rows:
        taken[row["doc_id"]] += 1
        if count is None or taken[row["doc_id"]] <= count:
            yield row


def fields_of(row: Mapping[str, Any], source: str) -> dict[str, str]:
    """What a chunk puts into a template: a value for each of `FIELDS`."""
    return {
        "text": row["text"],
        "title": row["title"] or "",
        "folder": folder_of(row["uri"], source),
        "uri": row["uri"],
        "headings": " / ".join(row["headings"] or ()),
        "language": row["language"],
    }


def _example(settings: CorpusExamplesSettings, row: Mapping[str, Any], source: str) -> Example:
    fields = fields_of(row, source)
    prompt, completion = settings.prompt.format(**fields), settings.completion.format(**fields)
    return Example(prompt, completion, origin=row["uri"], doc_id=row["doc_id"])

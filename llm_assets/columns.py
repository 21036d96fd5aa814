"""What the columns of the tables mean, as the catalogue of the UI shows them.

A test holds it to the tables' own schemas.
"""

from __future__ import annotations

import dagster as dg

TEXT, NUMBER, INTEGER, TRUTH = "string", "float", "int", "bool"
SIDES = {"base": "the base model", "promoted": "the promoted version", "tuned": "the tuned model"}

IDENTITY = {
    "doc_id": "The document: a digest of its URI.",
    "corpus": "The corpus that the document is of; empty where there is none.",
    "origin": "File and line, or the URI, that it comes from.",
}

DOCUMENTS = {
    "doc_id": IDENTITY["doc_id"],
    "uri": "Path below the source.",
    "content_digest": "Of the file's bytes.",
    "parse_key": "Of content and parser: a row with another one is parsed again.",
    "status": "parsed, or quarantined.",
    "code": "Why it is quarantined, in a word: empty, encrypted, damaged, oversized, timeout, memory, …",
    "reason": "The same for people.",
    "media_type": "What the content is, whatever the file's name says.",
    "language": "ISO 639-1, of most of its text.",
    "title": "From the document, else its first heading.",
    "elements": "JSON: a list of [kind, text, page, level].",
    "chars": "Characters of text.",
}

CHUNKS = {
    "chunk_id": "Digest of document, place and text.",
    "doc_id": IDENTITY["doc_id"],
    "uri": "Path of the document below the source.",
    "ordinal": "Place in the document, from 0.",
    "text": "The passage, as it is embedded and found.",
    "text_digest": "Equal texts have one vector.",
    "page": "Where it begins, from 1; empty where there are no pages.",
    "headings": "The headings that it stands under, outermost first.",
    "language": "Of the document.",
    "title": "Of the document.",
    "media_type": "Of the document.",
    "row_digest": "Of all other columns: what differs is written to the index again.",
}

EMBEDDINGS = {
    "text_digest": "Of the text; a text that occurs twice is there once.",
    "vector": "Of the embedder; its length is 1.",
}

TRAINING_SET = {
    "example_id": "Digest of prompt and completion.",
    "prompt": "What the model is given; empty for plain text.",
    "completion": "What it shall answer; only this is learned.",
    "messages": "JSON: the turns of a conversation, instead of prompt and completion.",
    "split": "train, or held_out: never trained on.",
    "origin": IDENTITY["origin"],
    "corpus": IDENTITY["corpus"],
    "doc_id": "The document it was made of; empty where there is none.",
}

ANSWERS = {
    "input_id": "What the inputs name it by, else a digest of the prompt.",
    "answer_key": "Of prompt, model version and settings: a row with another one is asked again.",
    "version": "Of the model that answered.",
    "prompt": "What it was given.",
    "answer": "What it answered.",
    "origin": IDENTITY["origin"],
    "corpus": IDENTITY["corpus"],
    "doc_id": "The document it was asked about; empty where there is none.",
}

OF_A_SIDE = {
    "answer": ("The answer of {}.", TEXT),
    "accuracy": ("Whether that of {} is right, but for case, width, spacing and a closing mark.", TRUTH),
    "exact_match": ("Whether that of {} is right to the letter.", TRUTH),
    "f1": ("Overlap of its words with those expected, 0 to 1, of {}.", NUMBER),
    "rouge_l": ("Longest common subsequence of words, 0 to 1, of {}.", NUMBER),
    "chrf": ("Overlap of its character n-grams with those expected, 0 to 1, of {}.", NUMBER),
    "loss": ("Mean loss of the expected answer, nats a token, of {}.", NUMBER),
    "tokens": ("Tokens of the answer of {}.", INTEGER),
}

EVALUATION = {
    "row_id": "Suite and example.",
    "version": "Of the tuned model.",
    "suite": "held_out, or a suite of the YAML.",
    "example_id": "Of the suite.",
    "doc_id": TRAINING_SET["doc_id"],
    "expected": "The right answer.",
    "tokens": "Of the expected answer.",
} | {f"{side}_{name}": text.format(who) for side, who in SIDES.items() for name, (text, _) in OF_A_SIDE.items()}

TABLES = {
    "documents": DOCUMENTS,
    "chunks": CHUNKS,
    "embeddings": EMBEDDINGS,
    "vector_index": {**CHUNKS, "vector": EMBEDDINGS["vector"]},
    "training_set": TRAINING_SET,
    "evaluation": EVALUATION,
    "answers": ANSWERS,
}
KINDS = {
    **dict.fromkeys(("chars", "ordinal", "page", "tokens"), INTEGER),
    "headings": "list of string",
    "vector": "list of float",
    **{f"{side}_{name}": kind for side in SIDES for name, (_, kind) in OF_A_SIDE.items()},
}


def columns_of(stage: str) -> dict[str, dg.TableSchema]:
    """The metadata of an asset that says what its table's columns are; nothing where no table stands behind it."""
    if stage not in TABLES:
        return {}
    columns = [dg.TableColumn(name, KINDS.get(name, TEXT), text) for name, text in TABLES[stage].items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}

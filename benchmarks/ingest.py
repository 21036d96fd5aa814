"""Worker processes use the cores: `python -m benchmarks.ingest [--full]`.

Parses copies of ../shared/data/docs (else generated documents) with a ParserPool of 2 workers, and one after the
other in a single process. Both start cold: starting processes and importing libraries count. Beside it, a plain
loop over unstructured's `partition` in a cold process of its own. It would need the network for a spaCy model; it
is given a blank model instead, without which most formats fail.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.common import ROOT, paired, report, seconds
from benchmarks.parsing import documents
from llm_assets.corpora.parsing import ParseOptions, ParserPool, Result, parse
from llm_assets.corpora.parsing.results import to_json
from resources.digests import digest_all, digest_json
from resources.sources import Source, open_source

WORKERS = 2
COPIES, FULL_COPIES = 10, 40
REPEATS, FULL_REPEATS = 3, 5


def fill(folder: Path, copies: int) -> Source:
    for name, data in documents():
        for copy in range(copies):
            path = folder / str(copy) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return open_source(str(folder), base=folder)


def pooled(source: Source) -> str:
    """Digest of all results of a cold pool."""
    with ParserPool(source, ParseOptions(), WORKERS) as pool:
        return digest_all(line(file.uri, result) for file, result in pool.run((file, None) for file in source.list()))


def single(source: Source) -> str:
    """Digest of all results, parsed one after the other in this process."""
    options = ParseOptions()
    files = source.list()
    return digest_all(
        line(file.uri, parse(file.uri, source.read(file, options.max_bytes), options)) for file in files
    )


def line(uri: str, result: Result) -> str:
    return digest_json([uri, to_json(result)])


def plain(folder: Path) -> dict[str, int]:
    """What a script without this project does: `partition` on every file. Counts files with and without text."""
    import spacy
    import unstructured.nlp.tokenize as tokenize
    from unstructured.partition.auto import partition

    blank = spacy.blank("xx")
    blank.add_pipe("sentencizer")
    tokenize._load_spacy_model = lambda: blank
    counts = {"with_text": 0, "without_text": 0, "failed": 0}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            found = partition(str(path), strategy="fast")
            counts["with_text" if found else "without_text"] += 1
        except Exception:  # it raises whatever its libraries raise
            counts["failed"] += 1
    return counts


def cold(way: str, folder: Path) -> str:
    """The last line that this module prints when a fresh interpreter runs it one way."""
    command = [sys.executable, "-m", "benchmarks.ingest", way, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def main(full: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        source = fill(folder, FULL_COPIES if full else COPIES)
        count = len(source.list())
        outputs = pooled(source), cold("single", folder)
        pool_seconds, single_seconds = paired(
            lambda: cold("pooled", folder), lambda: cold("single", folder), FULL_REPEATS if full else REPEATS
        )
        plain_counts: list[str] = []
        plain_seconds = seconds(lambda: plain_counts.append(cold("plain", folder / "0")))
    finally:
        shutil.rmtree(folder)
    ratio = round(median(s / p for s, p in zip(single_seconds, pool_seconds, strict=True)), 3)
    print(f"pool of {WORKERS}: {median(pool_seconds):.1f} s   single process: {median(single_seconds):.1f} s")
    print(f"plain loop over partition, one copy of the files: {plain_seconds:.1f} s, {plain_counts[0]}")
    report(
        "ingest", ratio, "x", ">= 1.7, same output", ratio >= 1.7 and outputs[0] == outputs[1],
        {
            "same_output": outputs[0] == outputs[1],
            "pool_seconds": pool_seconds,
            "single_seconds": single_seconds,
            "plain_seconds_one_copy": plain_seconds,
            "plain_files": json.loads(plain_counts[0]),
            "copies": FULL_COPIES if full else COPIES,
            "files": count,
        },
    )  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["single", folder]:
            print(single(open_source(folder, base=Path(folder))))
        case ["pooled", folder]:
            print(pooled(open_source(folder, base=Path(folder))))
        case ["plain", folder]:
            print(json.dumps(plain(Path(folder))))
        case arguments:
            main("--full" in arguments)

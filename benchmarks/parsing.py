"""Every document is parsed or truly refused, and parsing loses no text: `python -m benchmarks.parsing`.

Runs on ../shared/data/docs (public documents in 22 formats) where that is there, else on one generated document per
format. Recall is the share of an expected text's words and Japanese characters that the parse holds (as often as
there). Expected are: Markdown that another project publishes beside three PDFs, the text edition of a Japanese
manual beside its PDF, and the UTF-8 originals of two re-encoded Japanese text files.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.common import report, shared
from llm_assets.corpora.parsing import Parsed, ParseOptions, Quarantined, parse

# Why these cannot be parsed, known from looking at them.
TRUE_REASONS = {
    "libreoffice-writer-password.pdf": "encrypted",
    "random.bin": "unsupported",
    "legacy_sample.doc": "unsupported",  # without LibreOffice
}
EXPECTED = {
    f"markitdown/{name}.pdf": f"markitdown/expected/{name}.md"
    for name in (
        "RECEIPT-2024-TXN-98765_retail_purchase",
        "SPARSE-2024-INV-1234_borderless_table",
        "movie-theater-booking-2024",
    )
} | {
    "debian-ja/maint-guide.ja.pdf": "debian-ja/maint-guide.ja.txt",
    "debian-ja/maint-guide.ja.eucjp-derived.txt": "debian-ja/maint-guide.ja.txt",
    "debian-ja/debian-faq.ja.cp932-derived.txt": "debian-ja/debian-faq.ja.txt",
}
GOAL = "0 files unexplained; median text recall >= 0.95"
Result = Parsed | Quarantined


def documents() -> Iterator[tuple[str, bytes]]:
    """Relative names and contents."""
    if root := shared():
        for path in sorted((root / "docs").rglob("*")):
            if path.is_file():
                yield str(path.relative_to(root / "docs")), path.read_bytes()
    else:
        from tests.corpora.parsing.samples import SAMPLES

        yield from ((name, made()) for name, made in SAMPLES.items())


def explained(name: str, result: Result) -> bool:
    """Whether a document was parsed or refused for the reason that is true of it."""
    expected = TRUE_REASONS.get(Path(name).name)
    return isinstance(result, Parsed) or result.code == expected


def tokens(text: str) -> Counter[str]:
    folded = unicodedata.normalize("NFKC", text).lower()
    return Counter(re.findall(r"[^\W_\u3041-\u30fe\u4e00-\u9fff]+|[\u3041-\u30fe\u4e00-\u9fff]", folded))


def recall(result: Result, expected: str) -> float:
    """Share of the expected tokens that a parse holds."""
    found = tokens("\n".join(e.text for e in result.elements)) if isinstance(result, Parsed) else Counter[str]()
    wanted = tokens(expected)
    return (found & wanted).total() / wanted.total()


def recalls(results: dict[str, Result]) -> dict[str, float]:
    root = shared()
    if root is None:
        from tests.corpora.parsing.samples import ENGLISH, JAPANESE

        return {name: recall(result, ENGLISH + JAPANESE) for name, result in results.items()}
    return {name: recall(results[name], (root / "docs" / text).read_text("utf-8")) for name, text in EXPECTED.items()}


def main() -> None:
    options = ParseOptions()
    results: dict[str, Result] = {}
    seconds: dict[str, list[float]] = defaultdict(list)
    for name, data in documents():
        suffix = Path(name).suffix.lower() or "(none)"
        if suffix not in seconds:
            parse(name, data, options)  # imports are not the document's
        started = time.perf_counter()
        results[name] = parse(name, data, options)
        seconds[suffix].append(time.perf_counter() - started)
    found = recalls(results)
    unexplained = [name for name, result in results.items() if not explained(name, result)]
    show(results, seconds, found, unexplained)
    middle = round(median(found.values()), 4)
    report(
        "parsing", len(unexplained), "files", GOAL, not unexplained and middle >= 0.95,
        {
            "files": len(results),
            "parsed": sum(isinstance(result, Parsed) for result in results.values()),
            "unexplained": unexplained,
            "median_recall": middle,
            "recall": {Path(name).name: round(share, 4) for name, share in found.items()},
            "median_seconds": {suffix: round(median(times), 4) for suffix, times in sorted(seconds.items())},
            "data": "shared docs" if shared() else "generated documents",
        },
    )  # fmt: skip


def show(
    results: dict[str, Result], seconds: dict[str, list[float]], found: dict[str, float], unexplained: list[str]
) -> None:
    print(f"{'format':12} {'files':>5} {'median s':>9} {'worst s':>9}")
    for suffix, times in sorted(seconds.items()):
        print(f"{suffix:12} {len(times):5} {median(times):9.3f} {max(times):9.3f}")
    for name, result in results.items():
        if isinstance(result, Quarantined):
            mark = "UNEXPLAINED" if name in unexplained else "quarantined"
            print(f"{mark} {name}: {result.code}, {result.reason}")
    for name, share in found.items():
        print(f"recall {share:.4f} {name}")


if __name__ == "__main__":
    main()

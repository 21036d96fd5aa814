"""What the assets of a corpus show of themselves in the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_assets.corpora.buckets import Buckets
from llm_assets.corpora.documents import known_documents
from llm_assets.reporting import counts, rate, table

if TYPE_CHECKING:
    from llm_assets.corpora.documents import IngestReport
    from llm_assets.corpora.settings import CorpusSpec
    from llm_assets.corpora.vector_index import BuildReport
    from resources.platform import Platform


def of_documents(platform: Platform, spec: CorpusSpec, report: IngestReport, buckets: Buckets) -> dict[str, Any]:
    """Of the documents: what was done, what is quarantined and why, languages and formats."""
    rows = known_documents(platform.state, spec.tenant, spec.name, buckets).values()
    quarantined = sorted((row for row in rows if row["status"] == "quarantined"), key=lambda row: row["uri"])
    return {
        "dagster/row_count": len(rows),
        "files listed": report.listed,
        "parsed in this run": report.parsed,
        "touched, content unchanged": report.same_content,
        "deleted in this run": report.deleted,
        "quarantined": len(quarantined),
        "quarantined files": table(quarantined, ["uri", "code", "reason"]),
        "languages": counts((row["language"] for row in rows if row["good_key"]), "language"),
        "formats": counts((row["media_type"] for row in rows if row["good_key"]), "format"),
        "seconds": round(report.seconds, 2),
        "documents a second": rate(report.parsed, report.seconds),
    }


def of_index(report: BuildReport) -> dict[str, Any]:
    """Of the index: what is served, what was written, what was measured."""
    served = report.served
    return {
        "dagster/row_count": served.rows if served else 0,
        "served collection": served.snapshot.collection if served else "none",
        "served version": str(served.snapshot.version) if served else "none",
        "candidate is served": bool(served and served.content == report.content),
        "pinned": report.pinned,
        "chunks upserted in this run": report.upserted,
        "chunks deleted in this run": report.deleted,
        **({"recall@10 against exact search": report.verification.recall} if report.verification else {}),
        **{name: round(value, 4) for name, value in report.metrics.items()},
        **({"name on the server leads to": report.published.collection} if report.published else {}),
        **report.health,
    }

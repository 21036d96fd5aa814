"""`llm-assets`: ask what is served, look at what there is, take a step back, forget a document."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llm_assets.commands import add_all, command
from resources.config_errors import ConfigError
from resources.platform import Platform
from resources.profile import TARGET_VARIABLE

PREVIEW_CHARS = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, or 1 after an error that was said in one line."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except _expected_errors() as error:
        print(f"llm-assets {options.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0  # the reader, `head` for example, has seen enough
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-assets", description=__doc__, epilog=f"{TARGET_VARIABLE} chooses the target of profiles.yml."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    search = command(commands, "search", _search, "Passages that answer a question, best first.")
    search.add_argument("corpus", help="tenant/name, or the name alone")
    search.add_argument("question")
    search.add_argument("-k", type=int, default=10, help="passages at most (default: 10)")
    search.add_argument("--mode", choices=("hybrid", "vector", "text"), default="hybrid")
    search.add_argument("--language", action="append", help="only documents in this language, e.g. ja")
    search.add_argument("--json", action="store_true")

    status = command(commands, "status", _status, "Per corpus and model: what was read, is served, is promoted.")
    status.add_argument("--json", action="store_true")

    for name, run, text in (
        ("rollback", _rollback, "Serve the state before the current one, less what was deleted since; pins it."),
        ("resume", _resume, "Let builds be served again after a rollback."),
    ):
        back = command(commands, name, run, text)
        back.add_argument("kind", choices=("index", "model"))
        back.add_argument("name", help="tenant/name, or the name alone")

    forget = command(commands, "forget", _forget, "Remove a document's content everywhere, and keep it out.")
    forget.add_argument("uri", help="as `status --json` and search results show it")
    forget.add_argument("--corpus", action="append", help="tenant/name; needed where several have this URI")
    forget.add_argument("--json", action="store_true")

    backups = command(commands, "backups", _backups, "Backups of a corpus's collections on the Weaviate server.")
    backups.add_argument("corpus", help="tenant/name, or the name alone")

    restore = command(commands, "restore", _restore, "Bring a collection back from its backup, serve it, pin it.")
    restore.add_argument("corpus", help="tenant/name, or the name alone")
    restore.add_argument("backup", help="as `backups` shows it")

    command(commands, "summary", _summary, "What the demo made, and answers to its sample questions.")
    add_all(commands)
    return parser


def _search(options: Any) -> None:
    from llm_assets.searching import search

    where = {"language": options.language} if options.language else None
    passages = search(options.corpus, options.question, options.k, mode=options.mode, where=where)
    if options.json:
        print(json.dumps([asdict(passage) for passage in passages], ensure_ascii=False, indent=2))
        return
    for position, passage in enumerate(passages, 1):
        page = f", page {passage.page}" if passage.page else ""
        text = " ".join(passage.text.split())
        print(f"{position:>2}. {passage.uri}{page}  ({passage.score:.3f})")
        print(f"    {text[:PREVIEW_CHARS]}{'…' if len(text) > PREVIEW_CHARS else ''}")
    if not passages:
        print("No passage found.")


def _status(options: Any) -> None:
    from llm_assets.status import lines, status

    found = status(Platform.open())
    print(json.dumps(found, ensure_ascii=False, indent=2) if options.json else "\n".join(lines(found)))


def _rollback(options: Any) -> None:
    platform = Platform.open()
    if options.kind == "model":
        from llm_assets.models.promotion import resolve_model, rollback_model
        from resources.tracking.relay import send

        tenant, name = resolve_model(platform.state, options.name)
        print(f"model {tenant}/{name}: version {rollback_model(platform, tenant, name).version} is promoted again")
        send(platform)
    else:
        from llm_assets.configs import corpora
        from llm_assets.corpora.rollback import rollback
        from llm_assets.searching import resolve

        tenant, name = resolve(platform, options.name)
        spec = next((spec for spec in corpora(tenant) if spec.id == f"{tenant}/{name}"), None)
        served = rollback(platform, tenant, name, spec, log=print)
        print(f"index {tenant}/{name}: {served.rows} passages of {served.snapshot.collection} are served again")
    print(f"Builds go on, but do not replace it before: llm-assets resume {options.kind} {tenant}/{name}")


def _resume(options: Any) -> None:
    from llm_assets.corpora.serving import resume

    platform = Platform.open()
    if options.kind == "model":
        from llm_assets.models.promotion import resolve_model

        tenant, name = resolve_model(platform.state, options.name)
    else:
        from llm_assets.searching import resolve

        tenant, name = resolve(platform, options.name)
    pinned = resume(platform.state, tenant, options.kind, name)
    print(f"{options.kind} {tenant}/{name} {'follows its builds again' if pinned else 'was not pinned'}")


def _forget(options: Any) -> None:
    from llm_assets.forgetting import forget

    found = forget(
        Platform.open(), options.uri, options.corpus or (), log=lambda message: print(message, file=sys.stderr)
    )
    if options.json:
        print(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=2))
        return
    for entry in found:
        print(f"{entry.uri} has left {entry.corpus} ({entry.passages} passages) and stays out of it")
        print(f"  models trained on it: {', '.join(entry.models) or 'none'}")
        if entry.backups:
            print(f"  backups that may hold it until they are removed: {', '.join(entry.backups)}")


def _backups(options: Any) -> None:
    from llm_assets.corpora.restoring import list_backups
    from llm_assets.searching import resolve

    platform = Platform.open()
    for backup_id, outcome in list_backups(platform, *resolve(platform, options.corpus)):
        print(f"{backup_id}  {outcome}")


def _restore(options: Any) -> None:
    from llm_assets.configs import corpora
    from llm_assets.corpora.restoring import restore
    from llm_assets.searching import resolve

    platform = Platform.open()
    tenant, name = resolve(platform, options.corpus)
    spec = next((spec for spec in corpora(tenant) if spec.id == f"{tenant}/{name}"), None)
    served = restore(platform, tenant, name, spec, options.backup, log=print)
    print(f"index {tenant}/{name}: {served.rows} passages of {served.snapshot.collection} are served again")
    print(f"Builds go on, but do not replace it before: llm-assets resume index {tenant}/{name}")


def _summary(_options: Any) -> None:
    from llm_assets.summary import summary_lines

    print("\n".join(summary_lines(Platform.open())))


def _expected_errors() -> tuple[type[Exception], ...]:
    """Errors whose message says the thing, the place and the way out; anything else is a bug and keeps its trace."""
    from llm_assets.chain import ChainError
    from llm_assets.commands.report import ReportedError
    from llm_assets.corpora.rollback import RollbackError
    from llm_assets.forgetting import ForgetError
    from llm_assets.models.answers import NothingPromotedError
    from llm_assets.models.children import TrainingError
    from llm_assets.models.exporting import ExportError
    from llm_assets.models.memory.reading import NotHere
    from llm_assets.models.promotion import PromotionError
    from llm_assets.searching import SearchError
    from resources.model_sources import ModelError
    from resources.state import StateError
    from resources.vector_index import VectorIndexError

    return (
        ChainError,
        ConfigError,
        ExportError,
        ForgetError,
        ModelError,
        NotHere,
        NothingPromotedError,
        PromotionError,
        ReportedError,
        RollbackError,
        SearchError,
        StateError,
        TrainingError,
        VectorIndexError,
    )


if __name__ == "__main__":
    sys.exit(main())

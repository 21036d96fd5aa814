"""A base model's config.json, read where the model lies: no weights, no download, no heavy import.

A GGUF file says the same in its header. It is read once and cached by the file's size and time.
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_assets.models.memory.architecture import Architecture, UnknownArchitecture
from llm_assets.models.memory.families import read_config
from resources.digests import digest_json

COMMIT_CHARS = 40


class NotHere(LookupError):
    """A model whose configuration is not on this machine yet, or cannot be understood; says what to do."""


@dataclass(frozen=True)
class Known:
    """What is known of a model from its configuration.

    Attributes:
        shape: of the model.
        digest: of the configuration.
    """

    shape: Architecture
    digest: str


def known_model(reference: str, folder: Path | None, cache: Path) -> Known:
    """The shape of a base model.

    Args:
        reference: `hf:…`, `path:…` or `package:…`.
        folder: where a relative path starts.
        cache: for what GGUF headers say.

    Raises:
        NotHere: it is not on this machine, or its configuration cannot be read.
    """
    place = _place(reference, folder)
    try:
        config = _of_gguf(place, cache) if place.suffix == ".gguf" else json.loads(place.read_text(encoding="utf-8"))
        return Known(read_config(config), digest_json(config)[:16])
    except (OSError, ValueError) as error:  # UnknownArchitecture and broken JSON among them
        hint = "" if isinstance(error, UnknownArchitecture) else "; give memory_gb a number instead"
        raise NotHere(f"model '{reference}': {place.name}: {error}{hint}") from None


def _place(reference: str, folder: Path | None) -> Path:
    """Its config.json or GGUF file."""
    scheme, _, rest = reference.partition(":")
    if scheme == "path":
        found: Path | None = ((folder or Path.cwd()) / Path(rest.strip()).expanduser()).resolve()
    elif scheme == "package":
        found = _of_package(rest.strip())
    else:
        found = _of_hub(rest.strip())
    if found is not None and found.is_dir():
        found = found / "config.json"
    if found is None or not found.is_file():
        advice = "materialise it once, which downloads it" if scheme == "hf" else "install it, or correct the path"
        raise NotHere(
            f"model '{reference}': its configuration is not on this machine, so its memory cannot be estimated yet; "
            f"{advice}, or give memory_gb a number"
        )
    return found


def _of_package(name: str) -> Path | None:
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    wanted = [file for file in files if file.suffix == ".gguf" or file.name == "config.json"]
    return Path(str(wanted[0].locate())) if len(wanted) == 1 else None


def _of_hub(rest: str) -> Path | None:
    """In the hub's cache, laid out as huggingface_hub documents it; its import would take a second."""
    from os import environ

    repo, _, revision = rest.partition("@")
    home = Path(environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{repo.replace('/', '--')}"
    if len(revision) != COMMIT_CHARS:
        try:
            revision = (hub / "refs" / revision).read_text(encoding="ascii").strip()
        except OSError:
            return None
    return hub / "snapshots" / revision


def _of_gguf(file: Path, cache: Path) -> dict[str, Any]:
    from llm_assets.models.memory.gguf_header import config_of_gguf

    seen = file.stat()
    kept = cache / "memory" / f"{digest_json([str(file), seen.st_size, seen.st_mtime_ns])[:24]}.json"
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = config_of_gguf(file)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(config), encoding="utf-8")
    partial.replace(kept)
    return config

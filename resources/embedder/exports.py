"""Exported models on disk: made once per embedder in a child process, measured, renamed into place."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from resources.locks import file_lock
from resources.model_sources import ModelError
from resources.processes import start

if TYPE_CHECKING:
    from resources.embedder.definition import Definition

log = logging.getLogger(__name__)

EXPORTER = 1  # raise it when the export's result changes
LEAST_COSINE = 0.9999  # the numerical class
RECORD_FILE = "record.json"
TAIL = 2000  # characters of a failed process's output that an error shows


@dataclass(frozen=True)
class Record:
    """What is known of an export.

    Attributes:
        exporter: version of this code and of OpenVINO that made it.
        cosines: smallest cosine to the reference by precision, on the machine that exported it.
        failure: why there is no usable model, if so.
    """

    exporter: str
    cosines: dict[str, float]
    failure: str | None

    @classmethod
    def current(cls, cosines: dict[str, float], failure: str | None) -> Record:
        return cls(exporter_version(), cosines, failure)

    def write(self, folder: Path) -> None:
        (folder / RECORD_FILE).write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @property
    def refusal(self) -> str | None:
        """Why the export must not be used; None if it may."""
        if self.failure or self.cosines.get("f32", 0) >= LEAST_COSINE:
            return self.failure
        return f"its vectors reach cosine {self.cosines.get('f32', 0):.5f} to the reference, below {LEAST_COSINE}"

    def allows(self, precision: str) -> bool:
        return self.cosines.get(precision, 0) >= LEAST_COSINE


def exporter_version() -> str:
    """Another OpenVINO may succeed where this one fails, and compute differently: then it's exported again."""
    return f"{EXPORTER}/{importlib.metadata.version('openvino')}"


def exported(definition: Definition, cache_dir: Path) -> tuple[Path, Record]:
    """The folder of an embedder's export; it is made now if this is the first use. A second process waits.

    Args:
        definition: what to export.
        cache_dir: the export lies in `cache_dir/<fingerprint>`.

    Raises:
        ModelError: the exporting process died.
    """
    folder = cache_dir / definition.fingerprint
    if record := _read(folder):
        return folder, record
    with file_lock(cache_dir / "locks", f"export-{definition.fingerprint}", None, None):
        record = _read(folder) or _export(definition, cache_dir, folder)
    return folder, record


def _read(folder: Path) -> Record | None:
    file = folder / RECORD_FILE
    if not file.is_file():
        return None
    record = Record(**json.loads(file.read_text("utf-8")))
    return record if record.exporter == exporter_version() else None


def _export(definition: Definition, cache_dir: Path, folder: Path) -> Record:
    """Only under the lock: what lies beside is then a killed exporter's."""
    for left in cache_dir.glob(f"{folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=cache_dir))
    reference = f"path:{definition.source.path}"
    log.info("exporting embedder %s for OpenVINO, once", definition.source.reference)
    _run_worker(definition, [reference, str(cache_dir), str(beside)])
    if folder.exists():  # of another version
        folder.rename(cache_dir / f"{folder.name}.old")
    beside.rename(folder)
    shutil.rmtree(cache_dir / f"{folder.name}.old", ignore_errors=True)
    record = _read(folder)
    if record is None:
        raise ModelError(definition.source.reference, f"the export in {folder} has no record. Delete it.")
    return record


def _run_worker(definition: Definition, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "resources.embedder.export_worker", *arguments]
    with tempfile.TemporaryFile() as output:
        root = Path(__file__).resolve().parents[2]
        with start(command, cwd=root, stdout=output, stderr=output) as tree:
            code = tree.wait()
        if code:
            raise ModelError(definition.source.reference, f"its export ended with code {code}:\n{tail(output)}")


def tail(output: IO[bytes]) -> str:
    """The last characters of a process's output."""
    output.seek(0)
    return output.read().decode("utf-8", "replace")[-TAIL:].strip()

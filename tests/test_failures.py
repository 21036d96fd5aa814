"""A failure of the wrong kind is retried for nothing, or not retried where a minute later it would have worked."""

from __future__ import annotations

import ast
import builtins

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason

from llm_assets.corpora.documents import EmptySourceError
from llm_assets.failures import ADVICE, RETRIED, Kind, classify, failure_of, kind_of
from llm_assets.models.children import Killed, OutOfMemory, TrainingError
from llm_assets.reporting import clear_failures
from resources.accelerators.errors import ImpossibleRequest, LeaseLost
from resources.config_errors import ConfigError
from resources.sources import SourceError
from resources.state import StateError
from resources.vector_index import VectorIndexError
from resources.vector_index.errors import IndexRefused, IndexUnavailable, RowsRefused
from resources.vector_index.weaviate_connection import full, refuse_old
from tests.conftest import CHECKOUT


def because(error: Exception, cause: Exception) -> Exception:
    """An error as `raise error from cause` leaves it."""
    error.__cause__ = cause
    return error


def old_server() -> Exception:
    """As the connection finds it."""
    with pytest.raises(IndexRefused) as raised:
        refuse_old("1.30.5", "http://weaviate:8080")
    return raised.value


PARTS: list[tuple[Exception, Kind]] = [
    (IndexUnavailable("http://weaviate:8080 cannot be reached"), Kind.SERVICE_DOWN),
    (because(IndexRefused("Weaviate at … refuses the key"), ConnectionError("401")), Kind.BAD_INPUT),
    (IndexRefused("no Weaviate server: Go, which could build one, is not installed"), Kind.BAD_INPUT),
    (because(old_server(), ConnectionError("away")), Kind.BAD_INPUT),
    (full("write to 'x'", "store is read-only due to memory pressure"), Kind.NO_SPACE),
    (RowsRefused("3 rows of collection x"), Kind.SERVICE_DOWN),
    (because(StateError("state database x: gone"), ConnectionResetError("reset")), Kind.SERVICE_DOWN),
    (StateError("state database x has schema 9, this version reads 1"), Kind.BAD_INPUT),
    (because(SourceError("s3://bucket cannot be listed"), ConnectionRefusedError(111, "no")), Kind.SERVICE_DOWN),
    (because(SourceError("documents: cannot be listed"), FileNotFoundError("documents")), Kind.BAD_INPUT),
    (EmptySourceError("documents: no file"), Kind.BAD_INPUT),
    (ConfigError("defs.yaml:3: name"), Kind.BAD_INPUT),
    (ImpossibleRequest("pool 'full' asks for 200 GB", {}), Kind.BAD_INPUT),
    (LeaseLost("lease 7 was pre-empted"), Kind.DEVICE_LOST),
    (TrainingError("train: CUDA error: uncorrectable ECC error encountered (AcceleratorError)"), Kind.DEVICE_LOST),
    (TrainingError("train: CUDA out of memory. Tried to allocate 2 GiB (OutOfMemoryError)"), Kind.OUT_OF_MEMORY),
    (OutOfMemory("train: its process was killed for want of memory; lower …", None), Kind.OUT_OF_MEMORY),
    (Killed("train: its process was killed from outside; run again, …"), Kind.NODE_LOST),
    (TrainingError("train: training.max_tokens is 4096, and … reads 512 (CourseError)"), Kind.BAD_INPUT),
    (TrainingError("train: its process ended with exit code 3; its output says why"), Kind.CODE),
    (VectorIndexError("collection x: two rows with one id"), Kind.CODE),
    (OSError(28, "No space left on device"), Kind.NO_SPACE),
    (MemoryError(), Kind.OUT_OF_MEMORY),
    (TimeoutError("timed out"), Kind.SERVICE_DOWN),
    (KeyError("text of a document"), Kind.CODE),
]


def failing(key: str, error: Exception) -> dg.AssetsDefinition:
    """An asset whose step fails as the stages do."""

    @dg.asset(key=["acme", key])
    def part() -> None:
        with clear_failures("acme/handbook"):
            raise error

    return part


CODE = {
    *("AcceleratorError", "VectorIndexError", "TrainingError", "TrainingFailure"),  # others of theirs have a kind
    *("SnapshotGone", "StaleBase", "BrokenCheckpoint", "NotFinite", "NotHere"),  # answered where they are raised
    *("EmbeddingError", "WorkerStartError", "ServerFailed", "NoServer"),  # with the words of the process that ended
    *("ChainError", "CannotRetry", "ExportError", "ForgetError", "ReportedError", "RollbackError", "SearchError"),
}
"""Exceptions of the project whose names say nothing of what to do, or that no step raises: commands do."""


def exceptions() -> set[str]:
    """The names of all exception classes of the project."""
    files = (file for folder in ("llm_assets", "resources", "sensors") for file in (CHECKOUT / folder).rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }
    known = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    found = set[str]()
    while news := {name for name, above in bases.items() if above & (known | found)} - found:
        found |= news
    return found


def test_every_exception_of_the_project_has_a_kind_or_is_said_to_have_none() -> None:
    found = exceptions()
    kinds = {name: kind_of([name], "") for name in found}
    assert {name for name, kind in kinds.items() if kind is Kind.CODE} == CODE
    assert len(found) > len(CODE)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance")))


@pytest.fixture(scope="module")
def events(instance: dg.DagsterInstance) -> dict[str, dg.DagsterEvent]:
    """Dagster's events of one run in which every part fails in its own way."""
    parts = [failing(f"part{number}", error) for number, (error, _) in enumerate(PARTS)]
    run = dg.materialize(parts, instance=instance, raise_on_error=False).dagster_run
    logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return {str(event.step_key): event for entry in logs if (event := entry.dagster_event)}


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_the_kind_is_read_from_what_dagster_keeps_of_an_error(
    number: int, events: dict[str, dg.DagsterEvent]
) -> None:
    error, kind = PARTS[number]
    assert classify(events[f"acme__part{number}"]) is kind, error


def test_our_own_sentence_is_repeated_and_no_other(instance: dg.DagsterInstance) -> None:
    def said(error: Exception) -> str:
        run = dg.materialize([failing("a", error)], instance=instance, raise_on_error=False).dagster_run
        return failure_of(instance, run).said

    assert said(EmptySourceError("documents: no file")) == "acme/handbook: documents: no file"
    assert said(KeyError("text of a document")) == "KeyError"


def test_one_step_that_would_fail_again_decides_for_the_run(instance: dg.DagsterInstance) -> None:
    parts = [failing("a", ConnectionError("away")), failing("b", KeyError("b"))]
    run = dg.materialize(parts, instance=instance, raise_on_error=False).dagster_run
    found = failure_of(instance, run)
    assert (found.kind, found.said, found.assets) == (Kind.CODE, "KeyError", ("acme/a", "acme/b"))


def test_a_failed_check_is_a_kind_of_its_own(instance: dg.DagsterInstance) -> None:
    @dg.asset(key=["acme", "a"], check_specs=[dg.AssetCheckSpec("full", asset=["acme", "a"], blocking=True)])
    def checked() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False, check_name="full")])

    run = dg.materialize([checked], instance=instance, raise_on_error=False).dagster_run
    assert failure_of(instance, run).kind is Kind.CHECK_FAILED


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Run worker failed: unexpected termination. Detected run worker status FAILED", Kind.NODE_LOST),
        ("Exceeded maximum runtime of 3600 seconds", Kind.CODE),
        ("Caught an error while launching: Connection refused", Kind.SERVICE_DOWN),
        ("", Kind.NODE_LOST),
    ],
)
def test_a_run_that_failed_around_its_steps(message: str, kind: Kind, instance: dg.DagsterInstance) -> None:
    @dg.asset
    def one() -> None: ...

    run = instance.create_run_for_job(dg.Definitions(assets=[one]).resolve_implicit_global_asset_job_def())
    data = JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION)
    instance.report_run_failed(run, message or None, data)
    found = failure_of(instance, run)
    assert found.kind is kind
    assert found.assets == ()


def test_every_kind_has_advice_and_words() -> None:
    assert set(ADVICE) == set(Kind)
    assert Kind.OUT_OF_MEMORY.words == "out of memory"
    assert {Kind.BAD_INPUT, Kind.CODE, Kind.OUT_OF_MEMORY, Kind.CHECK_FAILED, Kind.NO_SPACE}.isdisjoint(RETRIED)


def test_a_text_alone_can_be_classified() -> None:
    assert classify("connection refused") is Kind.SERVICE_DOWN
    assert classify("anything else") is Kind.CODE

"""Why a run failed, in the few kinds that decide what is done next: retry, alert, and what to advise.

Dagster keeps of an error its class name, its message and its causes; that is what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg
    from dagster_shared.error import SerializableErrorInfo


class Kind(StrEnum):
    """What a failure is, for whoever has to do something about it."""

    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_LOST = "device_lost"
    NODE_LOST = "node_lost"
    SERVICE_DOWN = "service_down"
    NO_SPACE = "no_space"
    CHECK_FAILED = "check_failed"
    BAD_INPUT = "bad_input"
    CODE = "code"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


RETRIED = frozenset({Kind.DEVICE_LOST, Kind.NODE_LOST, Kind.SERVICE_DOWN})
"""What the same run may get past a moment later. Out of memory is answered inside the step, with a smaller batch."""

OUTAGES = RETRIED | {Kind.NO_SPACE}
"""What other files would not have got past either: changed ones are no reason to try at once."""

ADVICE = {
    Kind.OUT_OF_MEMORY: "lower training.micro_batch or training.max_tokens, or name a pool with more memory",
    Kind.DEVICE_LOST: "look at the device with `accelerators status`; drain it if it fails again",
    Kind.NODE_LOST: "look at the host: was it restarted, or the run's process killed for want of memory?",
    Kind.SERVICE_DOWN: "bring the service back, then re-execute the run from failure",
    Kind.NO_SPACE: "make room on the disk, then re-execute the run from failure: what was finished is kept",
    Kind.CHECK_FAILED: "look at the check's metadata; what is served has not changed",
    Kind.BAD_INPUT: "mend the input or the YAML that the message names, then run it again",
    Kind.CODE: "read the step's error in the run: the same input fails again",
}

# The first line that fits decides, so what a retry must not repeat stands before what it may help.
_NAMES: tuple[tuple[Kind, frozenset[str]], ...] = (
    (Kind.CHECK_FAILED, frozenset({"DagsterAssetCheckFailedError"})),
    (
        Kind.OUT_OF_MEMORY,
        frozenset({"OutOfMemory", "OutOfMemoryError", "MemoryError", "NotEnoughMemory", "MemoryExceeded"}),
    ),
    (Kind.NO_SPACE, frozenset({"IndexFull", "DiskFull"})),
    (Kind.BAD_INPUT, frozenset({"IndexRefused"})),
    (Kind.DEVICE_LOST, frozenset({"LeaseLost"})),
    (
        Kind.SERVICE_DOWN,
        frozenset({
            *("ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "ConnectionAbortedError"),
            *("BrokenPipeError", "TimeoutError", "gaierror", "ConnectError", "ConnectTimeout", "ReadTimeout"),
            *("ReadError", "RemoteProtocolError", "MaxRetryError", "NewConnectionError", "EndpointConnectionError"),
            *("ConnectTimeoutError", "ReadTimeoutError", "ClientConnectorError", "ServerDisconnectedError"),
            *("OperationalError", "InterfaceError", "WeaviateConnectionError", "WeaviateTimeoutError"),
            *("WeaviateStartUpError", "IndexUnavailable", "RowsRefused", "SourceUnreachable"),
        }),
    ),
    (Kind.NODE_LOST, frozenset({"ChildProcessCrashException", "Killed"})),
    (
        Kind.BAD_INPUT,
        frozenset({
            *("ConfigError", "DagsterInvalidConfigError", "SourceError", "EmptySourceError", "FileTooLarge"),
            *("ExamplesError", "EvaluationSetError", "ModelError", "NothingServedError", "NotEmbeddedError"),
            *("UntrainedError", "RequestError", "ImpossibleRequest", "InvalidRows", "UnknownCollection"),
            *("StateError", "DagsterInvalidSubsetError", "InvalidQuery", "FileVanished", "Undecodable", "Refused"),
            *("CourseError", "MethodError", "WeightsError", "LaunchError", "EvaluationError", "GateError"),
            *("NothingPromotedError", "PromotionError", "ParameterError", "UnknownArchitecture", "LedgerError"),
        }),
    ),
)  # fmt: skip
_PHRASES: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (
            Kind.OUT_OF_MEMORY,
            r"out of memory|can't allocate memory|killed for want of memory|\(OutOfMemory(Error)?\)",
        ),
        (Kind.NO_SPACE, r"disk is full|No space left on device|Disk quota exceeded"),
        (
            Kind.DEVICE_LOST,
            r"GPU is lost|fallen off the bus|uncorrectable ECC|unspecified launch failure|device.{0,20} unavailable"
            r"|CUDA error: unknown error|NCCL.{0,80}(remote process|abort|timeout)|TPU.{0,40}(unhealthy|lost)"
            r"|the lease .{0,80}(lost|not held)",
        ),
        (Kind.BAD_INPUT, r"this version reads|\((CourseError|MethodError|WeightsError)\)"),
        (
            Kind.NODE_LOST,
            r"unexpected(ly)? (exit|terminat)|run worker (crash|fail)|worker status (FAILED|NOT_FOUND|UNK)",
        ),
        (
            Kind.SERVICE_DOWN,
            r"connection (refused|reset|aborted)|cannot be reached|could not connect|server closed the connection"
            r"|temporary failure in name resolution|name or service not known|service unavailable|timed out",
        ),
    )
)
_OVER_TIME = re.compile(r"exceeded maximum runtime|maximum runtime|surpassed the configured maximum", re.IGNORECASE)


@dataclass(frozen=True)
class Failure:
    """What failed in a run.

    Attributes:
        kind: of the whole run: that of its worst step, `CODE` before what a retry may help.
        assets: the assets of the failed steps, `tenant/name/stage`; empty where the run failed around its steps.
        said: the failed part's own sentence, or the error's class name. Another error's message is not repeated: it
            may quote a document or a password.
    """

    kind: Kind
    assets: tuple[str, ...]
    said: str


def classify(told: str | dg.DagsterEvent) -> Kind:
    """The kind of one failure.

    Args:
        told: an error's text, or Dagster's event of a failed step or run.
    """
    if isinstance(told, str):
        return kind_of((), told)
    return kind_of(*_names_and_text(told))


def kind_of(names: Iterable[str], text: str) -> Kind:
    """The kind of an error.

    Args:
        names: its class name and those of its causes.
        text: its message and theirs.
    """
    if _OVER_TIME.search(text):
        return Kind.CODE
    said = [kind for kind, pattern in _PHRASES if pattern.search(text)]
    named = [kind for kind, known in _NAMES if known.intersection(names)]
    first = (Kind.CHECK_FAILED, Kind.OUT_OF_MEMORY, Kind.NO_SPACE, Kind.DEVICE_LOST)
    for kind in first:
        if kind in said or kind in named:
            return kind
    return next(iter([*(kind for kind in said if kind is Kind.BAD_INPUT), *named, *said]), Kind.CODE)


def failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Failure:
    """What failed in a failed run, from its event log."""
    steps = list(_failed(instance, run.run_id, "STEP_FAILURE"))
    if not steps:
        return _around_the_steps(instance, run.run_id)
    kinds = [classify(step) for step in steps]
    kind = next((kind for kind in kinds if kind not in RETRIED), kinds[0])
    worst = steps[kinds.index(kind)]
    return Failure(kind, tuple(sorted({asset_of(str(step.step_key)) for step in steps})), _said(worst))


def asset_of(step_key: str) -> str:
    """`tenant/name/stage` of a step: its key has `__` where an asset key has `/`."""
    return step_key.replace("__", "/")


def _around_the_steps(instance: dg.DagsterInstance, run_id: str) -> Failure:
    """The run's process died, never started, or could not set a step up."""
    event = next(iter(_failed(instance, run_id, "RUN_FAILURE")), None)
    if event is None:
        return Failure(Kind.NODE_LOST, (), "the run's process left no word")
    kind = classify(event)
    reason = str(getattr(getattr(event.event_specific_data, "failure_reason", None), "value", ""))
    gone = reason in {"UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART"}
    if kind is Kind.CODE and gone and not _OVER_TIME.search(event.message or ""):
        kind = Kind.NODE_LOST
    return Failure(kind, (), _said(event) if _errors(event) else f"the run's process: {reason.lower() or 'lost'}")


def _failed(instance: dg.DagsterInstance, run_id: str, event_type: str) -> Iterator[dg.DagsterEvent]:
    import dagster as dg

    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType[event_type]):
        if entry.dagster_event is not None:
            yield entry.dagster_event


def _names_and_text(event: dg.DagsterEvent) -> tuple[list[str], str]:
    errors = list(_errors(event))
    texts = [event.message or "", *(error.message for error in errors)]
    if described := _description(event):
        texts.append(described)
    return [str(error.cls_name) for error in errors if error.cls_name], "\n".join(texts)


def _errors(event: dg.DagsterEvent) -> Iterator[SerializableErrorInfo]:
    """The error, and what caused it, outermost first."""
    error = getattr(event.event_specific_data, "error", None)
    while error is not None:
        yield error
        error = error.cause or error.context


def _description(event: dg.DagsterEvent) -> str | None:
    """What a `dg.Failure` said: the words of our own errors."""
    told = getattr(event.event_specific_data, "user_failure_data", None)
    return told.description if told else None


def _said(event: dg.DagsterEvent) -> str:
    if described := _description(event):
        return described
    names = [str(error.cls_name) for error in _errors(event) if error.cls_name]
    inner = [name for name in names if not name.startswith("Dagster")]
    return (inner or names or ["no error was recorded"])[0]

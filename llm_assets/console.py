"""What a run prints in a terminal: one short line for what people wait for, and warnings and errors in full."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg

RUN_FAILURE = dg.DagsterEventType.RUN_FAILURE.value
SHOWN_EVENTS = {"STEP_FAILURE", RUN_FAILURE, "ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION"}


LEVELS = dg.Enum("ConsoleLevel", [dg.EnumValue(level) for level in ("DEBUG", "INFO", "WARNING", "ERROR")])


@dg.logger(
    {"level": dg.Field(LEVELS, default_value="INFO", description="DEBUG shows every event of Dagster.")},
    description="Progress for people; the event log has everything.",
)
def console_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that prints progress lines to standard error."""
    level = logging.getLevelNamesMapping()[context.logger_config["level"]]
    logger = logging.Logger("llm_assets", level="DEBUG")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: level == logging.DEBUG or _wanted(record, level))
    handler.setFormatter(_Short("%H:%M:%S"))
    logger.addHandler(handler)
    return logger


class _Short(logging.Formatter):
    """Time, step and message, without run ids and process ids."""

    def __init__(self, datefmt: str) -> None:
        super().__init__(datefmt=datefmt)

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        asset = _asset_of(event) or str(meta.get("step_key") or "").replace("__", "/")
        text = (_told(event) if event else None) or meta.get("orig_message") or record.getMessage()
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        return f"{self.formatTime(record, self.datefmt)} {asset:<36} {mark}{text}"


def _asset_of(event: dg.DagsterEvent | None) -> str | None:
    if event is None:
        return None
    if event.event_type_value == "ASSET_CHECK_EVALUATION":
        return event.asset_check_evaluation_data.asset_key.to_user_string()
    return event.asset_key.to_user_string() if event.asset_key else None


def _told(event: dg.DagsterEvent) -> str | None:
    """A materialisation with its figures, a check with its result, a failure with its reason; None: as it is."""
    if event.event_type_value == "ASSET_CHECK_EVALUATION":
        check = event.asset_check_evaluation_data
        told = f": {check.description}" if check.description else ""
        return f"check {check.check_name} {'passed' if check.passed else f'FAILED ({check.severity.value})'}{told}"
    if event.event_type_value == "STEP_FAILURE":
        return f"failed: {_reason(event.step_failure_data)}"
    if event.event_type_value == RUN_FAILURE and event.job_failure_data.error:  # no step of it did
        error = event.job_failure_data.error
        return f"failed: {(error.cause or error).message.strip()}"
    if event.event_type_value == "ASSET_MATERIALIZATION":
        return f"done: {_figures(event.step_materialization_data.materialization.metadata)}"
    return None


def _reason(failure: Any) -> str:
    """What a plain failure says; of an unexpected one, all that is known."""
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    if error is None:
        return "no reason is known"
    return (error.cause.to_string() if error.cause else error.message).strip()


def _figures(metadata: Mapping[str, dg.MetadataValue]) -> str:
    """The numbers and flags of a materialisation on one line."""
    found = {name.removeprefix("dagster/").replace("_", " "): value.value for name, value in metadata.items()}
    return ", ".join(f"{name} {value:g}" for name, value in found.items() if isinstance(value, int | float))


def _wanted(record: logging.LogRecord, level: int) -> bool:
    event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
    if event is None:
        return record.levelno >= level
    # Dagster logs its events as DEBUG.
    progress = level <= logging.INFO and event.event_type_value in SHOWN_EVENTS
    return progress or record.levelno >= logging.ERROR

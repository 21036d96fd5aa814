"""What a run prints in a terminal: one short line for what people wait for, and warnings and errors in full."""

from __future__ import annotations

import logging
import sys

import dagster as dg

SHOWN_EVENTS = {"STEP_START", "STEP_FAILURE", "RUN_FAILURE", "ASSET_CHECK_EVALUATION"}


@dg.logger(
    {"level": dg.Field(dg.String, default_value="INFO", description="DEBUG shows every event of Dagster.")},
    description="Progress for people; the event log has everything.",
)
def console_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that prints progress lines to standard error."""
    level = str(context.logger_config["level"]).upper()
    logger = logging.Logger("llm_assets", level="DEBUG")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: level == "DEBUG" or _wanted(record))
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.setFormatter(_Short("%H:%M:%S"))
    logger.addHandler(handler)
    return logger


class _Short(logging.Formatter):
    """Time, step and message, without run ids and process ids."""

    def __init__(self, datefmt: str) -> None:
        super().__init__(datefmt=datefmt)

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        step = str(meta.get("step_key") or "").replace("__", "/")
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        text = meta.get("orig_message") or record.getMessage()
        return f"{self.formatTime(record, self.datefmt)} {step:<36} {mark}{text}"


def _wanted(record: logging.LogRecord) -> bool:
    event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
    if event is None:
        return record.levelno >= logging.INFO
    return event.event_type_value in SHOWN_EVENTS or record.levelno >= logging.ERROR

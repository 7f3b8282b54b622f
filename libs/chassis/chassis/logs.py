"""Structured logs: lines for people on a terminal, JSON for machines. Everything goes to standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

QUIET = (
    "aiokafka",
    "asyncio",
    "eventsourcing",
    "httpcore",
    "httpx",
    "httpx2",
    "openai",
    "PIL",
    "psycopg",
    "uvicorn.access",
    "uvicorn.error",
)
"""Libraries that are logged from a warning on."""

SILENT = ("sayso.faststream",)
"""Loggers that warn of our own choices: FastStream, at each start, that it does not create topics."""

HARMLESS = (
    "Group Coordinator Request failed",
    "Marking the coordinator dead",
    "Heartbeat failed for group %s because it is rebalancing",
    "Heartbeat failed for group %s: generation id is not  current.",
    "Heartbeat failed: local member_id was not recognized",
)
"""What Kafka's client says while a group forms or shares its partitions anew, and mends by itself."""

REPEAT_SECONDS = 10.0
"""While Kafka is unavailable, its client logs the same message dozens of times a second."""


class RepeatFilter(logging.Filter):
    """Lets each message of a library pass once in REPEAT_SECONDS, whatever its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` passes."""
        message = (record.name, str(record.msg))
        if record.created - self._passed.get(message, 0) < REPEAT_SECONDS:
            return False
        self._passed[message] = record.created
        return True


def soften(record: logging.LogRecord) -> bool:
    """Make news of what is HARMLESS; an error that no retry mends stays one. Every record passes."""
    said = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if record.name.startswith("aiokafka") and str(record.msg).startswith(HARMLESS) and getattr(said, "retriable", True):
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


def configure_logs(service: str, level: str, form: str) -> None:
    """Send all logs, those of libraries included, through one renderer to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _, __, event: {"service": service, **event},
    ]
    as_json = form == "json"
    # Tracebacks without the variables of their frames: those hold passwords, and texts that people wrote.
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer() if as_json else plain
    bare = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    tracebacks = [structlog.processors.ExceptionRenderer(bare)] if as_json else []
    rendering: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tracebacks, renderer]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=rendering))
    repeats = RepeatFilter()
    handler.addFilter(soften)
    handler.addFilter(lambda record: not record.name.startswith("aiokafka") or repeats.filter(record))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

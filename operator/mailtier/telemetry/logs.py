"""Logs of the whole process through one pipeline: JSON lines for machines, coloured lines for a terminal.

Every line has a UTC timestamp, level, logger, and whatever was bound (`bound(object="namespace/name")`). What the
libraries log through `logging` takes the same way. Values that look like credentials are cut out as a second net
(R1); the first is that nobody logs them.
"""

import contextlib
import logging
import logging.config
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

from mailtier.telemetry import redaction

Format = Literal["json", "console"]
Logger = structlog.stdlib.BoundLogger

# Loggers that write a line per event or request, which metrics count better, and those that say what we say.
_QUIET: Final = {
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.INFO,
    "kopf.objects": logging.WARNING,
    "kubernetes": logging.WARNING,
    "requests_oauthlib": logging.WARNING,
    "urllib3": logging.WARNING,
}


def get_logger(name: str) -> Logger:
    """Return the logger of a module; it may be made before `configure` is called."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


def tells_details(name: str) -> bool:
    """Return whether lines at DEBUG of a logger are written; to be asked where gathering what they say is work."""
    return logging.getLogger(name).isEnabledFor(logging.DEBUG)


def bound(**values: object) -> contextlib.AbstractContextManager[None]:
    """Return a context in which every line, of this task and of those it starts, has these values."""
    return structlog.contextvars.bound_contextvars(**values)


def configure(*, level: str = "INFO", style: Format | None = None, stream: TextIO | None = None) -> None:
    """Set up `structlog` and `logging` for the process; calling it again replaces the setup.

    Args:
        level: Name of the lowest level that is written, such as `INFO`.
        style: By default `console` where the stream is a terminal, else `json`.
        stream: Standard error by default.
    """
    stream = stream or sys.stderr
    style = style or ("console" if stream.isatty() else "json")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Plain text: a traceback with local variables would show the passwords in them.
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_object_of_kopf, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redact,
            _renderer(style, colors=stream.isatty()),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, lowest in _QUIET.items():
        logging.getLogger(name).setLevel(lowest)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers made before this call must follow it.
        cache_logger_on_first_use=False,
    )


def _renderer(style: Format, *, colors: bool) -> structlog.typing.Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=True)
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _redact(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return redaction.fields(line)


def _object_of_kopf(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the object that kopf speaks of, which it attaches to its records as `k8s_ref`."""
    reference = getattr(line.get("_record"), "k8s_ref", None)
    if isinstance(reference, dict) and reference.get("name"):
        namespace = reference.get("namespace")
        line["object"] = f"{namespace}/{reference['name']}" if namespace else str(reference["name"])
    return line

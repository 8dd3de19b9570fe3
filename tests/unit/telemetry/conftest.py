"""Leaving `logging` and `structlog` as they were found."""

import collections.abc
import io
import logging

import pytest
import structlog


@pytest.fixture
def stream() -> collections.abc.Iterator[io.StringIO]:
    """Return a stream for logs; afterwards the process logs as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # A command that a test ran in this process may have caught warnings, which is not done twice.
    logging.captureWarnings(capture=False)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()

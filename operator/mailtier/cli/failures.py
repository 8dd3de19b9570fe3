"""How a command ends when it cannot do what it was asked: one line on stderr, and a status that scripts can use."""

import enum
import os


class Status(enum.IntEnum):
    """Exit statuses of every command."""

    OK = 0
    FAILED = 1
    """Findings, or a failure."""
    USAGE = 2
    """The command line itself is wrong."""
    AWAY = 75
    """What it needs does not answer for now (EX_TEMPFAIL of sysexits.h); of a part of the sender, to its supervisor."""
    TIMED_OUT = 124
    """What was waited for did not happen in time, as timeout(1) has it."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it."""


class CommandError(Exception):
    """A command cannot go on; the text is one line that says what is so and what to do.

    Attributes:
        status: What the program exits with.
    """

    def __init__(self, message: str, *, status: Status = Status.FAILED) -> None:
        super().__init__(message)
        self.status = status


def told(error: Exception) -> str:
    """Return what an error says, as one line for people: of the system's, what could not be used and why."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"cannot use {os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)

"""What commands print on stdout, and what becomes of it when nobody reads it or a disk is full."""

import errno
import os
import sys
from collections.abc import Iterable

from mailtier.cli import failures


def write(lines: Iterable[str]) -> bool:
    """Print lines; where the reader is gone, as with `| head`, the rest is of no use and dropped.

    Returns:
        Whether the reader is still there, as far as this shows.

    Raises:
        CommandError: They cannot be written.
    """
    try:
        sys.stdout.writelines(lines)
    except OSError as error:
        _give_up(error)
        return False
    return flush()


def flush() -> bool:
    """Write out what was printed, and return whether the reader is still there.

    Raises:
        CommandError: It cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up(error)
        return False
    return True


def is_ours(error: OSError) -> bool:
    """Return whether an error is one of writing to stdout, and not of a file that somebody named."""
    return error.filename is None and error.errno in {errno.ENOSPC, errno.EPIPE, errno.EIO}


def _give_up(error: OSError) -> None:
    # The interpreter writes out what is left when it ends, and would fail once more.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    if not isinstance(error, BrokenPipeError):
        raise failures.CommandError(f"cannot write to standard output: {error.strerror}") from error

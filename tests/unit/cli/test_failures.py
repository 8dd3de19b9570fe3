"""What a command says when it cannot do what it was asked."""

import pytest

from mailtier.cli import failures


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied", "/data/queue"), "cannot use /data/queue: Permission denied"),
        (PermissionError(13, "Permission denied", b"/data/queue"), "cannot use /data/queue: Permission denied"),
        (OSError("the volume is full"), "the volume is full"),
        (ValueError("no backup"), "no backup"),
    ],
)
def test_errors_of_the_system_are_told_without_their_numbers(error: Exception, told: str) -> None:
    """What could not be used, and why; other errors speak for themselves."""
    assert failures.told(error) == told

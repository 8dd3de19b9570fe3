"""`mailtier sender` refuses what could not work before it begins."""

import pytest
from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import sender


def test_a_name_for_ehlo_that_servers_refuse_is_refused_here() -> None:
    """A single label is a usage error that says why, and not a 504 for each message."""
    result = testing.CliRunner().invoke(sender.app, ["--helo-name", "mailtier-0"])
    assert result.exit_code == failures.Status.USAGE
    assert "not a full name" in result.output


@pytest.mark.parametrize(("text", "says"), [("169h", "168h or less"), ("a week", "is not a duration")])
def test_what_failed_is_kept_no_longer_than_its_record(text: str, says: str) -> None:
    """A time beyond seven days, or none that is one, is a usage error that says what may be."""
    result = testing.CliRunner().invoke(sender.app, ["--keep-failed", text])
    assert result.exit_code == failures.Status.USAGE
    assert says in " ".join(result.output.replace("│", " ").split())

"""`mailtier sender` refuses what could not work before it begins."""

from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import sender


def test_a_name_for_ehlo_that_servers_refuse_is_refused_here() -> None:
    """A single label is a usage error that says why, and not a 504 for each message."""
    result = testing.CliRunner().invoke(sender.app, ["--helo-name", "mailtier-0"])
    assert result.exit_code == failures.Status.USAGE
    assert "not a full name" in result.output

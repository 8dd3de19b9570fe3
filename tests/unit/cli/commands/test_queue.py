"""`mailtier queue` refuses what would do more, or less, than somebody meant."""

import pytest
from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import queue


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retry", "acme"), "name ids (`mailtier queue list acme` shows them), or --all"),
        (("drop", "acme", "an-id", "--all"), "and not both"),
        (("drop", "acme", "an-id", "--state=failed"), "filters go with --all"),
        (("list", "acme", "--older-than=week"), "is not a duration"),
        (("list", "acme/default"), "is not the name of a namespace"),
        (("drop", "acme", "nope"), "'nope' is not the id of a notification, such as 01a21045-"),
        (("show", "acme", "nope"), "`mailtier queue list acme` shows them"),
        (("list", "acme", "--organization=acme/default"), "has to be the name alone, such as default"),
        (("list", "acme", "--destination=relay.example.com:abc"), "is not HOST or HOST:PORT, such as"),
    ],
)
def test_what_is_not_clear_is_refused(arguments: tuple[str, ...], says: str) -> None:
    """A slip of the command line acts on nothing, and is told before any cluster is looked for."""
    result = testing.CliRunner().invoke(queue.app, list(arguments))
    assert result.exit_code == failures.Status.USAGE
    assert says in " ".join(result.output.replace("│", " ").split())

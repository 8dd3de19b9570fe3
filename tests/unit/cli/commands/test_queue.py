"""`mailtier queue` refuses what would do more, or less, than somebody meant."""

import pytest
from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import queue


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retry", "acme"), "name ids, or use --all"),
        (("drop", "acme", "an-id", "--all"), "and not both"),
        (("drop", "acme", "an-id", "--state=failed"), "filters go with --all"),
        (("list", "acme", "--older-than=week"), "is not a duration"),
        (("list", "acme/default"), "is not the name of a namespace"),
    ],
)
def test_what_is_not_clear_is_refused(arguments: tuple[str, ...], says: str) -> None:
    """Neither everything nor something else is acted on by a slip of the command line."""
    result = testing.CliRunner().invoke(queue.app, list(arguments))
    assert result.exit_code == failures.Status.USAGE
    assert says in " ".join(result.output.replace("│", " ").split())

"""`mailtier sender` refuses what could not work before it begins."""

import subprocess
import sys

import pytest
from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import sender
from mailtier.sender import ports


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


def test_what_the_help_says_of_quotas_is_so() -> None:
    """The numbers are words there, as the supervisor imports nothing of the queue; they are the queue's."""
    usual = ports.QueueQuota()
    text = " ".join(testing.CliRunner().invoke(sender.app, ["--help"]).output.split())
    assert f"{usual.messages:,} by default" in text
    assert f"{usual.payload_bytes // 2**20} MiB by default" in text
    assert f"{usual.stored_bytes // 2**20} MiB by default" in text


def test_the_supervisor_imports_nothing_of_its_children() -> None:
    """What stays in memory beside them is small: no client of Kubernetes, no SQLite, no models."""
    program = "import sys, mailtier.cli.commands.sender; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"kopf", "kubernetes", "sqlite3", "pydantic", "aiosmtplib", "mailtier.kube"} & set(modules)

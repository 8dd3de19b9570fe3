"""Mailtier's own commands, ready to be typed against the demo: each is run before it is shown."""

import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import textwrap

from demo import screen, stage

_SECONDS = 150
"""A namespace has three probes at once, then one a minute, for which `verify` waits."""

_INDENT = 4
"""Of what a command prints."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line.

    Attributes:
        meaning: What it is for, as a comment.
        text: What a person types in any shell.
        status: What it exits with in the demo.
        says: Words of its output.
    """

    meaning: str
    text: str
    status: int
    says: tuple[str, ...]


def commands(on: stage.Stage) -> tuple[Command, ...]:
    """Return the commands for this run of the demo, which delivers one more notification."""
    program = pathlib.Path(sys.executable).with_name("mailtier")
    kubeconfig = f"--kubeconfig={on.cluster.kubeconfig}"
    intake = (f"--url={on.intake_url}", f"--ca={on.intake_ca}", "--timeout=2m", kubeconfig)

    def line(*arguments: str) -> str:
        return shlex.join([str(program), *arguments])

    return (
        Command(
            meaning="Whether anything of one namespace is broken: nothing of birch is. The demo's processes run in no"
            " pod, which it tells.",
            text=line("status", "--namespace=birch", kubeconfig),
            status=0,
            says=("1 ready, 0 stalled", "no pod in its namespace, but"),
        ),
        Command(
            meaning="What is broken, and what to do: elm is, on purpose, for it names a server and no credentials. The"
            " status is 1, for scripts to see; so it is without --namespace, as long as anything is broken.",
            text=line("status", "--namespace=elm", kubeconfig),
            status=1,
            says=("elm/default", "CredentialsRequired"),
        ),
        Command(
            meaning="Whether the server of an organization works",
            text=line("verify", "birch/default", "--as-service-account=birch/app", *intake),
            status=0,
            says=("auth", "Verified"),
        ),
        Command(
            meaning="Whether the host's server works, for the platform team",
            text=line("verify", "--host", "--as-service-account=mailtier-system/platform", *intake),
            status=0,
            says=("auth", "Verified"),
        ),
        Command(
            meaning="A test notification",
            text=line("send", "birch/default", "--to=you@birch.example", "--as-service-account=birch/app", *intake),
            status=0,
            says=("you@birch.example", "accepted"),
        ),
    )


def run(on: stage.Stage) -> None:
    """Run each command, as a person would.

    Raises:
        StepFailedError: One did not do what it should.
    """
    on.apply("45-platform.yaml")
    for command in commands(on):
        name = " ".join(word for word in shlex.split(command.text)[1:3] if not word.startswith("--kubeconfig"))
        screen.say(f"\n{command.meaning}", wrapped=True)
        with screen.step(f"mailtier {name} exits with {command.status}"):
            done = subprocess.run(
                ["sh", "-c", command.text],
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
                env={**os.environ, "COLUMNS": str(screen.room(_INDENT))},
            )
            printed = " ".join(done.stdout.split())
            screen.expect(done.returncode == command.status, f"exit status {command.status}", done)
            for words in command.says:
                screen.expect(words in printed, f"{words!r} in what it prints", done)
        screen.say(done.stdout, indent=_INDENT)


def shown(on: stage.Stage) -> str:
    """Return the commands with their meanings, for people to copy."""
    return "\n".join(
        "\n".join(
            (*textwrap.wrap(command.meaning, screen.room(2), initial_indent="# ", subsequent_indent="# "), command.text)
        )
        for command in commands(on)
    )

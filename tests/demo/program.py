"""Mailtier's commands that ask a cluster, ready to be typed against the demo: each is run before it is shown."""

from demo import commands, stage


def run(on: stage.Stage) -> None:
    """Run each command, as a person would.

    Raises:
        StepFailedError: One did not do what it should.
    """
    on.apply("45-platform.yaml")
    for command in _commands(on):
        command.run()


def shown(on: stage.Stage) -> str:
    """Return the commands with their meanings, for people to copy."""
    return commands.listed(_commands(on))


def _commands(on: stage.Stage) -> tuple[commands.Command, ...]:
    """Return the commands for this run of the demo, which delivers one more notification."""
    kubeconfig = f"--kubeconfig={on.cluster.kubeconfig}"
    way = (f"--url={on.intake_url}", f"--ca={on.intake_ca}", kubeconfig)
    intake = (*way, "--timeout=2m")
    return (
        commands.Command(
            meaning="Whether anything of one namespace is broken: nothing of birch is. The demo's processes run in no"
            " pod, which it tells.",
            text=commands.line("status", "--namespace=birch", kubeconfig),
            shown="mailtier status --namespace=birch",
            status=0,
            says=("1 ready, 0 stalled", "no pod found; operator"),
        ),
        commands.Command(
            meaning="What is broken, and what to do: elm is, on purpose, for it names a server and no credentials. The"
            " status is 1, for scripts to see; so it is without --namespace, as long as anything is broken.",
            text=commands.line("status", "--namespace=elm", kubeconfig),
            shown="mailtier status --namespace=elm",
            status=1,
            says=("elm/default", "CredentialsRequired"),
        ),
        commands.Command(
            meaning="Whether the server of an organization works",
            text=commands.line("verify", "birch/default", "--as-service-account=birch/app", *intake),
            shown="mailtier verify birch/default",
            status=0,
            says=("auth", "Verified"),
        ),
        commands.Command(
            meaning="Whether the host's server works, for the platform team",
            text=commands.line("verify", "--host", "--as-service-account=mailtier-system/platform", *intake),
            shown="mailtier verify --host",
            status=0,
            says=("auth", "Verified"),
        ),
        commands.Command(
            meaning="A test notification",
            text=commands.line(
                "send", "birch/default", "--to=you@birch.example", "--as-service-account=birch/app", *intake
            ),
            shown="mailtier send birch/default",
            status=0,
            says=("you@birch.example", "accepted"),
        ),
        commands.Command(
            meaning="What was sent, and what failed; `mailtier queue retry`, `drop` and `release` act on it",
            text=commands.line("queue", "list", "birch", "--as-service-account=birch/mail-keeper", *way),
            shown="mailtier queue list birch",
            status=0,
            # A column is as wide as the terminal lets it be.
            says=("you@birch.", "accepted"),
        ),
    )

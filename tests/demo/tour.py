"""What is shown while the real parts are built: the commands that work on files, which need none of them."""

import os
import pathlib

from demo import commands, screen, stage

_PARTS = {
    "etcd": "where Kubernetes keeps its objects",
    "kube-apiserver": "Kubernetes itself: kubectl, rights, schemas, tokens and watches are the real ones",
    "kubectl": "what you would type",
    "mailpit": "the host's mail server, with StartTLS and a password",
}
"""What each part is for."""

_NEXT = (
    "a cluster on loopback, with the CRDs and rights of the chart; operator and sender as a pod would run them",
    "seven organizations applied with kubectl: who is ready, who is not and why; one is mended as its status says",
    "notifications over HTTPS and as objects, and the mail as it arrived, from whom and at which server",
    "mailtier status, verify and send; and a search of all that was written for passwords",
)


def run(*, building: tuple[str, ...]) -> None:
    """Show what needs no cluster, then what is being waited for.

    Args:
        building: The parts that the demo needs.

    Raises:
        StepFailedError: A command did not do what it should.
    """
    screen.say(
        "What runs here is real, so that it is built from its source first, once on this machine. Until then, some"
        " of what needs no cluster: the commands that a pipeline runs on the files of a pull request.",
        wrapped=True,
    )
    for command in _commands():
        command.run()
    screen.say("\nThe real parts:", wrapped=True)
    screen.table(("PART", "IS"), [(part, _PARTS[part]) for part in building])
    screen.say("\nThen follow, each checked as it is shown:", wrapped=True)
    for number, text in enumerate(_NEXT, 1):
        screen.say(f"{number}. {text}", wrapped=True)
    screen.say("")


def _commands() -> tuple[commands.Command, ...]:
    examples = pathlib.Path("docs", "reference", "examples")
    host, organization = examples / "hostemailsettings.yaml", examples / "orgemailsettings.yaml"
    broken = pathlib.Path("docs", "tutorial", "broken")
    program = os.path.relpath(commands.PROGRAM, stage.ROOT)
    return tuple(
        commands.Command(meaning=meaning, text=text.replace("mailtier", program), shown=text, status=status, says=says)
        for meaning, text, status, says in (
            (
                "What the host and an organization would send with",
                f"mailtier render --quiet -f {examples}",
                0,
                ("host", "sales/default", "Implicit"),
            ),
            (
                "Where a value comes from, who may change it, and what is behind it",
                f"mailtier explain sales/default from.displayName --quiet -f {examples}",
                0,
                ("Example Sales (Org)", "Example Platform (Host)"),
            ),
            (
                "What one edited line of the host's alters, and for whom",
                f"sed s/no-reply@/mail@/ {host} | mailtier render --quiet -f - -f {organization} --diff {examples}",
                0,
                ("no-reply@example.com (Host) -> mail@example.com (Host)", "2 changed"),
            ),
            (
                "What the tutorial's settings with two faults are told, at their lines, before anybody applies them",
                f"mailtier lint --quiet -f {broken / '00-host.yaml'} -f {broken / '06-two-faults.yaml'}",
                1,
                ("FieldLocked", "RecipientNotAllowed", "2 errors"),
            ),
        )
    )

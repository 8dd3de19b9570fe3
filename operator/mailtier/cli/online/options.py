"""Options of the commands that ask a cluster, with one spelling and one help text each."""

import enum
import pathlib
from typing import Annotated, Final

import typer

OPERATOR_NAMESPACE: Final = "mailtier-system"
TIMEOUT: Final = "60s"


class Format(enum.StrEnum):
    """How a command prints what it found."""

    TEXT = "text"
    JSON = "json"


class StatusFormat(enum.StrEnum):
    """How a status is printed."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


OperatorNamespace = Annotated[
    str, typer.Option(help="The namespace that Mailtier runs in.", envvar="MAILTIER_OPERATOR_NAMESPACE")
]
Url = Annotated[
    str,
    typer.Option(
        help="The intake's address, such as https://mailtier.mailtier-system.svc; by default the sender's pod, through"
        " a port-forward.",
        envvar="MAILTIER_URL",
    ),
]
Ca = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="The certificates that the intake is verified against; by default those that the operator publishes, and"
        " with --url the system's.",
        dir_okay=False,
        exists=True,
        envvar="MAILTIER_CA",
    ),
]
TokenFile = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="A file with a ServiceAccount's token for the audience mailtier; by default one is asked for, for"
        " --as-service-account.",
        dir_okay=False,
        exists=True,
    ),
]
ServerName = Annotated[
    str, typer.Option(help="The name that the intake's certificate is checked for; by default its Service's.")
]
AsServiceAccount = Annotated[
    str,
    typer.Option(
        metavar="NAMESPACE/NAME",
        help="Whose token is asked for; by default the ServiceAccount `default` of the organization's namespace, and"
        " with --host of Mailtier's.",
    ),
]
Timeout = Annotated[str, typer.Option(help="How long to wait for the end.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.", case_sensitive=False)]

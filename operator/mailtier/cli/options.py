"""Options that several commands share, with one spelling and one help text each."""

import enum
import ipaddress
import pathlib
from typing import Annotated, Final

import typer


class Level(enum.StrEnum):
    """The lowest level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Style(enum.StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


Namespace = Annotated[
    str,
    typer.Option(
        help="The operator's own namespace; by default the pod's, or the context's.", envvar="MAILTIER_NAMESPACE"
    ),
]
Context = Annotated[str, typer.Option(help="Use this context of the kubeconfig.")]
Kubeconfig = Annotated[
    pathlib.Path | None, typer.Option(help="Use this kubeconfig, even inside a cluster.", dir_okay=False, exists=True)
]
LogLevel = Annotated[
    Level, typer.Option(help="The lowest level that is logged.", envvar="MAILTIER_LOG_LEVEL", case_sensitive=False)
]
LogFormat = Annotated[
    Style | None,
    typer.Option(
        help="By default console on a terminal, and json elsewhere.",
        envvar="MAILTIER_LOG_FORMAT",
        case_sensitive=False,
    ),
]

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


class DocumentFormat(enum.StrEnum):
    """How a command prints what it found, where that is a document."""

    TEXT = "text"
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
        help="A file with a ServiceAccount's token for the audience mailtier; by default the cluster issues one for"
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
        help="The ServiceAccount whose token is used; by default `default` in the organization's namespace, or with"
        " --host in Mailtier's.",
    ),
]
Timeout = Annotated[str, typer.Option(help="How long to wait for the result.")]
Output = Annotated[
    Format, typer.Option("--output", "-o", help="text for people, json for programs.", case_sensitive=False)
]


def parse_listen(text: str, option: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; the host is "" for all addresses, IPv6 stands in brackets.

    Raises:
        BadParameter: It is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004  # The highest port.
        raise typer.BadParameter(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080 or :8080", param_hint=option)
    return host.removeprefix("[").removesuffix("]"), int(port)


def require_address(file: pathlib.Path | None, option: str) -> None:
    """Return where a file with the address of a database holds something, or none is named.

    Raises:
        BadParameter: It does not exist, cannot be read, or is empty.
    """
    if file is None:
        return
    try:
        empty = not file.read_bytes().strip()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint=option) from None
    if empty:
        raise typer.BadParameter(f"{file} is empty; it has to hold the address of a database", param_hint=option)


def parse_network(text: str, option: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the network of an address or a CIDR.

    Raises:
        BadParameter: It is neither, or has host bits.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is neither an address nor a network without host bits, such as 10.0.0.0/24", param_hint=option
        ) from error

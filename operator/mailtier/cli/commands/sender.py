"""`mailtier sender`: take notifications in, queue them, deliver them.

By default this process only supervises; what the intake and delivery import, it does not.
"""

import asyncio
import datetime as dt
import enum
import importlib
import pathlib
import socket
import sys
from typing import Annotated, Final

import typer

from mailtier.cli import apps, failures, options
from mailtier.cli.commands.nested import keeping
from mailtier.sender.queueing import retention
from mailtier.sender.storage import volume
from mailtier.sender.supervising import supervisor
from mailtier.serving import health
from mailtier.telemetry import logs, tasks

app = apps.new()
app.add_typer(keeping.app)


_KEPT: Final = "168h"
_LEAST_PART: Final = 0.01


class Role(enum.StrEnum):
    """What the process does."""

    ALL = "all"
    INTAKE = "intake"
    DELIVERY = "delivery"


@app.callback(invoke_without_command=True)
def command(
    called: typer.Context,
    *,
    data_dir: Annotated[
        pathlib.Path,
        typer.Option(help="The queue's volume: block storage of this sender's own.", envvar="MAILTIER_DATA_DIR"),
    ] = pathlib.Path("/var/lib/mailtier"),
    socket_dir: Annotated[
        pathlib.Path,
        typer.Option(help="The folder of the Unix socket for the operator.", envvar="MAILTIER_SOCKET_DIR"),
    ] = pathlib.Path("/run/mailtier"),
    listen: Annotated[str, typer.Option(help="HOST:PORT for the HTTPS intake; :PORT for all addresses.")] = ":8443",
    health_listen: Annotated[
        str, typer.Option(help="HOST:PORT for /healthz, /readyz and /metrics; :PORT for all addresses.")
    ] = ":8081",
    tls_dir: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="A mounted Secret with tls.crt and tls.key (and ca.crt), read again when it changes; without it a"
            " certificate is made on the volume.",
            envvar="MAILTIER_TLS_DIR",
        ),
    ] = None,
    tls_name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or IP address that the certificate made here is for; may be repeated. By default those of the"
            " Service mailtier, of this host, and of loopback."
        ),
    ] = None,
    ca_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Where the intake's CA is published; by default intake-ca.crt beside the socket.",
            envvar="MAILTIER_CA_FILE",
        ),
    ] = None,
    helo_name: Annotated[
        str,
        typer.Option(
            help="The name for EHLO where the settings have none: a full one, which servers may look up. By default the"
            " host's if that is a full one, and the connection's own address if not.",
            envvar="MAILTIER_HELO_NAME",
        ),
    ] = "",
    quota_messages: Annotated[
        int | None,
        typer.Option(
            help="Messages that one namespace may have queued, unless the host's policy says; 5,000 by default.", min=1
        ),
    ] = None,
    quota_bytes: Annotated[
        int | None,
        typer.Option(
            help="Bytes of subject, text and data that one namespace may have queued, unless the host's policy says; 64"
            " MiB by default.",
            min=1,
        ),
    ] = None,
    quota_stored_bytes: Annotated[
        int | None,
        typer.Option(
            help="Bytes of the volume that one namespace's notifications may take, finished or not; texts of what"
            " failed go first, then records of what was finished; 128 MiB by default.",
            min=1,
        ),
    ] = None,
    full_at: Annotated[
        float,
        typer.Option(
            help="Part of the volume in use at which nothing new is accepted: 0.01 to 1, such as 0.8 for 80 %."
        ),
    ] = volume.FULL_AT,
    queue_dsn_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="A file with the address of a Postgres database that the queue is kept in, in place of the volume, and"
            " that several senders may share: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Read again for each"
            " connection.",
            envvar="MAILTIER_QUEUE_DSN_FILE",
        ),
    ] = None,
    sender_name: Annotated[
        str,
        typer.Option(
            help="This sender's name among those of its database: one that starts under it again takes the former one"
            " for dead. By default the host's, as pods of a StatefulSet have it.",
            envvar="MAILTIER_SENDER_NAME",
        ),
    ] = "",
    keep_failed: Annotated[
        str,
        typer.Option(
            help="How long the text of what failed, expired or was suppressed is kept, so that it can be sent again: at"
            " most 168h; 0s to wipe it at its end. That of a password recovery is always wiped."
        ),
    ] = _KEPT,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or network (CIDR) of load balancers in front of the intake, which have to say with a"
            " header of PROXY protocol version 2 whom they speak for; may be repeated. From elsewhere it is refused.",
        ),
    ] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What this process does: `intake` takes notifications in, `delivery` delivers them, beside each other"
            " on one volume; `all` starts both, starts again what died, and shows health and metrics in one place."
        ),
    ] = Role.ALL,
    leash: Annotated[
        int | None, typer.Option(help="The descriptor that ties this process to its supervisor.", hidden=True)
    ] = None,
    most_deaths: Annotated[
        int, typer.Option(help="So many deaths of its processes within a minute end the sender.", min=1, hidden=True)
    ] = supervisor.MOST_DEATHS,
    in_doubt_delay: Annotated[
        list[float] | None,
        typer.Option(
            help="Seconds before a message that a crash left in doubt is resent; repeated for each further crash.",
            hidden=True,
        ),
    ] = None,
    namespace: options.Namespace = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
    log_level: options.LogLevel = options.Level.INFO,
    log_format: options.LogFormat = None,
) -> None:
    """Accept notifications over HTTPS and from the operator, queue them, and deliver them."""
    if called.invoked_subcommand is not None:
        return
    logs.configure(level=log_level.value, style=log_format.value if log_format else None)
    host, port = options.parse_listen(listen, "--listen")
    health_host, health_port = options.parse_listen(health_listen, "--health-listen")
    options.require_address(queue_dsn_file, "--queue-dsn-file")
    own_name, kept = _helo_name(helo_name), _keep_failed(keep_failed)
    if not _LEAST_PART <= full_at <= 1:
        told = f"{full_at:g} is not a part between {_LEAST_PART:g} and 1, such as 0.8 for 80 %"
        raise typer.BadParameter(told, param_hint="--full-at")
    proxies = [options.parse_network(each, "--trusted-proxy") for each in trusted_proxy or ()]
    if role is Role.ALL:
        _supervise(socket_dir, host=health_host, port=health_port, most_deaths=most_deaths)
        return
    # Its imports are what the supervisor does without.
    importlib.import_module("mailtier.cli.roles").run(
        context=context or None,
        kubeconfig=kubeconfig,
        namespace=namespace or None,
        names=tls_name,
        role=role.value,
        leash=leash,
        data_dir=data_dir,
        socket_dir=socket_dir,
        host=host,
        port=port,
        health_host=health_host,
        health_port=health_port,
        tls_dir=tls_dir,
        authority_file=ca_file,
        helo_name=own_name,
        quotas={"messages": quota_messages, "payload_bytes": quota_bytes, "stored_bytes": quota_stored_bytes},
        full_at=full_at,
        keep_failed=kept,
        trusted_proxies=proxies,
        queue_dsn_file=queue_dsn_file,
        sender_name=sender_name or socket.gethostname(),
        in_doubt_delays=[dt.timedelta(seconds=seconds) for seconds in in_doubt_delay] if in_doubt_delay else None,
    )


def _supervise(socket_dir: pathlib.Path, *, host: str, port: int, most_deaths: int) -> None:
    """Run both roles in processes of their own, with this one's arguments, until SIGTERM or SIGINT."""

    def command_of(role: str, leash: int) -> list[str]:
        return [sys.executable, "-m", "mailtier", *sys.argv[1:], f"--role={role}", f"--leash={leash}"]

    async def run() -> None:
        stop = asyncio.Event()
        tasks.stop_on_signals(stop)
        running = supervisor.Supervisor(command_of, folder=socket_dir, most_deaths=most_deaths)
        async with health.serve(health.relay(running.routes()), host=host, port=port):
            await running.run(stop)

    try:
        asyncio.run(run())
    except supervisor.ChildRefusedError as error:
        # The child has said why.
        raise typer.Exit(failures.Status(error.status)) from None
    except (supervisor.TooManyDeathsError, OSError) as error:
        raise failures.CommandError(failures.told(error)) from error


def _helo_name(chosen: str) -> str:
    """Return the name for EHLO; "" for the address of each connection.

    Raises:
        typer.BadParameter: Servers refuse the name.
    """
    if chosen and "." not in chosen and ":" not in chosen:
        raise typer.BadParameter(f"{chosen} is not a full name, and servers refuse it (504)", param_hint="--helo-name")
    own = socket.gethostname()
    return chosen or (own if "." in own else "")


def _keep_failed(text: str) -> dt.timedelta:
    """Return how long the text of what failed is kept.

    Raises:
        typer.BadParameter: It is no duration, or too long.
    """
    if text == _KEPT:
        return retention.FAILED_KEPT
    try:
        # What it imports is more than all of the supervisor.
        found: dt.timedelta = importlib.import_module("mailtier.api.types").parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep-failed") from None
    if found > retention.FAILED_KEPT:
        raise typer.BadParameter("must be 168h or less: records are kept for seven days", param_hint="--keep-failed")
    return found

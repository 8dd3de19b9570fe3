"""`mailtier sender`: take notifications in, queue them, deliver them."""

import asyncio
import datetime as dt
import pathlib
import socket
from typing import Annotated

import typer

from mailtier.api import feed, types
from mailtier.cli import apps, failures, options
from mailtier.kube import configuration, errors
from mailtier.sender import app as process
from mailtier.sender import ports
from mailtier.sender.intake.http import certificates
from mailtier.sender.queueing import retention
from mailtier.sender.roles import options as role_options
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import schema
from mailtier.telemetry import logs, tasks

app = apps.new()

_SERVICE = "mailtier"


@app.command()
def command(
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
            f" Service {_SERVICE}, of this host, and of loopback."
        ),
    ] = None,
    ca_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            help=f"Where the intake's CA is published; by default {feed.AUTHORITY_NAME} beside the socket.",
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
        int, typer.Option(help="Messages that one namespace may have queued, unless the host's policy says.", min=1)
    ] = ports.QueueQuota().messages,
    quota_bytes: Annotated[
        int,
        typer.Option(
            help="Bytes of subject, text and data that one namespace may have queued, unless the host's policy says.",
            min=1,
        ),
    ] = ports.QueueQuota().payload_bytes,
    quota_stored_bytes: Annotated[
        int,
        typer.Option(
            help="Bytes of the volume that one namespace's notifications may take, finished or not; texts of what"
            " failed go first, then records of what was finished.",
            min=1,
        ),
    ] = ports.QueueQuota().stored_bytes,
    full_at: Annotated[
        float, typer.Option(help="Part of the volume in use at which nothing new is taken.", min=0.01, max=1.0)
    ] = volume.FULL_AT,
    keep_failed: Annotated[
        str,
        typer.Option(
            help="How long the text of what failed or expired is kept, so that it can be sent again: at most 168h; 0s"
            " to wipe it at its end. That of a password recovery is always wiped."
        ),
    ] = "168h",
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or network (CIDR) of load balancers in front of the intake, which have to say with a"
            " header of PROXY protocol version 2 whom they speak for; may be repeated. From elsewhere it is refused.",
        ),
    ] = None,
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
    """Take notifications in over HTTPS and from the operator, queue them, and deliver them."""
    logs.configure(level=log_level.value, style=log_format.value if log_format else None)
    host, port = options.parse_listen(listen, "--listen")
    health_host, health_port = options.parse_listen(health_listen, "--health-listen")
    own_name, kept = _helo_name(helo_name), _keep_failed(keep_failed)
    delays = [dt.timedelta(seconds=seconds) for seconds in in_doubt_delay] if in_doubt_delay else None
    try:
        connection = configuration.load(context=context or None, kubeconfig=kubeconfig, namespace=namespace or None)
        asyncio.run(
            process.run(
                role_options.SenderOptions(
                    connection=connection,
                    namespace=connection.namespace,
                    data_dir=data_dir,
                    socket_dir=socket_dir,
                    host=host,
                    port=port,
                    health_host=health_host,
                    health_port=health_port,
                    tls_dir=tls_dir,
                    tls_names=tls_name or _names(connection.namespace),
                    authority_file=ca_file,
                    helo_name=own_name,
                    quota=ports.QueueQuota(
                        messages=quota_messages, payload_bytes=quota_bytes, stored_bytes=quota_stored_bytes
                    ),
                    full_at=full_at,
                    keep_failed=kept,
                    trusted_proxies=[options.parse_network(each, "--trusted-proxy") for each in trusted_proxy or ()],
                    in_doubt_delays=delays,
                )
            )
        )
    except errors.ConfigurationError as error:
        raise failures.CommandError(str(error), status=failures.Status.USAGE) from error
    except (
        volume.InUseError,
        schema.NewerSchemaError,
        schema.DamagedError,
        certificates.CertificateError,
        tasks.EndedError,
        OSError,
    ) as error:
        raise failures.CommandError(str(error)) from error


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
    try:
        found = types.parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep-failed") from None
    if found > retention.FAILED_KEPT:
        raise typer.BadParameter("must be 168h or less: records are kept for seven days", param_hint="--keep-failed")
    return found


def _names(namespace: str) -> list[str]:
    """Return what clients call the intake: the Service, this host for a port-forward, loopback for tests."""
    service = f"{_SERVICE}.{namespace}.svc"
    return [
        service,
        f"{service}.cluster.local",
        f"{_SERVICE}.{namespace}",
        socket.gethostname(),
        "localhost",
        "127.0.0.1",
        "::1",
    ]

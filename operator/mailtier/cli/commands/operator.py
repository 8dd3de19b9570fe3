"""`mailtier operator`: watch the settings, publish the effective ones, write status."""

import asyncio
import os
import pathlib
import socket
from typing import Annotated

import typer

from mailtier.cli import apps, failures, options

app = apps.new()


@app.command()
def command(
    *,
    socket_dir: Annotated[
        pathlib.Path, typer.Option(help="The folder with the sender's Unix socket.", envvar="MAILTIER_SOCKET_DIR")
    ] = pathlib.Path("/run/mailtier"),
    intake_url: Annotated[
        str,
        typer.Option(
            help="Where applications reach the intake, such as https://mailtier.mailtier.svc:8443, for the ConfigMaps"
            " that spec.publish asks for.",
            envvar="MAILTIER_INTAKE_URL",
        ),
    ] = "",
    references_role: Annotated[
        str,
        typer.Option(
            help="The ClusterRole that gives the right to read Secrets and CA bundles of a namespace where it is bound,"
            " for the command that NamespaceNotGranted prints."
        ),
    ] = "",
    service_account: Annotated[
        str, typer.Option(help="NAMESPACE:NAME of the operator's ServiceAccount, for the same command.")
    ] = "",
    health_listen: Annotated[
        str, typer.Option(help="HOST:PORT for /healthz, /readyz and /metrics; :PORT for all addresses.")
    ] = ":8080",
    identity: Annotated[
        str,
        typer.Option(
            help="Name among the operators that contend for the Lease; by default the host's, outside a cluster with"
            " the process's number."
        ),
    ] = "",
    namespace: options.Namespace = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
    log_level: options.LogLevel = options.Level.INFO,
    log_format: options.LogFormat = None,
) -> None:
    """Watch the settings, publish the effective ones, and write status."""
    # kopf and the kubernetes package take a second to import, which --help shall not.
    from mailtier.handlers import app as process  # noqa: PLC0415 - As above.
    from mailtier.handlers import watching  # noqa: PLC0415
    from mailtier.kube import configuration, errors, lease  # noqa: PLC0415
    from mailtier.settings import observed  # noqa: PLC0415
    from mailtier.telemetry import logs, tasks  # noqa: PLC0415

    logs.configure(level=log_level.value, style=log_format.value if log_format else None)
    host, port = options.parse_listen(health_listen, "--health-listen")
    try:
        connection = configuration.load(context=context or None, kubeconfig=kubeconfig, namespace=namespace or None)
        asyncio.run(
            process.run(
                process.OperatorOptions(
                    connection=connection,
                    namespace=connection.namespace,
                    identity=identity or _identity(),
                    socket_dir=socket_dir,
                    intake_url=intake_url.rstrip("/"),
                    grant=observed.Grant(role=references_role, account=service_account)
                    if references_role and service_account
                    else None,
                    health_host=host,
                    health_port=port,
                )
            )
        )
    except errors.ConfigurationError as error:
        raise failures.CommandError(str(error), status=failures.Status.USAGE) from error
    except (lease.LeaseLostError, watching.WatchesEndedError, tasks.EndedError) as error:
        raise failures.CommandError(f"{error}; start the process again") from error


def _identity() -> str:
    """Return the pod's name: after a restart of its container the operator leads again at once."""
    name = socket.gethostname()
    return name if "KUBERNETES_SERVICE_HOST" in os.environ else f"{name}-{os.getpid()}"

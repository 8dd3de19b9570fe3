"""Running one of the sender's roles; apart from the command, whose process by default only supervises."""

import asyncio
import pathlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.cli import failures
from mailtier.kube import configuration, errors
from mailtier.sender import app, ports
from mailtier.sender.intake.http import certificates
from mailtier.sender.roles import options
from mailtier.sender.storage import volume
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.database import schema as tables
from mailtier.sender.storage.postgres.senders import tenure
from mailtier.sender.storage.sqlite import schema
from mailtier.telemetry import tasks

_SERVICE: Final = "mailtier"


def run(
    *,
    context: str | None,
    kubeconfig: pathlib.Path | None,
    namespace: str | None,
    names: Sequence[str] | None,
    quotas: Mapping[str, int | None],
    role: str,
    **chosen: Any,
) -> None:
    """Run a role until it is told to end.

    Args:
        context: Of the kubeconfig.
        kubeconfig: Where the cluster is.
        namespace: The operator's.
        names: What a certificate that is made here is for.
        quotas: What of `ports.QueueQuota` the command line says.
        role: `intake` or `delivery`.
        chosen: The rest of `options.SenderOptions`.

    Raises:
        CommandError: It cannot start, or a part of it ended.
    """
    try:
        connection = configuration.load(context=context, kubeconfig=kubeconfig, namespace=namespace)
        asyncio.run(
            app.RUNS[role](
                options.SenderOptions(
                    connection=connection,
                    namespace=connection.namespace,
                    tls_names=names or _names(connection.namespace),
                    quota=ports.QueueQuota(**{key: value for key, value in quotas.items() if value is not None}),
                    role=role,
                    **chosen,
                )
            )
        )
    except errors.ConfigurationError as error:
        raise failures.CommandError(str(error), status=failures.Status.USAGE) from error
    except connections.NoDatabaseError as error:
        told = f"{error} (--queue-dsn-file {chosen['queue_dsn_file']})"
        raise failures.CommandError(told, status=failures.Status.AWAY) from error
    except tasks.EndedError as error:
        is_away = isinstance(error.__cause__, (tenure.TenureLostError, ports.StorageAwayError))
        status = failures.Status.AWAY if is_away else failures.Status.FAILED
        raise failures.CommandError(str(error), status=status) from error
    except (
        volume.InUseError,
        volume.FullError,
        schema.NewerSchemaError,
        schema.SealedError,
        schema.DamagedError,
        schema.UnopenedError,
        tables.NewerTablesError,
        certificates.CertificateError,
        OSError,
    ) as error:
        raise failures.CommandError(failures.told(error)) from error


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

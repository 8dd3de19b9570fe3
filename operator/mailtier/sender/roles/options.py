"""What the command line says of a sender."""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Sequence
from typing import Final

from mailtier.kube import configuration
from mailtier.sender import ports
from mailtier.sender.queueing import retention
from mailtier.sender.storage import volume
from mailtier.serving import listener

QUEUE_FOLDER: Final = "queue"
CERTIFICATE_FOLDER: Final = "tls"
BUILD_MARK: Final = "building"
"""In the queue's folder, or beside where that would be."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions:
    """What the command line says.

    Attributes:
        connection: The apiserver.
        namespace: The operator's own, where the effective settings are published.
        data_dir: The queue's volume.
        socket_dir: The folder that is shared with the operator.
        host: Address of the intake; "" for all.
        port: Its port; 0 for a free one.
        health_host: Address of health and metrics; "" for all.
        health_port: Its port.
        tls_dir: A mounted Secret with the intake's certificate; None to make one on the volume.
        tls_names: What a certificate that is made here is for.
        authority_file: Where the intake's CA is published; None for the folder that is shared with the operator.
        helo_name: The name for EHLO where the settings have none; empty for the connection's own address.
        quota: What one namespace may have queued where the host's policy says nothing.
        full_at: Fraction of the volume in use at which new work is refused.
        trusted_proxies: From where the intake expects a header of PROXY protocol version 2, and takes its word.
        keep_failed: How long the text of notifications that failed is kept; no time at all to wipe it at their end.
        role: Which of its processes it is: `intake` or `delivery`.
        leash: The descriptor that ties it to its supervisor; None where it has none, and shows its own pages.
        queue_dsn_file: Holds the address of the database that the queue is in; None for the volume.
        sender_name: Among the senders of that database.
        in_doubt_delays: When messages that a crash left in doubt are resent; None for their category's schedule.
    """

    connection: configuration.Connection
    namespace: str
    data_dir: pathlib.Path
    socket_dir: pathlib.Path
    host: str
    port: int
    health_host: str
    health_port: int
    tls_dir: pathlib.Path | None
    tls_names: Sequence[str]
    authority_file: pathlib.Path | None
    helo_name: str
    quota: ports.QueueQuota = dataclasses.field(default_factory=ports.QueueQuota)
    full_at: float = volume.FULL_AT
    trusted_proxies: Sequence[listener.Network] = ()
    keep_failed: dt.timedelta = retention.FAILED_KEPT
    role: str = ""
    leash: int | None = None
    queue_dsn_file: pathlib.Path | None = None
    sender_name: str = ""
    in_doubt_delays: Sequence[dt.timedelta] | None = None

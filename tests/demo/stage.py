"""What the demo runs on: a cluster, SMTP servers, the operator and the sender."""

import contextlib
import dataclasses
import pathlib
import secrets
import string
import sys
import typing

from kit import certs, cluster, leaks, mailpit, ports, processes, smtpd

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SYSTEM = "mailtier-system"
ACCOUNT = "mailtier"


class Kubectl(typing.Protocol):
    """A cluster, as far as the demo needs one."""

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The kubeconfig of somebody who may do everything."""

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> typing.Any:  # noqa: A002
        """Run kubectl."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """Made anew for each run, and searched for in all that the run wrote."""

    relay: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(18))
    cedar: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(18))
    grove: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(18))


class Stage:
    """Everything that runs during the demo.

    Args:
        folder: Where it all writes.
        cluster: The cluster to use.
        stack: Gets everything that has to be stopped.
    """

    def __init__(self, folder: pathlib.Path, *, on: Kubectl, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.cluster = on
        self.passwords = Passwords()
        self.authority = certs.Authority(folder / "certificates")
        leaf = self.authority.issue(file_name="smtp")
        self.relay = stack.enter_context(
            mailpit.Mailpit(folder / "relay", leaf, user="platform", password=self.passwords.relay, host="127.0.0.2")
        )
        self.own = self._smtp(stack, "own", leaf, {"cedar": self.passwords.cedar, "grove": self.passwords.grove})
        self.open = self._smtp(stack, "open", leaf, {"somebody": secrets.token_urlsafe(18)}, "--anonymous")
        self.silent = self._smtp(stack, "silent", leaf, {"platform": self.passwords.relay})
        self.intake_port, self.operator_port, self.sender_port = ports.free(), ports.free(), ports.free()
        self._stack = stack
        self._shared: tuple[str, ...] = ()
        self._sender: processes.Child | None = None

    def _smtp(
        self, stack: contextlib.ExitStack, name: str, leaf: certs.Leaf, users: dict[str, str], *arguments: str
    ) -> smtpd.Process:
        server = smtpd.Process(self.folder / name, leaf=leaf, tls=smtpd.Tls.STARTTLS, users=users, arguments=arguments)
        return stack.enter_context(server)

    @property
    def intake_url(self) -> str:
        """Where the sender takes notifications."""
        return f"https://localhost:{self.intake_port}"

    @property
    def intake_ca(self) -> pathlib.Path:
        """The certificate of the CA that the sender made for its intake."""
        return self.folder / "socket" / "intake-ca.crt"

    def manifest(self, name: str, **values: str) -> str:
        """Return a file of YAML with this run's ports, passwords and certificates filled in."""
        text = (HERE / "yaml" / name).read_text(encoding="utf-8")
        return string.Template(text).substitute(
            CA_PEM="".join(f"    {line}\n" for line in self.authority.ca_pem.splitlines()).rstrip("\n"),
            RELAY_PORT=str(self.relay.port),
            OWN_PORT=str(self.own.port),
            OPEN_PORT=str(self.open.port),
            SILENT_PORT=str(self.silent.port),
            RELAY_PASSWORD=self.passwords.relay,
            CEDAR_PASSWORD=self.passwords.cedar,
            GROVE_PASSWORD=self.passwords.grove,
            **values,
        )

    def apply(self, name: str, **values: str) -> str:
        """Apply a file of YAML with kubectl, and return what kubectl printed."""
        return str(self.cluster.kubectl("apply", "-f", "-", input=self.manifest(name, **values)).stdout)

    def start_mailtier(self, kubeconfig: pathlib.Path) -> None:
        """Start the sender and the operator, each under a restart loop as the kubelet would keep it."""
        (self.folder / "socket").mkdir(mode=0o700)
        self._shared = (
            f"--kubeconfig={kubeconfig}",
            f"--namespace={SYSTEM}",
            f"--socket-dir={self.folder / 'socket'}",
            "--log-level=DEBUG",
            "--log-format=json",
        )
        self.start_sender()
        ports.require("127.0.0.1", self.operator_port, "the operator's health endpoint")
        self._start("operator", "--identity=demo", f"--health-listen=127.0.0.1:{self.operator_port}")

    def start_sender(self) -> None:
        """Start the sender, on the queue that is there.

        Raises:
            PortInUseError: Something else listens at one of its addresses.
        """
        ports.require("127.0.0.1", self.intake_port, "the sender's intake")
        ports.require("127.0.0.1", self.sender_port, "the sender's health endpoint")
        self._sender = self._start(
            "sender",
            f"--data-dir={self.folder / 'sender'}",
            f"--listen=127.0.0.1:{self.intake_port}",
            f"--health-listen=127.0.0.1:{self.sender_port}",
        )

    def stop_sender(self) -> None:
        """Ask the sender to end, and wait until it has."""
        if self._sender is not None:
            self._sender.stop(grace_seconds=20)

    def _start(self, role: str, *arguments: str) -> processes.Child:
        program = pathlib.Path(sys.executable).with_name("mailtier")
        child = processes.start(
            [sys.executable, "-m", "kit.restart", str(program), role, *arguments, *self._shared],
            log=self.folder / f"{role}.log",
            name=role,
            env={"PYTHONPATH": str(HERE.parent)},
        )
        self._stack.callback(child.stop, grace_seconds=20)
        return child

    def secrets(self) -> list[leaks.Secret]:
        """Return the passwords, none of which may be found in what the run wrote."""
        passwords = (
            ("platform", self.passwords.relay),
            ("cedar", self.passwords.cedar),
            ("grove", self.passwords.grove),
        )
        return [
            leaks.Secret(name=f"the password of {user}", value=password, username=user) for user, password in passwords
        ]


def local_cluster(folder: pathlib.Path, stack: contextlib.ExitStack) -> cluster.LocalCluster:
    """Return a control plane of the demo's own, started."""
    return stack.enter_context(cluster.LocalCluster(folder / "cluster"))

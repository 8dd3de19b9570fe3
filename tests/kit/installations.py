"""Mailtier at work for the commands that ask a cluster: operator, sender, a relay with a password, and tenants."""

import contextlib
import dataclasses
import pathlib
import secrets
import typing

from kit import certs, commands, operators, sender, smtpd, tenants, wait, worlds
from kit import cluster as cluster_kit

PASSWORD = "correct horse battery"
SCRIPT: list[dict[str, object]] = [
    {"on": "RCPT TO:<nobody@", "reply": "550 5.1.1 No such user"},
    {"on": "RCPT TO:<later@", "reply": "450 4.2.1 Come again"},
]
"""What the relay says to some recipients."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Mailtier at work.

    Attributes:
        world: The cluster; its `system` is Mailtier's namespace.
        relay: The host's SMTP server: StartTLS, and the user `platform`.
        program: The commands, with the administrator's rights.
    """

    world: worlds.World
    relay: smtpd.Process
    sender: sender.Sender
    operator: operators.Operator
    program: commands.Program

    def tenant(self, **spec: typing.Any) -> tenants.Tenant:
        """Return a new tenant whose organization `default` the sender knows."""
        tenant = tenants.create(self.world.cluster)
        self.world.org(tenant.namespace, **spec)
        self.world.until(lambda: self.world.effective(tenant.namespace), "its effective settings are there")
        return tenant

    def to_intake(self, tenant: tenants.Tenant | None, folder: pathlib.Path) -> tuple[str, ...]:
        """Return the options with which a tenant's application reaches the intake; the platform's without one."""
        token = tenant.token if tenant else self.platform_token()
        file = folder / f"token-{secrets.token_hex(4)}"
        file.write_text(token, encoding="ascii")
        return (f"--url={self.sender.url}", f"--ca={self.sender.ca_path}", f"--token-file={file}")

    def platform_token(self) -> str:
        """Return the token of an account that may change the host's settings."""
        return self.world.cluster.token(self.world.system, "platform", audience="mailtier")

    def password(self, password: str, *fallback: int) -> None:
        """Change the password of the host's Secret, and for which ports beside the relay's it is."""
        bound = ",".join(f"localhost:{port}" for port in (self.relay.port, *fallback))
        annotations = {"mailtier.dev/endpoint": bound}
        self.world.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "relay", "namespace": self.world.system, "annotations": annotations},
                "stringData": {"password": password},
            }
        )


@contextlib.contextmanager
def run(cluster: cluster_kit.LocalCluster, ca: certs.Authority, folder: pathlib.Path) -> typing.Iterator[Installation]:
    """Give a running installation with host settings that are verified.

    Args:
        cluster: A control plane that holds none of our objects.
        ca: The relay's certificate is from it.
        folder: For logs, queue and messages.
    """
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(
            smtpd.Process(
                folder / "relay",
                leaf=ca.issue("localhost", file_name="relay"),
                tls=smtpd.Tls.STARTTLS,
                users={"platform": PASSWORD},
                script=SCRIPT,
            )
        )
        running = stack.enter_context(sender.Sender(folder / "sender", kubeconfig=account, namespace=system))
        leading = stack.enter_context(
            operators.Operator(folder / "sender" / "socket", cluster.kubeconfig, namespace=system)
        )
        program = commands.Program(kubeconfig=cluster.kubeconfig, environment={"MAILTIER_OPERATOR_NAMESPACE": system})
        world = worlds.World(cluster, system)
        found = Installation(world=world, relay=relay, sender=running, operator=leading, program=program)
        _configure(found, ca)
        yield found
    for kind in ("oes", "ntf"):
        cluster.kubectl("delete", kind, "--all", "--all-namespaces", "--wait=false")
    cluster.kubectl("delete", "hes", "--all", "--wait=false")


def _configure(installation: Installation, ca: certs.Authority) -> None:
    world, relay = installation.world, installation.relay
    core = {"apiVersion": "v1"}
    world.apply(
        {
            **core,
            "kind": "ConfigMap",
            "metadata": {"name": "relay-ca", "namespace": world.system},
            "data": {"ca.crt": ca.ca_pem},
        },
        {**core, "kind": "ServiceAccount", "metadata": {"name": "platform", "namespace": world.system}},
        *_platform_rights(world.system),
    )
    installation.password(PASSWORD)
    world.host(
        smtp={
            "host": "localhost",
            "port": relay.port,
            "tls": {"caRef": {"kind": "ConfigMap", "name": "relay-ca"}},
        },
        auth={"username": "platform", "passwordSecretRef": {"name": "relay"}},
        **{"from": {"address": "no-reply@platform.example"}},
        notifications={"jobAlert": {"recipients": ["ops@platform.example"]}},
        policy={"endpoints": {"hostAllow": ["127.0.0.0/8", "::1/128"]}},
    )

    def verified() -> bool:
        found = world.get("hes", "default") or {}
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
        return conditions.get("Verified") == "True"

    wait.until(verified, within_seconds=worlds.WITHIN, why="the host's settings are verified", poll_seconds=0.1)


def _platform_rights(system: str) -> list[dict[str, typing.Any]]:
    group, name = "rbac.authorization.k8s.io", f"{system}-platform"
    rule = {"apiGroups": ["mailtier.dev"], "resources": ["hostemailsettings"], "verbs": ["update"]}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "platform", "namespace": system}],
        },
    ]

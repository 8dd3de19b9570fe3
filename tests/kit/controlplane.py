"""Command lines and configuration files of a Kubernetes control plane on loopback."""

import collections.abc
import dataclasses
import json
import pathlib
import typing

import yaml

# Metadata level names who did what to which object and never holds a Secret's content.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # The apiserver's own housekeeping (leases, default roles) is nobody's write.
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}

# Namespace deletion, garbage collection of owned objects, default ServiceAccounts with their CA, and
# aggregated roles. Everything else would only cost memory and writes.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a control plane has around it: by default nothing, and nobody but this machine's programs.

    Attributes:
        address: Where the apiserver listens; one that pods can reach where there are any.
        names: Of the apiserver's certificate, beside those of loopback.
        arguments: Further ones of the apiserver.
        users: Further users and the group of each, who get kubeconfigs.
    """

    address: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    users: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where one control plane keeps its files and listens."""

    folder: pathlib.Path
    etcd_port: int
    port: int
    surroundings: Surroundings = Surroundings()

    @property
    def url(self) -> str:
        """The apiserver's address."""
        return f"https://{self.surroundings.address}:{self.port}"

    @property
    def ca_path(self) -> pathlib.Path:
        """The certificate authority that clients trust."""
        return self.folder / "certs" / "ca.pem"

    @property
    def cert_path(self) -> pathlib.Path:
        """The apiserver's certificate."""
        return self.folder / "certs" / "apiserver.pem"

    @property
    def key_path(self) -> pathlib.Path:
        """The apiserver's private key."""
        return self.folder / "certs" / "apiserver.key"

    @property
    def signing_key_path(self) -> pathlib.Path:
        """The key that signs ServiceAccount tokens."""
        return self.folder / "service-account.key"

    @property
    def tokens_path(self) -> pathlib.Path:
        """The static tokens, one a line."""
        return self.folder / "tokens.csv"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def controllers_kubeconfig(self) -> pathlib.Path:
        """The kubeconfig of the controllers, whose writes are told apart from the administrator's."""
        return self.folder / "kubeconfig-controllers"

    def kubeconfig_of(self, user: str) -> pathlib.Path:
        """Return the kubeconfig of one of the further users."""
        return self.folder / f"kubeconfig-{user.replace(':', '-')}"

    @property
    def audit_policy_path(self) -> pathlib.Path:
        """What the audit log holds."""
        return self.folder / "audit-policy.json"

    @property
    def audit_log(self) -> pathlib.Path:
        """The audit log, JSON lines."""
        return self.folder / "audit.log"


SOFT_MEMORY_LIMIT: typing.Final = "7GiB"
"""Above it Go collects garbage sooner than when the heap has doubled, which with a gigabyte of objects takes 17 GB."""


def write_audit_policy(layout: Layout) -> None:
    """Write the apiserver's audit policy."""
    layout.audit_policy_path.write_text(json.dumps(_AUDIT_POLICY), encoding="utf-8")


def write_kubeconfig(path: pathlib.Path, layout: Layout, *, user: str, token: str, namespace: str) -> None:
    """Write a kubeconfig with one cluster, one user and one context, readable by its owner only."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "local",
                "cluster": {"server": layout.url, "certificate-authority": str(layout.ca_path)},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user, "namespace": namespace}}],
        "current-context": "local",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def etcd_arguments(layout: Layout) -> list[str]:
    """Return etcd's arguments: one member, no fsync, nothing that outlives a test."""
    client = f"http://127.0.0.1:{layout.etcd_port}"
    # A single member never speaks to a peer, so any port will do.
    peer = "http://127.0.0.1:0"
    return [
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        # Four times the default, for tests of many objects as large as they may be.
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
    ]


def apiserver_arguments(layout: Layout, *, audit: bool) -> list[str]:
    """Return the apiserver's arguments: RBAC and what nodes may, ServiceAccount tokens, default admission."""
    arguments = [
        f"--etcd-servers=http://127.0.0.1:{layout.etcd_port}",
        f"--bind-address={layout.surroundings.address}",
        # Without it the apiserver looks for an address on the network, and ends when the machine has none.
        f"--advertise-address={layout.surroundings.address}",
        f"--secure-port={layout.port}",
        f"--cert-dir={layout.folder / 'certs'}",
        f"--tls-cert-file={layout.cert_path}",
        f"--tls-private-key-file={layout.key_path}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={layout.tokens_path}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.signing_key_path}",
        f"--service-account-signing-key-file={layout.signing_key_path}",
        "--service-cluster-ip-range=10.0.0.0/24",
        # No pod will ask for the Service `kubernetes`, whose address may not be loopback.
        "--endpoint-reconciler-type=none",
        # It would read all there is from etcd at once, every five minutes, to compare it with what it holds: for a
        # gigabyte of objects etcd took 17.
        "--feature-gates=DetectCacheInconsistency=false",
    ]
    if audit:
        arguments += [
            f"--audit-policy-file={layout.audit_policy_path}",
            f"--audit-log-path={layout.audit_log}",
            # In megabytes: a log that is rotated away cannot be counted.
            "--audit-log-maxsize=10000",
        ]
    return [*arguments, *layout.surroundings.arguments]


def controller_manager_arguments(layout: Layout) -> list[str]:
    """Return kube-controller-manager's arguments: a few controllers, no lease, no port."""
    return [
        f"--kubeconfig={layout.controllers_kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--root-ca-file={layout.ca_path}",
        "--leader-elect=false",
        "--secure-port=0",
        # The default of 20 requests a second would dominate a test that deletes many objects.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]

"""A real Kubernetes control plane on loopback: etcd, kube-apiserver and, if wanted, its controllers."""

import collections.abc
import json
import os
import pathlib
import secrets
import shutil
import ssl
import subprocess
import tempfile
import typing
import urllib.error
import urllib.request

from kit import binaries, certs, controlplane, ports, processes, wait

_START_SECONDS = 60
_REQUEST_SECONDS = 5
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class ClusterError(RuntimeError):
    """The control plane did not start."""


class KubectlError(RuntimeError):
    """A kubectl command failed; the text holds the command and what it said."""


class LocalCluster:
    """A control plane that lives in a folder and is gone when the context ends.

    Start and stop block: inside an event loop, call them through `asyncio.to_thread`.

    Args:
        folder: Where certificates, data and logs go, and stay. By default a temporary folder, removed at the
            end.
        controller_manager: Whether namespaces are really deleted, owned objects collected and default
            ServiceAccounts made.
        audit: Whether each request is written to `audit_log`.
        surroundings: Who else is there; nobody by default.
    """

    def __init__(
        self,
        folder: pathlib.Path | None = None,
        *,
        controller_manager: bool = False,
        audit: bool = False,
        surroundings: controlplane.Surroundings | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="mailtier-cluster-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._layout = controlplane.Layout(
            folder=self.folder,
            etcd_port=ports.free(),
            port=ports.free(),
            surroundings=surroundings or controlplane.Surroundings(),
        )
        self._with_controllers = controller_manager
        self._audit = audit
        self._children: dict[str, processes.Child] = {}
        self._prepare()

    def _prepare(self) -> None:
        layout = self._layout
        self.authority = certs.Authority(layout.ca_path.parent)
        self.authority.issue("kubernetes.default.svc", *layout.surroundings.names, file_name=layout.cert_path.stem)
        self._tls = self.authority.client_context()
        certs.write_signing_key(layout.signing_key_path)
        self.admin_token = secrets.token_urlsafe(24)
        users = {
            "admin": ("system:masters", layout.kubeconfig, self.admin_token),
            "system:kube-controller-manager": (
                "system:masters",
                layout.controllers_kubeconfig,
                secrets.token_urlsafe(24),
            ),
            **{
                user: (group, layout.kubeconfig_of(user), secrets.token_urlsafe(24))
                for user, group in layout.surroundings.users.items()
            },
        }
        layout.tokens_path.touch(mode=0o600)
        layout.tokens_path.write_text(
            "".join(f"{token},{user},{user},{group}\n" for user, (group, _, token) in users.items()),
            encoding="ascii",
        )
        for user, (_, path, token) in users.items():
            controlplane.write_kubeconfig(path, layout, user=user, token=token, namespace="default")
        controlplane.write_audit_policy(layout)

    def __enter__(self) -> typing.Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The apiserver's address, `https://127.0.0.1:PORT`."""
        return self._layout.url

    @property
    def etcd_url(self) -> str:
        """Etcd's address, for what would take the apiserver too long."""
        return f"http://127.0.0.1:{self._layout.etcd_port}"

    @property
    def ca_path(self) -> pathlib.Path:
        """The certificate authority that vouches for the apiserver."""
        return self._layout.ca_path

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""
        return self._layout.kubeconfig

    def kubeconfig_of(self, user: str) -> pathlib.Path:
        """Return the kubeconfig of one of the further users."""
        return self._layout.kubeconfig_of(user)

    @property
    def controllers_kubeconfig(self) -> pathlib.Path:
        """The kubeconfig of kube-controller-manager, where somebody else starts it."""
        return self._layout.controllers_kubeconfig

    @property
    def server_context(self) -> ssl.SSLContext:
        """A server's TLS context with the apiserver's own certificate, for somebody who stands before it."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._layout.cert_path, self._layout.key_path)
        return context

    @property
    def signing_key(self) -> pathlib.Path:
        """The key that signs ServiceAccount tokens."""
        return self._layout.signing_key_path

    @property
    def audit_log(self) -> pathlib.Path:
        """The audit log, JSON lines; there is none unless `audit` was asked for."""
        return self._layout.audit_log

    @property
    def tls(self) -> ssl.SSLContext:
        """A client's TLS context that trusts this apiserver."""
        return self._tls

    def start(self) -> None:
        """Start everything and return when the apiserver is ready.

        Raises:
            ClusterError: A part ended or was not ready in time; the text quotes its log.
            PortInUseError: Something else listens at an address of one.
        """
        needed = ["etcd", "kube-apiserver", "kubectl"]
        binaries.ensure(*needed, *(["kube-controller-manager"] if self._with_controllers else []))
        try:
            ports.require("127.0.0.1", self._layout.etcd_port, "etcd")
            self._start("etcd", controlplane.etcd_arguments(self._layout))
            self.start_apiserver()
            if self._with_controllers:
                self._start("kube-controller-manager", controlplane.controller_manager_arguments(self._layout))
                self._await("kube-controller-manager", self._has_default_account)
        except BaseException:
            self._end_children()
            raise

    def stop(self) -> None:
        """Stop everything, and remove the folder if it is a temporary one."""
        self._end_children()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_apiserver(self) -> None:
        """Start the apiserver on its port, with the data that etcd holds, and return when it is ready."""
        ports.require(self._layout.surroundings.address, self._layout.port, "kube-apiserver")
        self._start("kube-apiserver", controlplane.apiserver_arguments(self._layout, audit=self._audit))
        self._await("kube-apiserver", self._is_ready)

    def stop_apiserver(self) -> None:
        """Kill the apiserver; what it has acknowledged is in etcd.

        Asked to end, it would go on for 60 s as long as somebody watches.
        """
        if child := self._children.pop("kube-apiserver", None):
            child.kill()

    def restart_apiserver(self) -> None:
        """Kill the apiserver and start it again on the same port."""
        self.stop_apiserver()
        self.start_apiserver()

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - The name is that of subprocess.run.
        check: bool = True,
        kubeconfig: pathlib.Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Return the finished kubectl command, with its output as text.

        Args:
            arguments: What follows `kubectl`.
            input: Text for its standard input, for `-f -`.
            check: Whether a failure raises.
            kubeconfig: Whose rights it has; the administrator's by default.

        Raises:
            KubectlError: It ended with another status than 0.
        """
        result = subprocess.run(
            [binaries.path("kubectl"), f"--kubeconfig={kubeconfig or self.kubeconfig}", *arguments],
            input=input,
            # What kubectl remembers of an apiserver lies in the home folder otherwise, keyed by port.
            env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl-cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode != 0:
            raise KubectlError(
                f"kubectl {' '.join(arguments)} ended with status {result.returncode}: {result.stderr.strip()}"
            )
        return result

    def apply_crds(self, folder: pathlib.Path) -> list[str]:
        """Apply the CRDs of a folder and return their names once they are served."""
        if not list(folder.glob("*.yaml")):
            return []
        applied = self.kubectl("apply", "--server-side", "--output=name", "--filename", str(folder))
        names = applied.stdout.split()
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        return [name.partition("/")[2] for name in names]

    def token(self, namespace: str, service_account: str, *, audience: str | None = None, seconds: int = 3600) -> str:
        """Return a new token of a ServiceAccount, from a TokenRequest.

        Args:
            namespace: Where the ServiceAccount lives.
            service_account: Its name.
            audience: Whom the token is for; the apiserver by default.
            seconds: How long it is valid; the apiserver refuses less than 600.
        """
        options = [f"--namespace={namespace}", f"--duration={seconds}s"]
        if audience is not None:
            options.append(f"--audience={audience}")
        return self.kubectl("create", "token", service_account, *options).stdout.strip()

    def kubeconfig_for(self, namespace: str, service_account: str) -> pathlib.Path:
        """Return a new kubeconfig with a ServiceAccount's token, and its namespace as the default."""
        path = self.folder / f"kubeconfig-{namespace}-{service_account}"
        controlplane.write_kubeconfig(
            path,
            self._layout,
            user=f"{namespace}-{service_account}",
            token=self.token(namespace, service_account),
            namespace=namespace,
        )
        return path

    def cpu_seconds(self, name: str) -> float:
        """Return the CPU time that a part has used, such as `kube-apiserver`."""
        return self._children[name].cpu_seconds()

    def metrics(self) -> str:
        """Return the apiserver's metrics in Prometheus' text format."""
        return self._get("/metrics")

    def writes(self, *, user: str = "") -> list[dict[str, typing.Any]]:
        """Return the audit events of successful writes, in the order of their completion.

        An event is logged just after its request is answered: wait for an expected one, and wait for a later
        marker before stating that there is none.

        Args:
            user: Only those of this user, or of each user when it is empty.
        """
        return [
            event
            for event in self._audit_events()
            if event["verb"] in _WRITES
            and event["stage"] == "ResponseComplete"
            and event["responseStatus"]["code"] < 400
            and user in {"", event["user"].get("username")}
        ]

    def _audit_events(self) -> collections.abc.Iterator[dict[str, typing.Any]]:
        with self.audit_log.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def _start(self, name: str, arguments: collections.abc.Sequence[str]) -> None:
        argv = [str(binaries.path(name)), *arguments]
        env = {"GOMEMLIMIT": controlplane.SOFT_MEMORY_LIMIT}
        self._children[name] = processes.start(argv, log=self.folder / f"{name}.log", env=env)

    def _end_children(self) -> None:
        """Stop clients before servers; nothing is worth waiting for, as nothing is kept."""
        for child in reversed(self._children.values()):
            child.kill()
        self._children.clear()

    def _await(self, name: str, is_ready: collections.abc.Callable[[], bool]) -> None:
        child = self._children[name]
        try:
            wait.until(
                lambda: self._ended() or is_ready(),
                within_seconds=_START_SECONDS,
                why=f"{name} is ready",
            )
        except wait.NotInTimeError as error:
            raise ClusterError(f"{error}; {child.log} ends with:\n{child.last_lines()}") from error
        for ended in self._ended():
            raise ClusterError(ended.ended_early())

    def _ended(self) -> list[processes.Child]:
        """Return the children that have ended, without which the others are waited for in vain."""
        return [child for child in self._children.values() if not child.running]

    def _is_ready(self) -> bool:
        return self._answers("/readyz")

    def _has_default_account(self) -> bool:
        return self._answers("/api/v1/namespaces/default/serviceaccounts/default")

    def _answers(self, path: str) -> bool:
        try:
            self._get(path)
        except OSError:
            return False
        return True

    def _get(self, path: str) -> str:
        request = urllib.request.Request(  # noqa: S310 - The address is our own, https.
            self.url + path, headers={"Authorization": f"Bearer {self.admin_token}"}
        )
        opened = urllib.request.urlopen(request, context=self._tls, timeout=_REQUEST_SECONDS)  # noqa: S310 - As above.
        with opened as answer:
            return str(answer.read(), encoding="utf-8")

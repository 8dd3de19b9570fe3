"""The sender in a process of its own, with the rights that it has in a cluster and no others."""

import collections.abc
import contextlib
import json
import os
import pathlib
import random
import signal
import ssl
import sys
import typing
import urllib.error
import urllib.request

from kit import cluster as cluster_kit
from kit import ports, processes, wait
from mailtier.api import feed

_START_SECONDS = 120
_ACCOUNT = "mailtier"


def install(cluster: cluster_kit.LocalCluster, namespace: str) -> pathlib.Path:
    """Return the kubeconfig of a ServiceAccount with a sender's rights (R9), made together with its namespace."""
    rules = {
        "everywhere": [
            {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
            {"nonResourceURLs": ["/openid/v1/jwks"], "verbs": ["get"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        ],
        "here": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
    }
    account = {"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": namespace}
    role = f"{namespace}-sender"
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT, "namespace": namespace}},
        _rbac("ClusterRole", {"name": role}, rules=rules["everywhere"]),
        _rbac("Role", {"name": role, "namespace": namespace}, rules=rules["here"]),
        _rbac("ClusterRoleBinding", {"name": role}, roleRef=_reference("ClusterRole", role), subjects=[account]),
        _rbac(
            "RoleBinding",
            {"name": role, "namespace": namespace},
            roleRef=_reference("Role", role),
            subjects=[account],
        ),
    ]
    cluster.kubectl("apply", "--server-side", "-f-", input="\n---\n".join(map(json.dumps, documents)))
    return cluster.kubeconfig_for(namespace, _ACCOUNT)


class Sender:
    """A sender that runs while its context is entered, and that can be killed and started again on its volume.

    Args:
        folder: Where its volume, socket and log are; made if it is missing.
        kubeconfig: Of its ServiceAccount.
        namespace: Where the effective settings are published.
        arguments: Further ones of the command line.
        env: Variables that are added to its environment.
        launcher: What starts it, before its own command line.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        kubeconfig: pathlib.Path,
        namespace: str,
        arguments: collections.abc.Sequence[str] = (),
        env: collections.abc.Mapping[str, str] | None = None,
        launcher: collections.abc.Sequence[str] = (),
    ) -> None:
        self._env = env
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.namespace = namespace
        self.log = folder / "sender.log"
        self.port, self.health_port = ports.free(), ports.free()
        self._argv = [
            *launcher,
            sys.executable,
            "-m",
            "mailtier",
            "sender",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            f"--data-dir={folder / 'data'}",
            f"--socket-dir={folder / 'socket'}",
            f"--listen=127.0.0.1:{self.port}",
            f"--health-listen=127.0.0.1:{self.health_port}",
            "--log-format=json",
            *arguments,
        ]
        self._child: processes.Child | None = None

    def __enter__(self) -> typing.Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the intake is."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def data(self) -> pathlib.Path:
        """The volume."""
        return self.folder / "data"

    @property
    def socket(self) -> pathlib.Path:
        """The socket for the operator."""
        return self.folder / "socket" / feed.SOCKET_NAME

    @property
    def ca_path(self) -> pathlib.Path:
        """The published CA of the intake."""
        return self.folder / "socket" / "intake-ca.crt"

    @property
    def tls(self) -> ssl.SSLContext:
        """A client's TLS context that trusts the published CA alone."""
        return ssl.create_default_context(cafile=str(self.ca_path))

    @property
    def child(self) -> processes.Child:
        """The running process."""
        assert self._child is not None
        return self._child

    def start(self, *, wait_ready: bool = True) -> None:
        """Start it, and return when it is ready.

        Raises:
            RuntimeError: It ended; the text quotes its log.
        """
        self._child = processes.start(self._argv, log=self.log, name="sender", env=self._env)
        if wait_ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it says that it is ready."""

        def look() -> bool:
            if not self.child.running:
                raise RuntimeError(self.child.ended_early())
            return self.get("/readyz")[0] == 200

        wait.until(look, within_seconds=_START_SECONDS, why=f"the sender is ready; see {self.log}")

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text from the health endpoint; 0 where nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        """End it with SIGKILL: its supervisor, whose children notice that."""
        self.child.kill()

    def pid_of(self, role: str) -> int | None:
        """Return the process of one of its roles, `intake` or `delivery`; None while it does not run."""
        for pid in processes.family(self.child.pid):
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                if f"--role={role}" in pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0"):
                    return pid
        return None

    def signal_role(self, role: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send one of its roles a signal, once it runs."""
        wait.until(lambda: self.pid_of(role), within_seconds=_START_SECONDS, why=f"{role} runs")
        pid = self.pid_of(role)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def signal_all(self, number: signal.Signals) -> None:
        """Send its supervisor and both roles a signal, as what freezes or kills a pod does."""
        for pid in processes.family(self.child.pid):
            # It may have ended with another one.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_any(self, chance: random.Random) -> str:
        """End one of its processes with SIGKILL, or all of them at once, and have it running again; return which.

        What its supervisor starts again by itself is left to it. One that is not up yet is killed all the same.
        """
        pids = processes.family(self.child.pid) if self.child.running else []
        victim = chance.choice(pids) if pids else None
        which = "the whole" if victim in {None, self.child.pid} else f"child {pids.index(victim or 0)}"
        if victim is None or victim == self.child.pid:
            self.kill()
        else:
            # It may have ended by itself.
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if not self.child.running:
            self.start(wait_ready=False)
        return which

    def stop(self) -> int:
        """Return the exit status after SIGTERM."""
        return self.child.stop(grace_seconds=30)


def _rbac(kind: str, metadata: dict[str, str], **fields: object) -> dict[str, object]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **fields}


def _reference(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}

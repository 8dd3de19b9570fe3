"""A Kubernetes of one node with real pods, inside namespaces of this run's own."""

import collections.abc
import contextlib
import json
import pathlib
import subprocess
import typing

from kit import binaries, certs, cluster, controlplane, processes, wait
from node.ground import configuration, machine

_START_SECONDS = 90
_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", *binaries.NODE)


class NodeError(RuntimeError):
    """A part of the node ended; the text quotes its log."""


class Node:
    """A cluster of one node, which runs while its context is entered.

    It covers places of the machine (`/run`, `/var/lib/kubelet` and others): use it inside `machine.run_apart` alone.

    Args:
        folder: For data, volumes and logs.
        cgroup: The group, in every hierarchy, below which pods get theirs.
    """

    def __init__(self, folder: pathlib.Path, *, cgroup: str) -> None:
        self.folder = folder
        self._cgroup = cgroup
        self._stack = contextlib.ExitStack()
        self._children: dict[str, processes.Child] = {}
        certificates = folder / "node"
        self._authority = certs.Authority(certificates)
        self._kubelet_leaf = self._authority.issue(configuration.ADDRESS, configuration.NODE, file_name="kubelet")
        client = self._authority.issue(file_name="apiserver-client", common_name="kube-apiserver")
        self.cluster = cluster.LocalCluster(
            folder / "cluster",
            surroundings=controlplane.Surroundings(
                address=configuration.ADDRESS,
                names=(configuration.ADDRESS, configuration.SERVICE, "kubernetes.default"),
                arguments=configuration.apiserver_arguments(self._authority.ca_path, client.cert_path, client.key_path),
                users=configuration.USERS,
            ),
        )
        self.kubectl = self.cluster.kubectl

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start everything but kubelet and kube-proxy."""
        self._cover()
        _lay_network()
        self._stack.enter_context(self.cluster)
        self._start_controllers()
        self._start_containers()

    def load(self, archive: pathlib.Path) -> None:
        """Have containerd take an image from an archive."""
        command = ("ctr", f"--address={configuration.SOCKET}", "--namespace=k8s.io", "images", "import", str(archive))
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise NodeError(f"{archive} was not imported: {result.stderr.strip()}")

    def join(self) -> None:
        """Start kubelet and kube-proxy, and return when the node is Ready; then what keeps NetworkPolicies in force.

        The image of the parts has to be loaded.
        """
        config = self.folder / "node" / "kubelet.yaml"
        leaf = self._kubelet_leaf
        text = configuration.kubelet(
            cgroup=self._cgroup, ca=self._authority.ca_path, certificate=leaf.cert_path, key=leaf.key_path
        )
        config.write_text(text, encoding="ascii")
        kubeconfig = self.cluster.kubeconfig_of(f"system:node:{configuration.NODE}")
        self._start(
            "kubelet",
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={configuration.NODE}",
            f"--node-ip={configuration.ADDRESS}",
        )
        config = self.folder / "node" / "kube-proxy.yaml"
        text = configuration.kube_proxy(self.cluster.kubeconfig_of("system:kube-proxy"))
        config.write_text(text, encoding="ascii")
        self._start("kube-proxy", f"--config={config}")
        self.until(self._is_ready, "the node is Ready")
        self._start("policies", *configuration.policies_arguments(self.cluster.kubeconfig_of("policies")))

    def until(self, predicate: collections.abc.Callable[[], object], why: str, *, seconds: float = 90) -> None:
        """Return when something is so.

        Raises:
            NodeError: A part of the node ended meanwhile.
            wait.NotInTimeError: It is not in time.
        """

        def look() -> object:
            for child in self._children.values():
                if not child.running:
                    raise NodeError(child.ended_early())
            return predicate()

        wait.until(look, within_seconds=seconds, why=why, poll_seconds=0.25)

    def get(self, *arguments: str) -> dict[str, typing.Any]:
        """Return an object, or a list, as kubectl gets it; empty where there is none."""
        found = self.kubectl("get", *arguments, "--ignore-not-found", "-o", "json").stdout
        return typing.cast("dict[str, typing.Any]", json.loads(found or "{}"))

    def apply(self, *documents: dict[str, typing.Any]) -> None:
        """Apply objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(listed))

    def _is_ready(self) -> bool:
        found = self.kubectl("get", "node", configuration.NODE, "-o", "json", check=False).stdout
        conditions = json.loads(found)["status"].get("conditions", []) if found else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _cover(self) -> None:
        machine.cover("/run")
        for place in ("/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers"):
            own = self.folder / place.removeprefix("/").replace("/", "-")
            own.mkdir()
            machine.cover(place, own)
        names = self.folder / "resolv.conf"
        names.write_text(f"nameserver {configuration.DNS}\noptions ndots:1 timeout:2\n", encoding="ascii")
        machine.cover("/etc/resolv.conf", names)
        folder = pathlib.Path(configuration.CNI_FOLDER)
        folder.mkdir()
        (folder / "10-pods.conflist").write_text(configuration.cni(), encoding="ascii")

    def _start_controllers(self) -> None:
        binaries.ensure(*_BINARIES)
        arguments = configuration.controller_manager_arguments(
            self.cluster.controllers_kubeconfig, self.cluster.ca_path, self.cluster.signing_key
        )
        self._start("kube-controller-manager", *arguments)
        self._start(
            "kube-scheduler",
            *configuration.scheduler_arguments(self.cluster.kubeconfig_of("system:kube-scheduler")),
        )

    def _start_containers(self) -> None:
        config = self.folder / "node" / "containerd.toml"
        config.write_text(configuration.CONTAINERD, encoding="ascii")
        self._start("containerd", f"--config={config}", program=pathlib.Path("/usr/bin/containerd"))
        self.until(pathlib.Path(configuration.SOCKET).exists, "containerd listens")

    def _start(self, name: str, *arguments: str, program: pathlib.Path | None = None) -> None:
        argv = [str(program or binaries.path(name)), *arguments]
        child = processes.start(argv, log=self.folder / f"{name}.log", name=name)
        self._children[name] = child
        self._stack.callback(child.stop)


def _lay_network() -> None:
    """Give the node an address and a default route, and let it route what pods send."""
    for arguments in (
        "link set lo up",
        "link add node type bridge",
        f"address add {configuration.ADDRESS}/24 dev node",
        "link set node up",
        f"route add default via {configuration.GATEWAY} dev node",
    ):
        subprocess.run(["ip", *arguments.split()], check=True)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")

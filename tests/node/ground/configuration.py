"""Configuration files and command lines of what makes a machine a node: containerd, kubelet, kube-proxy and others."""

import json
import pathlib
import typing

import yaml

from node.ground import images

NODE = "node"
ADDRESS = "172.31.255.1"
"""The node's, on a bridge that leads nowhere."""

GATEWAY = "172.31.255.2"
"""Where a default route points: what looks for the node's address looks for that route."""

PODS = "10.244.0.0/24"
SERVICES = "10.0.0.0/24"
"""The control plane's range."""

SERVICE = "10.0.0.1"
"""The Service `kubernetes`, the first address of the range."""

DNS = "10.0.0.10"
DOMAIN = "cluster.local"
SOCKET = "/run/containerd/containerd.sock"
CNI_PROGRAMS = "/usr/lib/cni"
CNI_FOLDER = "/run/cni"

USERS = {
    f"system:node:{NODE}": "system:nodes",
    "system:kube-proxy": "system:authenticated",
    "system:kube-scheduler": "system:authenticated",
    "policies": "system:masters",
}
"""Who else has a token of the apiserver, by the names that its own roles are bound to."""

CONTAINERD = f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.PARTS}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PROGRAMS}"
conf_dir = "{CNI_FOLDER}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""

_CNI = {
    "cniVersion": "0.4.0",
    "name": "pods",
    # A pod of its own link each, so that what goes from one to another is routed, and a policy sees it.
    "plugins": [
        {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": "/run/cni-addresses",
            },
        }
    ],
}


def cni() -> str:
    """Return how pods are connected."""
    return json.dumps(_CNI)


def apiserver_arguments(ca: pathlib.Path, certificate: pathlib.Path, key: pathlib.Path) -> tuple[str, ...]:
    """Return the apiserver's further arguments: how it reaches the kubelet, and how pods find it."""
    return (
        f"--kubelet-certificate-authority={ca}",
        f"--kubelet-client-certificate={certificate}",
        f"--kubelet-client-key={key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-admission-plugins=NodeRestriction",
        "--endpoint-reconciler-type=lease",
    )


def controller_manager_arguments(kubeconfig: pathlib.Path, ca: pathlib.Path, key: pathlib.Path) -> list[str]:
    """Return kube-controller-manager's arguments: every controller, no lease, no port."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={ca}",
        f"--service-account-private-key-file={key}",
        f"--cluster-cidr={PODS}",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def scheduler_arguments(kubeconfig: pathlib.Path) -> list[str]:
    """Return kube-scheduler's arguments: no lease, no port."""
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def policies_arguments(kubeconfig: pathlib.Path) -> list[str]:
    """Return the arguments of what keeps NetworkPolicies in force."""
    return [f"--kubeconfig={kubeconfig}", f"--node={NODE}", f"--services={SERVICES}"]


def kubelet(*, cgroup: str, ca: pathlib.Path, certificate: pathlib.Path, key: pathlib.Path) -> str:
    """Return the kubelet's configuration.

    Args:
        cgroup: The group below which pods get theirs.
        ca: Whom it believes who a client is.
        certificate: Its own, PEM.
        key: Of the certificate.
    """
    return _yaml(
        apiVersion="kubelet.config.k8s.io/v1beta1",
        kind="KubeletConfiguration",
        containerRuntimeEndpoint=f"unix://{SOCKET}",
        cgroupDriver="cgroupfs",
        cgroupRoot=cgroup,
        failCgroupV1=False,
        failSwapOn=False,
        enforceNodeAllocatable=[],
        localStorageCapacityIsolation=False,
        # The machine's own is the tests', and pods that want it get none.
        resolvConf="",
        clusterDNS=[DNS],
        clusterDomain=DOMAIN,
        authentication={
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(ca)},
        },
        authorization={"mode": "AlwaysAllow"},
        tlsCertFile=str(certificate),
        tlsPrivateKeyFile=str(key),
        # The machine's disk is not the node's alone: how full it is shall not end pods.
        evictionHard={"memory.available": "50Mi"},
        imageGCHighThresholdPercent=100,
        imageMinimumGCAge="24h",
        registryPullQPS=0,
        healthzPort=10248,
        syncFrequency="10s",
        nodeStatusUpdateFrequency="5s",
    )


def kube_proxy(kubeconfig: pathlib.Path) -> str:
    """Return kube-proxy's configuration."""
    return _yaml(
        apiVersion="kubeproxy.config.k8s.io/v1alpha1",
        kind="KubeProxyConfiguration",
        clientConnection={"kubeconfig": str(kubeconfig)},
        hostnameOverride=NODE,
        mode="nftables",
        clusterCIDR=PODS,
        # Limits of the kernel are the machine's.
        conntrack={"maxPerCore": 0, "min": 0},
    )


def _yaml(**fields: typing.Any) -> str:
    return str(yaml.safe_dump(fields, sort_keys=False))

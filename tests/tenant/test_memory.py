"""Memory: objects as large as etcd takes, which the operator has to list, watch and remember (R15)."""

import collections.abc
import contextlib
import dataclasses
import pathlib
import re
import typing

import pytest
import yaml

from kit import attacks, large_objects, loading, operators, population, wait
from kit import cluster as cluster_kit
from kit import repository as repository_kit
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, paths

_SYSTEM = "mailtier-system"
_TENANT = "large"
_STATUS = "status-writer"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
_WIDE = "𠀀"

ATTACKS = (
    attacks.Story(
        name="a-megabyte-of-labels",
        test="test_the_operator_stays_within_the_chart_s_memory",
        rules=("R15",),
        story="Hundreds of objects have a megabyte of labels each, for the operator to be killed when it lists them.",
        stopped_by="parts of a listing are bounded by bytes, and metadata is skipped while decoding",
    ),
    attacks.Story(
        name="namespaces-full-of-labels",
        test="test_the_operator_stays_within_the_chart_s_memory",
        rules=("R15",),
        story="Whoever may make namespaces labels them with a megabyte each, by which policies select.",
        stopped_by="of a namespace at most 16 KiB of labels are kept",
    ),
    attacks.Story(
        name="texts-in-objects",
        test="test_the_operator_stays_within_the_chart_s_memory",
        rules=("R15",),
        story="Hundreds of Notifications hold a quarter of a megabyte of text, and wait for the sender.",
        stopped_by="large ones are read when they are handed over, and not held",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How much there is.

    Attributes:
        ordinary: Organizations of others.
        large: Organizations of the tenant's, as large as etcd takes.
        texts: Notifications of the tenant's, with as much text as they may have.
        spaces: Namespaces of the tenant's, as large as etcd takes.
        writes_status: Whether the operator may write the status of large objects too, which takes the API server a
            second each; then it is too busy now and then to renew the Lease.
        within_seconds: How long the operator has for all of it.
    """

    ordinary: int
    large: int
    texts: int
    spaces: int
    writes_status: bool
    within_seconds: float

    def __str__(self) -> str:
        return f"{self.large} large{' with status' if self.writes_status else ''}"


_SHORT = Crowd(ordinary=9_650, large=350, texts=150, spaces=20, writes_status=False, within_seconds=600)
_LONG = Crowd(ordinary=9_000, large=1_000, texts=500, spaces=100, writes_status=False, within_seconds=1800)
_WITH_STATUS = Crowd(ordinary=300, large=350, texts=150, spaces=20, writes_status=True, within_seconds=3600)


def _text(number: int) -> dict[str, typing.Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NOTIFICATION_KIND,
        "metadata": {"name": f"text-{number}", "namespace": _TENANT},
        "spec": {"category": "JobAlert", "recipients": ["a@tenant.example"], "text": _WIDE * 65_536},
    }


def _binding(namespace: str) -> dict[str, typing.Any]:
    """Return the right to write status in a namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _STATUS, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _STATUS},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": _SYSTEM}],
    }


def _space(number: int) -> dict[str, typing.Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": f"{_TENANT}-{number}", "labels": large_objects.labels()},
    }


async def _put(control_plane: cluster_kit.LocalCluster, wanted: Crowd, display_name: str) -> None:
    """Have the tenant's organizations say something, each of them large."""
    await large_objects.put(
        control_plane,
        _TENANT,
        range(wanted.large),
        spec={"from": {"displayName": display_name}},
        generation=1 if display_name == "First" else 2,
    )


async def _populate(control_plane: cluster_kit.LocalCluster, api: kube_client.Client, wanted: Crowd) -> None:
    await api.apply(paths.host_settings(names.HOST_NAME), population.host("Relay"), field_manager=loading.MANAGER)
    others = population.make(wanted.ordinary, "ordinary")
    await loading.prepare(api, others)

    async def grant(namespace: str) -> None:
        await api.create(_BINDINGS.format(namespace=namespace), _binding(namespace))

    if not wanted.writes_status:
        await loading.each(sorted({one.namespace for one in others}), grant)
    await loading.create(api, others)
    await api.create(paths.namespaces(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _TENANT}})

    async def text(number: int) -> None:
        await api.create(paths.notifications(_TENANT), _text(number))

    async def space(number: int) -> None:
        await api.create(paths.namespaces(), _space(number))

    await loading.each(range(wanted.texts), text)
    await loading.each(range(wanted.spaces), space, connections=large_objects.CONNECTIONS)
    await _put(control_plane, wanted, "First")


def _limit_mib() -> float:
    """Return what the chart allows the operator."""
    values = yaml.safe_load((repository_kit.ROOT / "charts" / "mailtier" / "values.yaml").read_text(encoding="utf-8"))
    text = values["operator"]["resources"]["limits"]["memory"]
    assert text.endswith("Mi")
    return float(text.removesuffix("Mi"))


@contextlib.contextmanager
def _cluster(
    folder: pathlib.Path, wanted: Crowd
) -> collections.abc.Iterator[tuple[cluster_kit.LocalCluster, pathlib.Path]]:
    """Return a cluster with our kinds, and whose rights the operator has in it."""
    with cluster_kit.LocalCluster(folder) as control_plane:
        control_plane.apply_crds(repository_kit.ROOT / "crds")
        control_plane.kubectl("create", "namespace", _SYSTEM)
        if wanted.writes_status:
            yield control_plane, control_plane.kubeconfig
            return
        control_plane.kubectl("create", "serviceaccount", "-n", _SYSTEM, "reader")
        ours = tuple(f"{plural}.{names.GROUP}" for plural in (names.HOST_PLURAL, names.ORG_PLURAL))
        ours += (f"{names.NOTIFICATION_PLURAL}.{names.GROUP}", "namespaces")
        crds = "customresourcedefinitions.apiextensions.k8s.io"
        for name, verbs, resources in (
            ("reader", "get,list,watch", (*ours, crds)),
            ("writer", "*", ("configmaps", "leases.coordination.k8s.io", "events.events.k8s.io")),
        ):
            granted = [f"--resource={resource}" for resource in resources]
            control_plane.kubectl("create", "clusterrole", name, f"--verb={verbs}", *granted)
            account = f"--serviceaccount={_SYSTEM}:reader"
            control_plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
        statuses = f"--resource={names.ORG_PLURAL}.{names.GROUP}/status"
        control_plane.kubectl("create", "clusterrole", _STATUS, "--verb=*", statuses)
        yield control_plane, control_plane.kubeconfig_for(_SYSTEM, "reader")


_LEASE_LOST: typing.Final = re.compile(r"mailtier: the Lease \S+ is lost; .*")


async def _see(api: kube_client.Client, operator: operators.Operator, wanted: Crowd, display_name: str) -> float:
    """Return the operator's peak once it has published every organization of the tenant's.

    Where the Lease could not be renewed the operator ends, as it has to, and is started again, as the kubelet would.
    """
    peaks = [0.0]

    async def is_published() -> bool:
        if not operator.running:
            last = operator.log.splitlines()[-1]
            assert wanted.writes_status, last
            assert _LEASE_LOST.fullmatch(last)
            operator.start()
            return False
        peaks.append(operator.peak_mib())
        if not operator.is_ready():
            return False
        listing = await api.list(paths.config_maps(_SYSTEM), labels=f"{names.NAMESPACE_LABEL}={_TENANT}")
        said = [found["data"].get("from.displayName") for found in listing.items]
        return said.count(display_name) == wanted.large

    await wait.until_async(
        is_published,
        within_seconds=wanted.within_seconds,
        why=f"{display_name} is published",
        poll_seconds=wanted.large / 1_000,
    )
    return max(*peaks, operator.peak_mib())


# It is the tenant who sends a megabyte, and may wait for it.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize(
    "wanted",
    [_SHORT, pytest.param(_LONG, marks=pytest.mark.long), pytest.param(_WITH_STATUS, marks=pytest.mark.long)],
    ids=str,
)
async def test_the_operator_stays_within_the_chart_s_memory(tmp_path: pathlib.Path, wanted: Crowd) -> None:
    """Listing all of it, and seeing all of it change at once, takes no more than the chart's limit (R15)."""
    limit = _limit_mib()
    with _cluster(tmp_path / "cluster", wanted) as (control_plane, account):
        async with kube_client.Client(configuration.load(kubeconfig=control_plane.kubeconfig)) as api:
            await _populate(control_plane, api, wanted)
            with operators.Operator(tmp_path, account, namespace=_SYSTEM, log_level="WARNING") as operator:
                peaks = {"start": await _see(api, operator, wanted, "First")}
                await _put(control_plane, wanted, "Second")
                peaks["every object changes"] = await _see(api, operator, wanted, "Second")
    print(f"\n{wanted.large} organizations as large as etcd takes among {wanted.large + wanted.ordinary}:")
    for what, peak in peaks.items():
        print(f"{what:<22}{peak:6.0f} MiB of {limit:.0f}")
    assert max(peaks.values()) < limit, peaks

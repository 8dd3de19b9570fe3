"""What every run plays: installed, used as the README says, upgraded while mail flows, uninstalled, installed again."""

import collections.abc
import functools
import json
import pathlib
import string
import typing

from kit import wait
from node import pages, relay, release, timetable, traffic
from node.ground import configuration, images, node

_YAML = pathlib.Path(__file__).parent / "yaml"
TENANT = "acme"
_MAIL_SECONDS = 120
_INSTALLING = "docs/how-to/install.md"
_CLIENTS = "elsewhere"


class Story:
    """The steps, each a method; what one leaves the next one finds.

    Args:
        on: The cluster.
        server: The platform's relay.
        steps: Gets every step.
    """

    def __init__(self, on: node.Node, server: relay.Relay, steps: timetable.Timetable) -> None:
        self.on = on
        self.relay = server
        self.steps = steps
        self.release = release.Release(on)
        self.acknowledged: dict[str, str] = {}
        self.version: release.Version
        self.values: dict[str, typing.Any] = {}

    def install(self, version: release.Version) -> None:
        """Install a version into a cluster that has none, in the defaults of its chart."""
        with self.steps.step(f"helm install {version.tag}"):
            self.go_to(version)

    def follow_readme(self, version: release.Version) -> None:
        """Apply the YAML that the README begins with, and do what it says of the relay's password."""
        with self.steps.step("the README's YAML: Ready and Verified, its notification delivered") as notes:
            self.on.kubectl("create", "namespace", TENANT)
            password = f"--from-literal=password={self.relay.password}"
            self.on.kubectl("create", "secret", "generic", "relay-password", "-n", release.SYSTEM, password)
            self.on.kubectl(*version.annotation)
            self.on.kubectl("apply", "-f", "-", input=version.first_yaml)
            for condition in ("Ready", "Verified"):
                self._wait(condition, "hes/default")
                self._wait(condition, "oes/default", TENANT)
            self._wait("Complete", "ntf/nightly-import", TENANT)
            arrived = self.relay.message("The nightly import stopped")
            assert arrived["From"]["Address"] == "acme@platform.example", arrived["From"]
            assert [to["Address"] for to in arrived["To"]] == ["ops@acme.example"], arrived["To"]
            notes.append(f"from {arrived['From']['Name']} <{arrived['From']['Address']}>")

    def intake(self) -> traffic.Intake:
        """Return where the tenant's application hands over; its account is made where it is missing."""
        manifest = (_YAML / "application.yaml").read_text(encoding="utf-8")
        self.on.kubectl("apply", "-f", "-", input=string.Template(manifest).substitute(NAMESPACE=TENANT))
        return traffic.Intake(
            url=f"https://{release.NAME}.{release.SYSTEM}.svc.cluster.local",
            ca_pem=self.published_ca(),
            namespace=TENANT,
            token=self.on.cluster.token(TENANT, "app", audience="mailtier"),
        )

    def published_ca(self) -> str:
        """Return the certificates that the operator tells applications to trust, PEM."""
        return str(self.on.get("configmap", "-n", release.SYSTEM, "intake-ca")["data"]["ca.crt"])

    def confine(self) -> None:
        """Apply the NetworkPolicy of the page on installing: mail goes on, and nothing else is reached."""
        with self.steps.step("the page's NetworkPolicy in force, mail goes on") as notes:
            policy = pages.block(_INSTALLING, "Network policies", "yaml", containing="kind: NetworkPolicy")
            policy = policy.replace("APISERVER", configuration.ADDRESS)
            self.on.kubectl("create", "namespace", _CLIENTS)
            self._start_client()
            pod = self.on.get("pod", release.POD, "-n", release.SYSTEM)["status"]["podIP"]
            ways = {
                "metrics from a pod": ((_CLIENTS, "client"), f"{pod}:8081"),
                "the relay's API from Mailtier": ((release.SYSTEM, release.POD), f"{relay.ADDRESS}:8025"),
            }
            assert all(self._reaches(*way) for way in ways.values())
            self.on.kubectl("apply", "-n", release.SYSTEM, "-f", "-", input=policy)
            for name, way in ways.items():
                self.on.until(functools.partial(self._is_kept_from, *way), f"{name}: not reached any more")
                notes.append(f"{name}: cut")
            assert self._reaches((_CLIENTS, "client"), f"{pod}:8443")
            with traffic.Traffic(self.intake(), "confined") as flowing:
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def _start_client(self) -> None:
        """Start a pod of somebody else's; Mailtier's image has a Python."""
        container = {
            "name": "client",
            "image": f"{images.REGISTRY}/mailtier/mailtier:{self.version.tag}",
            "command": ["sleep", "3600"],
        }
        metadata = {"name": "client", "namespace": _CLIENTS}
        self.on.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
        self.on.kubectl("wait", "-n", _CLIENTS, "pod/client", "--for=condition=Ready", "--timeout=90s")

    def _is_kept_from(self, who: tuple[str, str], where: str) -> bool:
        return not self._reaches(who, where)

    def _reaches(self, who: tuple[str, str], where: str) -> bool:
        """Return whether a pod gets a connection to an address."""
        host, _, port = where.partition(":")
        program = f"import socket; socket.create_connection(('{host}', {port}), timeout=5)"
        command = ("exec", "-n", *who, "--", "/opt/mailtier/bin/python", "-c", program)
        return self.on.kubectl(*command, check=False).returncode == 0

    def upgrade(self, version: release.Version) -> None:
        """Go on to another version while an application notifies; nothing that was acknowledged is lost."""
        with self.steps.step(f"helm upgrade to {version.tag}, mail flowing") as notes:
            with traffic.Traffic(self.intake(), f"upgrade-{len(self.acknowledged)}") as flowing:
                self.flows(flowing)
                self.go_to(version)
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def uninstall(self) -> None:
        """Uninstall the release; the CRDs with their objects and the queue's volume stay."""
        with self.steps.step("helm uninstall: CRDs, settings and the queue's volume stay"):
            self.release.uninstall()
            assert self.on.get("crd", "orgemailsettings.mailtier.dev")
            assert self.on.get("oes", "default", "-n", TENANT)
            assert self.on.get("pvc", f"queue-{release.POD}", "-n", release.SYSTEM)["status"]["phase"] == "Bound"

    def install_again(self, version: release.Version) -> None:
        """Install it again: the queue that was left is found, with what it knows."""
        with self.steps.step("helm install again: the queue is found, mail goes on") as notes:
            self.go_to(version)
            subject, identifier = next(reversed(self.acknowledged.items()))
            intake = self.intake()
            record = intake.record(identifier)
            assert record["complete"], record
            assert traffic.hand_over(intake, subject) == identifier
            with traffic.Traffic(intake, "again") as flowing:
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def flows(self, flowing: traffic.Traffic, *, count: int = 20) -> None:
        """Return when so many more notifications were acknowledged."""
        wanted = len(flowing.acknowledged) + count
        wait.until(
            lambda: len(flowing.acknowledged) >= wanted,
            within_seconds=_MAIL_SECONDS,
            why=f"{count} more notifications are taken; the last refusal was {flowing.refusals[-1:]}",
        )

    def all_arrived(self, flowing: traffic.Traffic, notes: list[str], *, seconds: float = _MAIL_SECONDS) -> None:
        """Return when everything that was acknowledged is at the relay, and tell how often anything came twice.

        Args:
            flowing: What was acknowledged.
            notes: Get the numbers.
            seconds: How long it may take; more than five minutes where something may be in doubt.
        """
        wanted = flowing.acknowledged
        self.acknowledged |= wanted
        try:
            wait.until(
                lambda: not self._missing(wanted),
                within_seconds=seconds,
                why=f"{len(wanted)} acknowledged notifications have arrived",
                poll_seconds=0.5,
            )
        except wait.NotInTimeError as error:
            records = [flowing.intake.record(wanted[subject]) for subject in sorted(self._missing(wanted))[:3]]
            raise AssertionError(f"{error}; of those that have not: {json.dumps(records)}") from error
        arrived = self._arrived()
        twice = sum(count - 1 for subject, count in arrived.items() if subject in wanted)
        notes.append(f"{len(wanted)} acknowledged, none lost, {twice} twice")
        notes.append(f"longest wait for a 202 {flowing.longest_silence_seconds:.1f} s")

    def _missing(self, wanted: collections.abc.Iterable[str]) -> set[str]:
        return set(wanted) - self._arrived().keys()

    def go_to(self, version: release.Version) -> None:
        """Install a version, or go on to it, with the present values."""
        self.version = version
        self.release.install(version, **self.values)

    def _arrived(self) -> dict[str, int]:
        return {subject.rpartition("] ")[2]: count for subject, count in self.relay.subjects().items()}

    def _wait(self, condition: str, what: str, namespace: str | None = None) -> None:
        where = ("-n", namespace) if namespace else ()
        result = self.on.kubectl("wait", f"--for=condition={condition}", what, *where, "--timeout=60s", check=False)
        if result.returncode != 0:
            seen = json.dumps(self.on.get(what, *where).get("status"), indent=1)
            raise AssertionError(f"{what} {where} is not {condition}: {seen}\n{self.release.describe()}")


def furnish(on: node.Node, server: relay.Relay, steps: timetable.Timetable) -> None:
    """Give the cluster what others have before anybody installs anything: DNS, storage and a relay."""
    with steps.step("cluster DNS, storage, and a relay in a pod"):
        for name in ("dns.yaml", "storage.yaml"):
            on.kubectl("apply", "-f", "-", input=relay.cluster_manifest(name))
        for number in range(4):
            on.apply(_volume(on, number))
        on.kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=90s")
        server.start()


def _volume(on: node.Node, number: int) -> dict[str, object]:
    folder = on.folder / "volumes" / str(number)
    folder.mkdir(parents=True)
    required = {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node"]}]}
        ]
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            # Not `hostPath`: of that a kubelet does not change whose it is, and the pod may not write.
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": required},
        },
    }

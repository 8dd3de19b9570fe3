"""Mailtier in the cluster: its chart and image of one version, installed as the documentation says."""

import base64
import contextlib
import dataclasses
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile
import typing

from kit import helm, repository
from node.ground import images, node

SYSTEM = "mailtier-system"
NAME = "mailtier"
POD = "mailtier-0"
_ROLLOUT = "180s"


class UnknownCommitError(RuntimeError):
    """The commit to upgrade from is not known here; the text says how to name another."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version that can be installed.

    Attributes:
        tag: Of its image.
        chart: The folder of its chart.
        readme: Its README.
    """

    tag: str
    chart: str
    readme: str

    @classmethod
    def of(cls, tree: pathlib.Path, tag: str) -> typing.Self:
        """Return the version that a tree is of."""
        return cls(tag=tag, chart=str(tree / "charts/mailtier"), readme=(tree / "README.md").read_text("utf-8"))

    @property
    def first_yaml(self) -> str:
        """The YAML that its README begins with."""
        return self._block("yaml")

    @property
    def annotation(self) -> list[str]:
        """The command of its README that says where the relay's password may be sent, without `kubectl`."""
        found = re.search(r"kubectl (annotate secret [^`]*)`", self.readme)
        assert found is not None
        return found[1].split()

    def _block(self, language: str) -> str:
        return self.readme.partition(f"```{language}\n")[2].partition("```")[0]


def older(commit: str) -> str:
    """Return the full hash of the commit that is upgraded from.

    Args:
        commit: As git names it; empty for the last tag, or, without any, 40 commits ago.

    Raises:
        UnknownCommitError: The checkout does not know it.
    """
    with contextlib.suppress(subprocess.CalledProcessError):
        return _git("rev-parse", "--verify", "--quiet", f"{commit or _last_tag() or 'HEAD~40'}^{{commit}}")
    raise UnknownCommitError(
        f"{commit or 'HEAD~40'} is not in this checkout; name one that is: make test-e2e FROM=COMMIT"
    )


def extract(commit: str, folder: pathlib.Path) -> None:
    """Put the files of a commit into a folder."""
    with tempfile.TemporaryFile() as file:
        subprocess.run(["git", "archive", commit], cwd=repository.ROOT, stdout=file, check=True)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(folder, filter="data")


def _last_tag() -> str:
    with contextlib.suppress(subprocess.CalledProcessError):
        return _git("describe", "--tags", "--abbrev=0", "HEAD^")
    return ""


def _git(*arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=repository.ROOT, check=True, capture_output=True, text=True).stdout.strip()


class Release:
    """The chart in the node's cluster.

    Args:
        on: The cluster.
    """

    def __init__(self, on: node.Node) -> None:
        self._on = on

    def install(self, version: Version, **values: typing.Any) -> None:
        """Install a version, or go on to it, and return when its pods are ready."""
        self._helm(
            "upgrade",
            "--install",
            NAME,
            version.chart,
            "--create-namespace",
            "--values=-",
            values=_values(version, values),
        )
        self.await_ready()

    def roll_back(self) -> None:
        """Go back to the release before, and return when its pods are ready."""
        self._helm("rollback", NAME)
        self.await_ready()

    def uninstall(self) -> None:
        """Uninstall it, and return when its pods are gone."""
        self._helm("uninstall", NAME)
        self._on.kubectl("wait", "-n", SYSTEM, f"pod/{POD}", "--for=delete", f"--timeout={_ROLLOUT}")

    def await_ready(self) -> None:
        """Return when every pod is of the present release, and ready."""
        arguments = ("rollout", "status", "-n", SYSTEM, f"statefulset/{NAME}", f"--timeout={_ROLLOUT}")
        result = self._on.kubectl(*arguments, check=False)
        if result.returncode != 0:
            raise AssertionError(f"{result.stderr.strip()}\n{self.describe()}")

    def describe(self) -> str:
        """Return what the pod says of itself, for a failure's text."""
        parts = [self._on.kubectl("describe", "pod", "-n", SYSTEM, POD, check=False).stdout[-3000:]]
        for container in ("operator", "sender"):
            for previous in ((), ("--previous",)):
                options = ("logs", "-n", SYSTEM, POD, "-c", container, "--tail=8", *previous)
                parts.append(f"{container} {previous}: {self._on.kubectl(*options, check=False).stdout}")
        return "\n".join(parts)

    def inside(self, *command: str, container: str = "sender", pod: str = POD, check: bool = True) -> str:
        """Return what a command in a pod printed."""
        return str(self._on.kubectl("exec", "-n", SYSTEM, pod, "-c", container, "--", *command, check=check).stdout)

    def restarts(self) -> dict[str, int]:
        """Return how often each container was started again."""
        statuses = self._on.get("pod", "-n", SYSTEM, POD)["status"]["containerStatuses"]
        return {status["name"]: status["restartCount"] for status in statuses}

    def secret(self, name: str, key: str) -> str:
        """Return a value of a Secret."""
        return base64.b64decode(self._on.get("secret", "-n", SYSTEM, name)["data"][key]).decode()

    def _helm(self, *arguments: str, values: dict[str, typing.Any] | None = None) -> None:
        helm.run(*arguments, f"--kubeconfig={self._on.cluster.kubeconfig}", f"--namespace={SYSTEM}", values=values)


def _values(version: Version, values: dict[str, typing.Any]) -> dict[str, typing.Any]:
    image = {"registry": images.REGISTRY, "tag": version.tag, "pullPolicy": "Never"}
    return {"image": image, **json.loads(json.dumps(values))}

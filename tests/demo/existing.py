"""The cluster side of the stage: a context that exists already, and what Mailtier needs in either cluster."""

import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

from demo import stage
from kit import binaries, wait
from kit import cluster as cluster_kit

_CRDS = stage.ROOT / "crds"


def needed() -> tuple[str, ...]:
    """Return the parts that the demo needs where there is a cluster: kubectl too, where there is none."""
    return ("mailpit",) if shutil.which("kubectl") else ("mailpit", "kubectl")


class Existing:
    """A cluster by a context of the user's own kubeconfig."""

    def __init__(self, context: str, folder: pathlib.Path) -> None:
        """Copy the context into a kubeconfig of the demo's own, so that nothing else can be meant.

        Raises:
            KubectlError: There is no such context.
        """
        self._path = folder / "kubeconfig"
        self._program = shutil.which("kubectl") or str(binaries.path("kubectl"))
        found = subprocess.run(
            [self._program, "config", "view", "--minify", "--flatten", "--raw", f"--context={context}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode != 0:
            raise cluster_kit.KubectlError(f"no context {context!r}: {found.stderr.strip()}")
        self._path.touch(mode=0o600)
        self._path.write_text(found.stdout, encoding="utf-8")

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The kubeconfig of the context alone."""
        return self._path

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  # The name is that of subprocess.run.
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the context.

        Raises:
            KubectlError: It ended with another status than 0.
        """
        result = subprocess.run(
            [self._program, f"--kubeconfig={self._path}", *arguments],
            input=input,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode != 0:
            raise cluster_kit.KubectlError(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result


def install(cluster: stage.Kubectl, on: stage.Stage) -> pathlib.Path:
    """Apply CRDs, namespace and rights; return a kubeconfig of the operator's ServiceAccount."""
    names = cluster.kubectl("apply", "--server-side", "-o", "name", "-f", str(_CRDS)).stdout.split()
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    cluster.kubectl("apply", "-f", str(stage.HERE / "yaml" / "00-operator.yaml"))
    token = cluster.kubectl("create", "token", stage.ACCOUNT, "-n", stage.SYSTEM, "--duration=8h").stdout.strip()
    view = cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout
    config = json.loads(view)
    config["users"] = [{"name": stage.ACCOUNT, "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = stage.ACCOUNT
    path = on.folder / "operator.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def until_ready(role: str, port: int) -> None:
    """Return when a process of ours says that it is ready."""
    wait.until(lambda: _is_ready(port), within_seconds=60, why=f"the {role} is ready", poll_seconds=0.1)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False

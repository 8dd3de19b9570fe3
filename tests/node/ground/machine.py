"""What the machine must have for pods of its own, and a place on it that is gone when the run ends."""

import collections.abc
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

from kit import wait

PACKAGES = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "ipset": "ipset",
    "nft": "nftables",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
"""A program to the package of Debian that brings it."""

_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineError(RuntimeError):
    """The machine cannot run pods; the text says what to do."""


def provide() -> None:
    """Return once every program is there, after installing what is missing where the machine is Debian's.

    Raises:
        MachineError: The user is not root, or a package cannot be had.
    """
    if os.geteuid() != 0:
        raise MachineError(
            "a node with pods takes root: containers, network namespaces and mounts; run it with sudo -E"
        )
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    missing = sorted(package for program, package in PACKAGES.items() if shutil.which(program) is None)
    if not missing:
        return
    wanted = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise MachineError(f"not on this machine: {', '.join(missing)}; on Debian `{wanted}` brings them")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get update -qq", wanted.replace("install", "install -qq -y")):
        result = subprocess.run(command.split(), env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise MachineError(f"`{command}` failed:\n{result.stderr.strip()}")


def run_apart(module: str, *arguments: str) -> int:
    """Return the exit status of a module that runs in namespaces of its own: network, mounts, processes.

    Whatever it starts ends with it, and what it mounts is unmounted: its first process is the init of the namespace.
    """
    # A shell comes first, because somebody has to wait for the orphans that containerd leaves behind.
    shell = ("sh", "-c", '"$@"; exit $?', "sh")
    apart = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return subprocess.run([*apart, *shell, sys.executable, "-m", module, *arguments], check=False).returncode


def cover(place: str, by: pathlib.Path | None = None) -> None:
    """Put a folder or a file of the run in a place of the machine, or an empty folder, for this run alone."""
    if by is None:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        return
    if by.is_dir():
        pathlib.Path(place).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(by), place], check=True)


class Cgroups:
    """A group of this run's own in every hierarchy, below which a kubelet makes those of its pods.

    Args:
        name: The group's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> str:
        """Return it as a kubelet names it."""
        for folder in self._folders():
            folder.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                # A new group of version 1 has none, and takes no process before it has.
                if (folder / setting).exists() and not (folder / setting).read_text(encoding="ascii").strip():
                    (folder / setting).write_text((folder.parent / setting).read_text("ascii"), encoding="ascii")
        return f"/{self.name}"

    def __exit__(self, *exception: object) -> None:
        # A process that is about to end holds its group for a moment.
        wait.until(self._is_gone, within_seconds=30, why="no process is left in the node's groups")

    def _is_gone(self) -> bool:
        for folder in self._folders():
            for parent, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    pathlib.Path(parent).rmdir()
        return not any(folder.exists() for folder in self._folders())

    def _folders(self) -> collections.abc.Iterator[pathlib.Path]:
        if (_CGROUPS / "cgroup.controllers").exists():
            yield _CGROUPS / self.name
            return
        for hierarchy in sorted(_CGROUPS.iterdir()):
            if not hierarchy.is_symlink() and (hierarchy / "cgroup.procs").exists():
                yield hierarchy / self.name

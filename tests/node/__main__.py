"""`make test-e2e`: Mailtier on a real node, from an image and a chart to mail, and through an upgrade.

It builds what it needs, then runs a Kubernetes with real pods in namespaces of its own, and ends with a table of steps.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

from kit import binaries, building, repository, toolchain
from node import inside, release, timetable
from node.ground import images, machine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-e2e", description=__doc__)
    parser.add_argument("--from", dest="older", default="", help="the commit to upgrade from; by default the last tag")
    parser.add_argument("--long", action="store_true", help="everything that happens to an installation in years")
    parser.add_argument("--folder", type=pathlib.Path, help="write everything here and leave it; a new folder")
    return parser.parse_args()


def prepare(folder: pathlib.Path, steps: timetable.Timetable, *, older: str) -> None:
    """Build programs and images, and leave in a folder what the second half of the run needs.

    Raises:
        Exception: Something cannot be built; the text says why.
    """
    with steps.step("packages of the machine: containerd, runc, CNI, buildah and others"):
        machine.provide()
    with steps.step("programs of the control plane and the node"):
        built = binaries.ensure("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm", "mailpit")
        built |= binaries.ensure(*binaries.NODE)
    commit = release.older(older)
    authority = images.authority()
    with steps.step("a base image, and one of the cluster's own programs"):
        base = images.base(authority.ca_path)
        images.parts({name: built[name] for name in ("coredns", "mailpit")}, folder / inside.PARTS)
    with steps.step("the image of this version"):
        images.build(repository.ROOT, tag=inside.NEW, base_image=base, target=folder / f"{inside.NEW}.tar")
    with steps.step(f"the image of {commit[:10]}, to upgrade from"):
        release.extract(commit, folder / inside.OLD)
        images.build(folder / inside.OLD, tag=inside.OLD, base_image=base, target=folder / f"{inside.OLD}.tar")


def main() -> int:
    """Run it; return 0 if every step did what it should."""
    arguments = _arguments()
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="mailtier-node-"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "steps.json"
    try:
        prepare(folder, timetable.Timetable(path), older=arguments.older)
        form = inside.LONG if arguments.long else inside.SHORT
        with machine.Cgroups(f"mailtier-{folder.name}") as cgroup:
            status = machine.run_apart("node.inside", str(folder), cgroup, form)
    except (
        building.BuildError,
        images.ImageError,
        machine.MachineError,
        release.UnknownCommitError,
        toolchain.ToolchainError,
    ) as error:
        print(error, file=sys.stderr)
        status = 1
    print(f"\n{timetable.Timetable(path).table()}", flush=True)
    if status != 0:
        print(f"\nIt failed; its logs are in {folder}", file=sys.stderr)
    elif arguments.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    raise SystemExit(main())

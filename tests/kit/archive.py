"""Packs the command line into one file, for pipelines and as `kubectl mailtier`, and writes krew's manifest for it.

Run as `python -m kit.archive`. The file runs where there is a Python that it holds libraries for, and needs nothing
else: `mailtier.pyz`, or `kubectl-mailtier` on the PATH.
"""

import argparse
import dataclasses
import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import typing
import zipfile

import yaml

import mailtier
from kit import interpreters, repository

PLATFORMS: typing.Final = {
    ("linux", "amd64"): "x86_64-manylinux_2_28",
    ("linux", "arm64"): "aarch64-manylinux_2_28",
    ("darwin", "arm64"): "aarch64-apple-darwin",
}
"""What krew calls them, and uv."""

PLUGIN: typing.Final = "kubectl-mailtier"

_LEFT_OUT = frozenset({"__pycache__", "direct_url.json", "uv_cache.json", "INSTALLER", "REQUESTED", "RECORD"})
"""What tells of the installation, and of the machine that it was made on."""

_COPY = ("kubernetes", "aio")
"""A second copy of the client, for asyncio, which nothing here imports; the image is without it too."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each file: what was packed from the same sources is the same file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An archive for one platform.

    Attributes:
        system: krew's name, such as `linux`.
        machine: The same, such as `amd64`.
        path: The archive with the program and its licence.
    """

    system: str
    machine: str
    path: pathlib.Path


def wheel(folder: pathlib.Path) -> pathlib.Path:
    """Return Mailtier's wheel, built with the tools that are locked."""
    constraints = repository.ROOT / "requirements-build.lock"
    _uv("build", "--wheel", f"--build-constraints={constraints}", "--require-hashes", f"--out-dir={folder}", ".")
    (found,) = folder.glob("mailtier-*.whl")
    return found


def program(
    folder: pathlib.Path,
    built: pathlib.Path,
    *,
    platform: str = PLATFORMS["linux", "amd64"],
    versions: typing.Sequence[str] = interpreters.SUPPORTED,
) -> pathlib.Path:
    """Return `kubectl-mailtier` for a platform, with the libraries of several Pythons.

    Args:
        folder: Where it goes; it exists.
        built: The wheel.
        platform: As uv calls it.
        versions: Of Python.
    """
    with tempfile.TemporaryDirectory(prefix="mailtier-archive-") as temporary:
        trees = {}
        locked = pathlib.Path(temporary) / "locked.txt"
        _lock(locked)
        for version in versions:
            trees[version] = pathlib.Path(temporary) / version
            where = (f"--target={trees[version]}", f"--python-version={version}", f"--python-platform={platform}")
            options = ("--no-deps", "--only-binary=:all:", "--link-mode=copy", *where)
            _uv("pip", "install", *options, "--require-hashes", f"--requirement={locked}")
            _uv("pip", "install", *options, str(built))
        target = folder / PLUGIN
        target.write_bytes(b"#!/usr/bin/env python3\n" + _zipped(_parted(trees)))
    target.chmod(0o755)
    return target


def manifest(packed: typing.Iterable[Packed], *, url: str) -> str:
    """Return the manifest of the plugin, for an index of krew or `kubectl krew install --manifest`.

    Args:
        packed: The archives.
        url: The folder that they can be downloaded from.
    """
    return str(
        yaml.safe_dump(
            {
                "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
                "kind": "Plugin",
                "metadata": {"name": "mailtier"},
                "spec": {
                    "version": f"v{mailtier.__version__}",
                    "homepage": "https://mailtier.dev",
                    "shortDescription": "Judge, explain and inspect e-mail settings",
                    "description": f"{mailtier.__doc__}\nlint, render and explain judge the settings of a cluster in"
                    " files, before they are applied; status, verify, send and queue look at what a cluster does with"
                    " them, and what became of mail.\n",
                    "caveats": f"It needs python3, one of {', '.join(interpreters.SUPPORTED)}.\n",
                    "platforms": [
                        {
                            "selector": {"matchLabels": {"os": each.system, "arch": each.machine}},
                            "uri": f"{url.rstrip('/')}/{each.path.name}",
                            "sha256": hashlib.sha256(each.path.read_bytes()).hexdigest(),
                            "bin": PLUGIN,
                            "files": [{"from": PLUGIN, "to": "."}, {"from": "LICENSE", "to": "."}],
                        }
                        for each in packed
                    ],
                },
            },
            sort_keys=False,
            width=120,
        )
    )


def pack(folder: pathlib.Path, plugin: pathlib.Path, *, system: str, machine: str) -> Packed:
    """Return the archive that krew downloads, with the program and the licence."""
    path = folder / f"mailtier-{mailtier.__version__}-{system}-{machine}.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(plugin, PLUGIN, filter=_anonymous)
        archive.add(repository.ROOT / "LICENSE", "LICENSE", filter=_anonymous)
    return Packed(system=system, machine=machine, path=path)


def _lock(target: pathlib.Path) -> None:
    """Write which versions the commands need that ask a cluster, with hashes: a part of the image's."""
    _uv(
        *("pip", "compile", "pyproject.toml", "--extra=cluster", "--universal", "--generate-hashes", "--quiet"),
        *("--constraints=requirements-runtime.lock", f"--python-version={min(interpreters.SUPPORTED)}"),
        *("--no-header", f"--output-file={target}"),
    )


def _parted(trees: typing.Mapping[str, pathlib.Path]) -> dict[str, bytes]:
    """Return the files by their names in the archive: in `common` where all Pythons have the same."""
    found: dict[str, dict[str, bytes]] = {}
    for version, tree in trees.items():
        for path in sorted(tree.rglob("*")):
            inside = path.relative_to(tree)
            unneeded = inside.parts[0] in {"bin", ".lock"} or inside.parts[:2] == _COPY
            if path.is_file() and not unneeded and _LEFT_OUT.isdisjoint(inside.parts):
                found.setdefault(str(inside), {})[version] = path.read_bytes()
    files = {}
    for name, by_version in sorted(found.items()):
        if len(by_version) == len(trees) and len(set(by_version.values())) == 1:
            files[f"common/{name}"] = next(iter(by_version.values()))
        else:
            files |= {f"{version}/{name}": content for version, content in by_version.items()}
    return files


def _zipped(files: typing.Mapping[str, bytes]) -> bytes:
    """Return the archive, with what starts it."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    launcher = pathlib.Path(__file__).with_name("archived.py").read_bytes()
    parts = {"__main__.py": launcher, "digest": digest.hexdigest()[:16].encode(), **files}
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return output.getvalue()


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _uv(*arguments: str) -> None:
    """Run uv of this environment in the checkout.

    Raises:
        CalledProcessError: It ended with another status than 0; its output was shown.
    """
    uv = pathlib.Path(sys.executable).with_name("uv")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([uv, "--quiet", *arguments], cwd=repository.ROOT, env=environment, check=True)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="make archive", description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, default=repository.ROOT / "dist")
    parser.add_argument("--url", required=True, help="the folder that the archives will be downloaded from")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    packed = []
    with tempfile.TemporaryDirectory(prefix="mailtier-archives-") as temporary:
        built = wheel(pathlib.Path(temporary))
        for (system, machine), platform in PLATFORMS.items():
            plugin = program(pathlib.Path(temporary), built, platform=platform)
            packed.append(pack(arguments.folder, plugin, system=system, machine=machine))
            print(f"{packed[-1].path} ({packed[-1].path.stat().st_size / 1e6:.1f} MB)")
    target = arguments.folder / "mailtier.yaml"
    target.write_text(manifest(packed, url=arguments.url), encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(_main())

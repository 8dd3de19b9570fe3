"""The images that the node runs: Mailtier's, built from its Dockerfile, and one of all other programs."""

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

from kit import certs, toolchain
from node.ground import archive

PARTS = "mailtier.test/parts:1"
REGISTRY = "mailtier.test"

_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_BASE_RECIPE = f"debootstrap minbase bookworm {_BASE_PACKAGES} 1"
_APPLETS = ("cat", "ls", "sh", "sleep")


class ImageError(RuntimeError):
    """An image was not built; the text has the end of what the builder said."""


def cache() -> pathlib.Path:
    """Return the folder of what is kept between runs."""
    folder = toolchain.cache() / "node"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def authority() -> certs.Authority:
    """Return the authority that the base image trusts, as the own base image of a company trusts its own."""
    return certs.Authority(cache() / "authority", is_kept=True)


def parts(programs: dict[str, pathlib.Path], target: pathlib.Path) -> None:
    """Write the archive of an image with some static programs and a shell."""
    found = shutil.which("busybox")
    assert found is not None
    all_programs = {**programs, "busybox": pathlib.Path(found)}
    archive.write(target, name=PARTS, programs=all_programs, links=dict.fromkeys(_APPLETS, "busybox"))


def base(authority_path: pathlib.Path) -> str:
    """Return the name of a base image with Python, made once a machine; it trusts an authority of the tests."""
    key = hashlib.sha256(_BASE_RECIPE.encode() + authority_path.read_bytes()).hexdigest()[:16]
    name = f"localhost/mailtier-base:{key}"
    if _buildah("images", "--quiet", name, check=False).returncode == 0:
        return name
    with tempfile.TemporaryDirectory(prefix="mailtier-base-", dir=cache()) as text:
        folder = pathlib.Path(text)
        root = folder / "root"
        options = ("--variant=minbase", f"--include={_BASE_PACKAGES}")
        _run("debootstrap", *options, "bookworm", str(root))
        trusted = root / "usr/local/share/ca-certificates/tests.crt"
        shutil.copyfile(authority_path, trusted)
        _run("chroot", str(root), "update-ca-certificates")
        for unneeded in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / unneeded, ignore_errors=True)
        (folder / "Containerfile").write_text("FROM scratch\nCOPY root /\n", encoding="ascii")
        _buildah("bud", "--tag", name, "--file", str(folder / "Containerfile"), str(folder))
    return name


def build(tree: pathlib.Path, *, tag: str, base_image: str, target: pathlib.Path) -> None:
    """Write the archive of Mailtier's image, built from the Dockerfile of a tree.

    Args:
        tree: A checkout, or what `git archive` made of a commit.
        tag: Of the image, which is `mailtier.test/mailtier/mailtier`.
        base_image: For the build argument `BASE_IMAGE`.
        target: The archive.
    """
    name = f"{REGISTRY}/mailtier/mailtier:{tag}"
    # pip looks for packages where this machine's does, and trusts whom it trusts. Neither gets into the image.
    mounts = [
        f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if pathlib.Path(path).exists()
    ]
    arguments = [f"--build-arg={key}={value}" for key, value in {"BASE_IMAGE": base_image, "VERSION": tag}.items()]
    _buildah("bud", "--layers", "--pull-never", "--network=host", *mounts, *arguments, "--tag", name, str(tree))
    _buildah("push", name, f"docker-archive:{target}:{name}")


def architecture() -> str:
    """Return this machine's architecture as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def _buildah(command: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    storage = cache() / "storage"
    where = ("--root", str(storage), "--runroot", str(storage / "run"), "--storage-driver", "overlay")
    isolation = ("--isolation=chroot",) if command == "bud" else ()
    return _run("buildah", *where, command, *isolation, *arguments, check=check)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "BUILDAH_FORMAT": "docker"}
    )
    if check and result.returncode != 0:
        said = "\n".join((result.stdout + result.stderr).splitlines()[-25:])
        raise ImageError(f"`{' '.join(command[:6])} ...` ended with {result.returncode}:\n{said}")
    return result

"""The first file of `mailtier.pyz`: unpacks what this Python needs, once for a user, and runs the program.

It is run by whatever `python3` is, so that it has to be understood by one that Mailtier does not run on.
"""

from __future__ import annotations

import atexit
import os
import pathlib
import shutil
import stat
import sys
import tempfile
import zipfile


def main() -> None:
    """Run the program with the libraries of this Python's version."""
    version = "{}.{}".format(*sys.version_info[:2])
    with zipfile.ZipFile(str(pathlib.Path(__file__).parent)) as archive:
        names = archive.namelist()
        known = sorted({name.split("/")[0] for name in names if name[0].isdigit()}, key=_numbers)
        if version not in known:
            sys.exit(
                "mailtier: this file holds Mailtier for Python {}, and python3 is {}".format(", ".join(known), version)
            )
        folder = _folder(archive, names, version)
    # In place of the archive, and before whatever else there is.
    sys.path[0] = str(folder)
    from mailtier import __main__ as program  # noqa: PLC0415  # It is there only now.

    program.main()


def _folder(archive: zipfile.ZipFile, names: list[str], version: str) -> pathlib.Path:
    """Return the folder with the libraries, in the user's cache; where nothing can be kept, one for this run."""
    root = os.environ.get("XDG_CACHE_HOME")
    cache = (pathlib.Path(root) if root else pathlib.Path("~/.cache").expanduser()) / "mailtier" / "pyz"
    target = cache / "{}-{}".format(archive.read("digest").decode("ascii"), version)
    try:
        if target.is_dir() and _is_ours(target):
            return target
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix="unfinished-", dir=str(cache)))
    except (OSError, RuntimeError):
        unfinished = target = pathlib.Path(tempfile.mkdtemp(prefix="mailtier-"))
        atexit.register(shutil.rmtree, str(target), ignore_errors=True)
    for part in ("common/", version + "/"):
        for name in names:
            if name.startswith(part):
                file = unfinished / name[len(part) :]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))
    if unfinished != target:
        try:
            unfinished.rename(target)
        except OSError:
            # Another one was quicker, or somebody else's folder stands there.
            target = unfinished
            atexit.register(shutil.rmtree, str(target), ignore_errors=True)
    return target


def _is_ours(folder: pathlib.Path) -> bool:
    """Return whether nobody else can have written what is run from here."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


main()

"""Libraries that are loaded before the C library of a process, and do something else instead of it."""

import pathlib
import shutil
import subprocess


class NoCompilerError(Exception):
    """This machine has no C compiler."""


def build(source: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Return a library, compiled into a folder.

    Raises:
        NoCompilerError: There is nothing to compile it with.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("install a C compiler (on Debian: apt-get install gcc libc6-dev)")
    library = folder / source.with_suffix(".so").name
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"], check=True
    )
    return library

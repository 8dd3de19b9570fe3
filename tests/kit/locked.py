"""What a lock says: each library with its version and who needs it."""

import dataclasses
import importlib.metadata
import re
import typing

_ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+?)(?: ;.*)?(?: \\)?\n(?P<rest>(?: .*\n)*)", re.MULTILINE
)
_VIA = re.compile(r"^    # (?:via|  ) ?(?P<name>[A-Za-z0-9._-]+)(?: \(pyproject\.toml\))?$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One library of a lock.

    Attributes:
        version: The one that is pinned.
        needed_by: Names of libraries, and of the program itself.
    """

    version: str
    needed_by: tuple[str, ...]


def entries(lock: str) -> typing.Mapping[str, Entry]:
    """Return the libraries of a lock by their names, but for those of other platforms.

    Args:
        lock: As `uv pip compile` writes it, with the comments that say what each entry is needed by.
    """
    return {
        found["name"]: Entry(
            version=found["version"], needed_by=tuple(by["name"] for by in _VIA.finditer(found["rest"]))
        )
        for found in _ENTRY.finditer(lock)
        if _is_installed(found["name"])
    }


def _is_installed(name: str) -> bool:
    """Return whether a library is one of this platform; the lock is for all."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

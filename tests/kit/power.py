"""A loss of power, and syncs that fail: a process whose writes are known by whether they were synced.

`unsynced/unsynced.c` is loaded before the C library of the process. What a file held at its last sync is kept beside
it; once the process is killed, that is the least that a volume which keeps what it says leaves of it. The most is the
file itself: what was not synced may have been written all the same, of one file and not of another.
"""

import collections.abc
import pathlib
import shutil
import tempfile
import typing

from kit import preloaded

_SOURCE: typing.Final = pathlib.Path(__file__).with_name("unsynced") / "unsynced.c"


def build(folder: pathlib.Path) -> pathlib.Path:
    """Return the library, compiled into a folder.

    Raises:
        preloaded.NoCompilerError: There is nothing to compile it with.
    """
    return preloaded.build(_SOURCE, folder)


class Volume:
    """A folder whose files are known as they were synced.

    Args:
        folder: What is watched; made if it is missing.
        library: What `build` returned.
    """

    def __init__(self, folder: pathlib.Path, library: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self._image = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix="synced-"))
        self._fail = folder.parent / "syncs-fail"
        self._library = library

    @property
    def environment(self) -> dict[str, str]:
        """That of a process of the kit which is watched."""
        return {
            "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
            "LD_PRELOAD": str(self._library),
            "UNSYNCED_FOLDER": str(self.folder),
            "UNSYNCED_IMAGE": str(self._image.resolve()),
            "UNSYNCED_FAIL": str(self._fail.resolve()),
        }

    def fail(self) -> None:
        """Let every sync from now on fail."""
        self._fail.touch()

    def after_power_loss(self, target: pathlib.Path, *, written: collections.abc.Container[str] = ()) -> pathlib.Path:
        """Return a folder as the loss leaves it, once the process is dead.

        Args:
            target: Where it is made.
            written: Files whose unsynced writes had reached the volume all the same.
        """
        target.mkdir()
        for path in self.folder.iterdir():
            kept = self._image / path.name
            if path.name in written:
                shutil.copy(path, target / path.name)
            elif kept.exists():
                shutil.copy(kept, target / path.name)
        return target

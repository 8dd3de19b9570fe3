"""The trees whose programs are measured."""

import collections.abc
import contextlib
import pathlib
import subprocess
import tempfile

from kit import repository


@contextlib.contextmanager
def worktree(commit: str) -> collections.abc.Iterator[pathlib.Path]:
    """Give a checkout of a commit, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mailtier-base-") as folder:
        tree = pathlib.Path(folder) / "tree"
        _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(repository.ROOT), *arguments], check=True)

"""Writes the files of the repository that are generated, or tells which ones have drifted.

Run as `python -m kit.generate`, with `--check` to write nothing.
"""

import argparse
import pathlib
import sys

from mailtier.api import crds
from mailtier.cli import crds as crd_files
from mailtier.cli import reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
_REFERENCE = pathlib.Path("docs/reference")


def examples() -> dict[str, str]:
    """Return the reference's example of each kind, by the kind's plural."""
    folder = ROOT / _REFERENCE / "examples"
    return {resource.plural: (folder / f"{resource.plural}.yaml").read_text(encoding="utf-8") for resource in crds.ALL}


def files() -> dict[pathlib.Path, str]:
    """Return the text of every generated file, by its path in the repository."""
    return {
        **{pathlib.Path("crds") / name: text for name, text in crd_files.files().items()},
        **{_REFERENCE / name: text for name, text in reference.pages(examples()).items()},
    }


def drifted() -> list[pathlib.Path]:
    """Return the generated files that are missing or differ from what would be written."""
    return [
        path
        for path, text in files().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write what has drifted, or with `--check` only name it and return 1."""
    parser = argparse.ArgumentParser(prog="kit.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file has drifted")
    check = parser.parse_args().check
    texts, names = files(), drifted()
    for path in names:
        print(f"{path} has drifted; run `make generate`" if check else f"wrote {path}", file=sys.stderr)
        if not check:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(texts[path], encoding="utf-8")
    return int(check and bool(names))


if __name__ == "__main__":
    raise SystemExit(main())

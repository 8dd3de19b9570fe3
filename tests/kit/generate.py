"""Writes the files of the repository that are generated, or tells which ones have drifted.

Run as `python -m kit.generate`, with `--check` to write nothing. The check leaves out what is rendered by Helm, which
may have to be built first; a contract test looks at that.
"""

import argparse
import collections.abc
import pathlib
import sys

from kit import attacks_page, chart, licences, metrics_page, olm, states_page
from kit.reference import cli as reference_cli
from kit.reference import lints as reference_lints
from kit.reference import settings as reference
from mailtier.api import crds
from mailtier.cli.commands import crds as crd_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
_REFERENCE = pathlib.Path("docs/reference")

Texts = collections.abc.Mapping[pathlib.Path, str]
"""What is to stand in files, by their path in the repository."""


def examples() -> dict[str, str]:
    """Return the reference's example of each kind, by the kind's plural."""
    folder = ROOT / _REFERENCE / "examples"
    return {resource.plural: (folder / f"{resource.plural}.yaml").read_text(encoding="utf-8") for resource in crds.ALL}


def files() -> Texts:
    """Return every generated file that needs no Helm."""
    return {
        **{pathlib.Path("crds") / name: text for name, text in crd_files.files().items()},
        **{_REFERENCE / name: text for name, text in reference.pages(examples()).items()},
        **{_REFERENCE / name: text for name, text in reference_lints.pages().items()},
        **{_REFERENCE / name: text for name, text in reference_cli.pages().items()},
        _REFERENCE / "licences.md": licences.page((ROOT / "requirements-runtime.lock").read_text(encoding="utf-8")),
        _REFERENCE / "metrics.md": metrics_page.page(),
        _REFERENCE / "states.md": states_page.page(),
        **states_page.argocd_files(),
        pathlib.Path("docs/explanation/attacks.md"): attacks_page.page(),
        **chart.files(ROOT, examples=examples()),
    }


def rendered_files() -> Texts:
    """Return every generated file that Helm is needed for."""
    return {**chart.rendered_files(), **olm.files(examples())}


def drifted(texts: Texts | None = None) -> list[pathlib.Path]:
    """Return the generated files that are missing or differ from what would be written.

    Args:
        texts: What would be written; `files()` by default.
    """
    return [
        path
        for path, text in (files() if texts is None else texts).items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    ]


def _write(texts: Texts) -> None:
    for path in drifted(texts):
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(texts[path], encoding="utf-8")
        print(f"wrote {path}", file=sys.stderr)


def main() -> int:
    """Write what has drifted, or with `--check` only name it and return 1."""
    parser = argparse.ArgumentParser(prog="kit.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file has drifted")
    if parser.parse_args().check:
        names = drifted()
        for path in names:
            print(f"{path} has drifted; run `make generate`", file=sys.stderr)
        return int(bool(names))
    _write(files())
    # Rendered from the chart, whose own generated files have to be there by then.
    _write(rendered_files())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

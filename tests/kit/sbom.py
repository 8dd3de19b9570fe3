"""Writes what the image adds to its base as a CycloneDX SBOM: Mailtier, and the libraries of requirements-runtime.lock.

Run as `python -m kit.sbom`. Names, versions and who needs whom are the lock's; the licences are those that the
installed libraries name. It holds no time and no serial number: the same lock makes the same file.
"""

import json
import sys
import typing

import mailtier
from kit import licences, locked, repository

_SELF = "mailtier"

Json: typing.TypeAlias = dict[str, typing.Any]


def document(lock: str) -> Json:
    """Return the SBOM of a lock, CycloneDX 1.6.

    Args:
        lock: As `uv pip compile` writes it, with the comments that say what each entry is needed by.

    Source:
        CycloneDX 1.6, JSON; package URL, type pypi.
    """
    entries = locked.entries(lock)
    needs: dict[str, list[str]] = {name: [] for name in (_SELF, *entries)}
    for name, entry in entries.items():
        for by in entry.needed_by:
            needs[by].append(name)
    refs = {_SELF: _purl(_SELF, mailtier.__version__)}
    refs |= {name: _purl(name, entry.version) for name, entry in entries.items()}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component("application", _SELF, mailtier.__version__)},
        "components": [_component("library", name, entry.version) for name, entry in entries.items()],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[each] for each in needed)} for name, needed in needs.items()
        ],
    }


def _component(kind: str, name: str, version: str) -> Json:
    purl = _purl(name, version)
    found = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**found, "licenses": [{"expression": licences.spdx(name)}]}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _main() -> int:
    target = repository.ROOT / "dist" / "sbom.cdx.json"
    target.parent.mkdir(exist_ok=True)
    lock = repository.read("requirements-runtime.lock")
    target.write_text(json.dumps(document(lock), indent=2) + "\n", encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(_main())

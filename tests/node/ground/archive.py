"""Images of static programs, written as `docker save` writes them, without anything that builds images."""

import collections.abc
import hashlib
import io
import json
import pathlib
import tarfile


def write(
    path: pathlib.Path,
    *,
    name: str,
    programs: collections.abc.Mapping[str, pathlib.Path],
    links: collections.abc.Mapping[str, str],
) -> None:
    """Write an image of one layer.

    Args:
        path: The archive.
        name: The image's, with a tag.
        programs: File names in `/bin` to the programs on this machine.
        links: Further names in `/bin` to those that they lead to.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            layer.addfile(entry)
        for program, source in programs.items():
            entry = tarfile.TarInfo(f"bin/{program}")
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as file:
                layer.addfile(entry, file)
        for link, target in links.items():
            entry = tarfile.TarInfo(f"bin/{link}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            layer.addfile(entry)
    blob = content.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "2147483647"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(blob).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, mode="w") as archive:
        for member, data in (("config.json", config), ("layer.tar", blob), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

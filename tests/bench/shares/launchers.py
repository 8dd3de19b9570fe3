"""Starting a sender that sees another file system: a name server on loopback, a volume that is soon full."""

import pathlib
import typing

from kit import full_volume

DNS: typing.Final = ("127.0.53.1", 53)
"""A resolv.conf knows no ports, and 53 takes root."""

VOLUME_MEGABYTES: typing.Final = 10


def resolving(folder: pathlib.Path) -> list[str]:
    """Return what starts a program that asks the name server at `DNS` alone."""
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {DNS[0]}\n", encoding="ascii")
    return _with(f"mount --bind {configuration} /etc/resolv.conf")


def on_small_volume(folder: pathlib.Path) -> list[str]:
    """Return what starts a sender whose volume is of some megabytes of memory."""
    data = folder / "sender" / "data"
    data.mkdir(parents=True)
    return _with(f"mount -t tmpfs -o size={VOLUME_MEGABYTES}m tmpfs {data}")


def _with(mount: str) -> list[str]:
    return ["unshare", *full_volume.namespaces(), "sh", "-c", f'{mount} && exec "$@"', "sh"]

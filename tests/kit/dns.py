"""A DNS server on loopback that answers from a table, which a test may change between two questions."""

import asyncio
import collections.abc
import ipaddress
import pathlib
import struct
import typing

_A = 1
_AAAA = 28
_HEADER = struct.Struct("!HHHHHH")
_ANSWER = struct.Struct("!HHHIH")
_POINTER_TO_QUESTION = 0xC00C

CLUSTER_DOMAIN = "cluster.local"


def of_pod(hostname: str, *, service: str, namespace: str) -> str:
    """Return the name that a pod with a hostname has behind a headless Service."""
    return f"{hostname}.{service}.{namespace}.svc.{CLUSTER_DOMAIN}"


def configure_pod(folder: pathlib.Path, *, namespace: str) -> pathlib.Path:
    """Return a resolv.conf as the kubelet writes it for a pod, but without name servers."""
    path = folder / "resolv.conf"
    svc = f"svc.{CLUSTER_DOMAIN}"
    path.write_text(f"search {namespace}.{svc} {svc} {CLUSTER_DOMAIN}\noptions ndots:5\n")
    return path


class Server(asyncio.DatagramProtocol):
    """Answers A and AAAA questions; at work while its context is entered.

    Args:
        names: Addresses by name. A name that is missing does not exist; one with None is never answered.
        failing: Domains below which every question is answered with SERVFAIL.
        at: Where it listens; a free port by default.

    Attributes:
        names: The table.
        asked: The names that were asked for, each time.
        ttl_seconds: Of every answer.
    """

    def __init__(
        self,
        names: collections.abc.Mapping[str, collections.abc.Sequence[str] | None],
        *,
        failing: collections.abc.Sequence[str] = (),
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._at = at
        self.names = dict(names)
        self.failing = tuple(failing)
        self.asked: list[str] = []
        self.ttl_seconds = 60
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> typing.Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=self._at)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._transport is not None
        self._transport.close()

    @property
    def address(self) -> str:
        """Where it listens, as `address:port`."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the socket."""
        self._transport = typing.cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        number, _, _, _, _, _ = _HEADER.unpack_from(data)
        labels, position = [], _HEADER.size
        while length := data[position]:
            labels.append(data[position + 1 : position + 1 + length].decode("ascii"))
            position += 1 + length
        (kind,) = struct.unpack_from("!H", data, position + 1)
        question = data[_HEADER.size : position + 5]
        name = ".".join(labels).lower()
        self.asked.append(name)
        found = self.names.get(name, ())
        if found is None:
            return
        version = {_A: 4, _AAAA: 6}.get(kind)
        addresses = [ip for ip in map(ipaddress.ip_address, found) if ip.version == version]
        # QR, RD, RA; and NXDOMAIN for what is not in the table.
        flags = 0x8180 if name in self.names else 0x8183
        if any(name == domain or name.endswith(f".{domain}") for domain in self.failing):
            flags, addresses = 0x8182, []
        answers = b"".join(
            _ANSWER.pack(_POINTER_TO_QUESTION, kind, 1, self.ttl_seconds, len(ip.packed)) + ip.packed
            for ip in addresses
        )
        assert self._transport is not None
        self._transport.sendto(_HEADER.pack(number, flags, 1, len(addresses), 0, 0) + question + answers, addr)

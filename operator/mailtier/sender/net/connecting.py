"""Connecting to a server that was looked up and checked (R6)."""

import asyncio
import socket
from collections.abc import Sequence

from mailtier.mail import classify
from mailtier.sender.net import faults, handshakes, resolver


async def connect(addresses: Sequence[resolver.Address], port: int, limit: asyncio.Timeout) -> socket.socket:
    """Return a socket that is connected to one of the addresses, tried in order, each for its share of the time.

    Raises:
        faults.DeliveryError: To none of them.
    """
    loop = asyncio.get_running_loop()
    deadline = limit.when() or loop.time()
    fault = classify.Fault.CONNECTION_FAILED
    for position, address in enumerate(addresses):
        connecting = socket.socket(address.family, socket.SOCK_STREAM)
        connecting.setblocking(False)  # noqa: FBT003 - the standard library's signature.
        share = (deadline - loop.time()) / (len(addresses) - position + 1)
        try:
            async with asyncio.timeout(share):
                await loop.sock_connect(connecting, (address.literal, port))
        except OSError as error:
            # TimeoutError is one of them.
            connecting.close()
            fault = classify.Fault.TIMED_OUT if isinstance(error, TimeoutError) else classify.Fault.CONNECTION_FAILED
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    raise faults.of(classify.Phase.CONNECT, fault)


async def expects_tls(addresses: Sequence[resolver.Address], port: int, limit: asyncio.Timeout) -> bool:
    """Return whether a server that says nothing answers a TLS handshake; it is asked on another connection."""
    try:
        with await connect(addresses, port, limit) as asking:
            return await handshakes.is_expected(asking)
    except (OSError, faults.DeliveryError):
        return False

"""What ties a child to its supervisor: a socket pair, whose end the kernel closes when either dies."""

import asyncio
import os
import socket
from collections.abc import Callable

from mailtier.telemetry import logs

_UP = b"\x01"

_log = logs.get_logger(__name__)


def _die() -> None:
    # At once, as by SIGKILL: the next supervisor's children want the locks, and the queue is crash-only.
    _log.error("the supervisor is gone; ending, so that no two senders send")
    os._exit(1)


class Leash:
    """The child's end.

    Args:
        descriptor: The inherited socket.
        on_loss: Called when the supervisor is gone.
    """

    def __init__(self, descriptor: int, *, on_loss: Callable[[], None] = _die) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature.
        self._on_loss = on_loss

    def watch(self) -> None:
        """Notice from now on when the supervisor is gone; on the running loop."""
        asyncio.get_running_loop().add_reader(self._socket, self._lost)

    def say_up(self) -> None:
        """Tell the supervisor that the child got through its start."""
        try:
            self._socket.send(_UP)
        except OSError:
            self._lost()

    def close(self) -> None:
        """Watch no longer."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _lost(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._on_loss()

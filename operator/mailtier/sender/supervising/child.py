"""One of the supervisor's children: started, noticed when it is up and when it ends, and ended."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

_KILL_SECONDS: Final = 5.0


class Child:
    """A role's process, in one of its lives.

    Attributes:
        is_up: Whether it got through its start.
    """

    def __init__(self, role: str, process: asyncio.subprocess.Process, end: socket.socket) -> None:
        self.role = role
        self.is_up = False
        self._process = process
        self._end = end
        asyncio.get_running_loop().add_reader(end, self._hear)

    @classmethod
    async def start(cls, role: str, command: Callable[[str, int], Sequence[str]]) -> "Child":
        """Return the started child.

        Args:
            role: What it is to do.
            command: Returns its command line, from its role and the descriptor of its end of the leash.
        """
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)  # noqa: FBT003 - the standard library's signature.
        with its:
            # A session of its own: what a terminal or a group is sent reaches the supervisor, which ends it in order.
            process = await asyncio.create_subprocess_exec(
                *command(role, its.fileno()), pass_fds=(its.fileno(),), start_new_session=True
            )
        return cls(role, process, ours)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    def kill(self) -> None:
        """End it by force."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> int:
        """Return its exit status, negative for a signal."""
        return await self._process.wait()

    async def stop(self, *, grace_seconds: float) -> None:
        """End it: asked to, and after the grace by force."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(grace_seconds):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                async with asyncio.timeout(_KILL_SECONDS):
                    await self._process.wait()
        self.close()

    def close(self) -> None:
        """Let go of the leash; a child that runs still ends."""
        if self._end.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()

    def _hear(self) -> None:
        try:
            heard = self._end.recv(1)
        except OSError:
            heard = b""
        if heard:
            self.is_up = True
        else:
            asyncio.get_running_loop().remove_reader(self._end)

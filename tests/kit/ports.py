"""Free TCP ports on loopback."""

import errno
import secrets
import socket

# Below the kernel's ephemeral ports (32768 and up on Linux, ip(7)): otherwise an outgoing connection could
# take a server's port while that server is down for a restart. Below Kubernetes' node ports (30000) as well.
_FIRST = 20000
_COUNT = 10000
_TRIES = 200


class PortInUseError(Exception):
    """Something else listens where a program of ours has to."""


def require(host: str, port: int, what: str) -> None:
    """Return if nothing listens at an address.

    Args:
        host: An IP address of this machine.
        port: A TCP port.
        what: Who wants to listen there, for people.

    Raises:
        PortInUseError: Something does; the text names the address, and what to do.
    """
    if not _is_free(host, port):
        raise PortInUseError(
            f"{what} has to listen at {host}:{port}, and something else does; end that"
            f" (`ss -ltnp 'sport = :{port}'` names it), or start again: each run draws other ports"
        )


def free(host: str = "127.0.0.1") -> int:
    """Return a TCP port on which nothing listens at an address of loopback.

    It is drawn from the system's randomness: pytest-randomly seeds `random`, so two runs with one seed would
    draw the same ports.

    Raises:
        RuntimeError: Nearly every port of the range is taken.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_COUNT)
        if _is_free(host, port):
            return port
    raise RuntimeError(f"no free port on {host} between {_FIRST} and {_FIRST + _COUNT - 1}")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True

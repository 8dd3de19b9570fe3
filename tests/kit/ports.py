"""Free TCP ports on loopback."""

import secrets
import socket

# Below the kernel's ephemeral ports (32768 and up on Linux, ip(7)): otherwise an outgoing connection could
# take a server's port while that server is down for a restart. Below Kubernetes' node ports (30000) as well.
_FIRST = 20000
_COUNT = 10000
_TRIES = 200


def free() -> int:
    """Return a TCP port on which nothing listens at 127.0.0.1.

    It is drawn from the system's randomness: pytest-randomly seeds `random`, so two runs with one seed would
    draw the same ports.

    Raises:
        RuntimeError: Nearly every port of the range is taken.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port on 127.0.0.1 between {_FIRST} and {_FIRST + _COUNT - 1}")

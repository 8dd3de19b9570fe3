"""Keeps a program running as the kubelet would: `python -m kit.restart PROGRAM ARGUMENT...`.

The operator is crash-only: it ends when it loses its Lease or a watch, and expects to be started again.
"""

import signal
import subprocess
import sys
import time

_PAUSE_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """Start the program again whenever it ends, until SIGTERM or SIGINT, which are passed on."""
    ending = False
    child: subprocess.Popen[bytes] | None = None

    def end(number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while not ending:
        child = subprocess.Popen(argv)
        status = child.wait()
        if not ending:
            print(f"{argv[0]} ended with status {status}; starting it again", file=sys.stderr, flush=True)
            time.sleep(_PAUSE_SECONDS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

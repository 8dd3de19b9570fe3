"""Why a demo failed, for whoever ran it."""

import os

from kit import wait


def told(error: BaseException) -> str:
    """Return in a few sentences why the demo failed, and what to do; what programs logged stays in their logs."""
    late = _late(error)
    if late is None:
        return str(error).partition(" ends with:\n")[0]
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return (
        f"it waited {late.within_seconds:g} s for this, in vain: {late.why}. The machine may be busy (load"
        f" {load:.0f} on {cores} cores): run it again, or let it wait three times as long with `make demo PATIENCE=3`."
    )


def _late(error: BaseException | None) -> wait.NotInTimeError | None:
    """Return the deadline that passed, where an error comes from one."""
    while error is not None:
        if isinstance(error, wait.NotInTimeError) and error.why:
            return error
        error = error.__cause__
    return None

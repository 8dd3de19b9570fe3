"""How long to wait after failures in a row: the one place that doubles a wait."""

import dataclasses
import datetime as dt


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A wait that doubles with each failure in a row.

    Attributes:
        first: The wait after the first failure, positive.
        most: The longest wait, `first` at least.
    """

    first: dt.timedelta
    most: dt.timedelta

    def __post_init__(self) -> None:
        if not dt.timedelta(0) < self.first <= self.most:
            raise ValueError("the first wait is positive, and the longest is no shorter")

    def ceiling(self, failures: int) -> dt.timedelta:
        """Return the wait after this many failures in a row, nothing taken off.

        Args:
            failures: At least 1.

        Raises:
            ValueError: `failures` is less than 1.
        """
        if failures < 1:
            raise ValueError("failures in a row are at least 1")
        # So many doublings stay below the longest wait. To double first and compare then would overflow.
        if failures > (self.most // self.first).bit_length():
            return self.most
        return self.first * (1 << (failures - 1))

    def after(self, failures: int, *, jitter: float) -> dt.timedelta:
        """Return the wait after this many failures in a row, drawn from the upper half below its ceiling.

        Args:
            failures: At least 1.
            jitter: From 0 up to 1. What failed together does not come back together, and nothing comes back at once.
        """
        return self.ceiling(failures) * (0.5 + jitter / 2)

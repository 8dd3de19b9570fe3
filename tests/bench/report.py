"""The table of the operator's bench."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        organizations: How many it concerns.
        seconds: From the cause to the last write.
        raw_seconds: What the bare writes took in the same run; None where there is nothing to compare with.
        ours: CPU seconds of the operator; None for the bare writes.
        server: CPU seconds of the apiserver and etcd together.
    """

    name: str
    organizations: int
    seconds: float
    raw_seconds: float | None = None
    ours: float | None = None
    server: float | None = None
    note: str = ""

    def __str__(self) -> str:
        rate = f"{self.organizations / self.seconds:.0f}"
        share = f"{self.raw_seconds / self.seconds:.0%}" if self.raw_seconds else ""
        cells = (rate, share, self._each(self.ours), self._each(self.server))
        numbers = "".join(f"{cell:>10}" for cell in cells)
        return f"{self.name:<16}{self.organizations:>7}{self.seconds:>9.1f}{numbers}  {self.note}".rstrip()

    def _each(self, cpu_seconds: float | None) -> str:
        return f"{cpu_seconds * 1000 / self.organizations:.2f}" if cpu_seconds is not None else ""


HEAD = (
    f"{'':<16}{'orgs':>7}{'seconds':>9}{'orgs/s':>10}{'of raw':>10}{'operator':>10}{'apiserver':>10}\n"
    f"{'':<52}{'(CPU ms/org)':>20}"
)


@dataclasses.dataclass(slots=True)
class Report:
    """What one size came to.

    Attributes:
        facts: Lines that fit in no column.
        memory_mib: The most that was resident in the operator, in any of its lives.
    """

    organizations: int
    rows: list[Row] = dataclasses.field(default_factory=list)
    facts: list[str] = dataclasses.field(default_factory=list)
    memory_mib: float = 0.0

    def add(self, row: Row) -> None:
        """Add a line, and show it at once."""
        self.rows.append(row)
        print(row, flush=True)

    def state(self, fact: str) -> None:
        """Add a fact, and show it at once."""
        self.facts.append(fact)
        print(fact, flush=True)

    def row(self, name: str) -> Row:
        """Return a line by its name."""
        return next(row for row in self.rows if row.name == name)

    def __str__(self) -> str:
        lines = [HEAD, *map(str, self.rows), *self.facts, f"operator's memory: {self.memory_mib:.0f} MiB at its peak"]
        return "\n".join(lines)


def compare(small: Report, large: Report) -> str:
    """Return how an organization's cost grows with their number."""
    lines = []
    for name in ("creation", "host change"):
        before, after = small.row(name), large.row(name)
        if before.ours and after.ours:
            each = after.ours / after.organizations / (before.ours / before.organizations)
            lines.append(
                f"{name}: CPU of an organization at {large.organizations} is {each:.2f} of that at"
                f" {small.organizations}"
            )
    return "\n".join(lines)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

"""What every fault of a server means, in every phase: the table beside this file, held against a sender at work."""

import itertools
import pathlib

import pytest

from kit import certs, faults
from mailtier.sender.storage.postgres import shared_queue

_TABLE = pathlib.Path(__file__).with_name("matrix.txt")
_CELLS, _SENSELESS = faults.read(_TABLE.read_text(encoding="utf-8"))
_PHASES = ("connect", "greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "body", "dot", "RSET", "QUIT")
_FAULTS = ("4yz", "4yz+", "5yz", "5yz+", "421", "eof", "rst", "stall", "drip", "garbage", "oversized", "unasked")


def test_the_table_is_whole() -> None:
    """Every fault stands in every phase, or it is told why it does not."""
    told = {(cell.phase, cell.fault) for cell in _CELLS} | set(_SENSELESS)
    assert told == set(itertools.product(_PHASES, _FAULTS))


_TOLD_BEFORE = ("MAIL", "RCPT", "DATA", "dot")
"""Where a message may be whose envelope left with the one before. A body does not leave before that one is answered;
behind another large one, the kernel would keep all of it, and no server could meet it half-way."""


_NOTED = ("body", "dot")
"""Where a queue that is shared keeps other notes than one of the sender's own; before, no fault concerns it."""


def _noted(cells: list[faults.Cell]) -> list[faults.Cell]:
    # At the body each 4yz lasts a message's whole time-out, but for the oversized one, which means the same.
    return [
        cell for cell in cells if cell.phase in _NOTED and (cell.phase, cell.fault.removesuffix("+")) != ("body", "4yz")
    ]


_MEETINGS = [
    *(("sqlite", cell, way) for cell in _CELLS for way in ("pipelined", "one by one")),
    *(("postgres", cell, "pipelined") for cell in _noted(_CELLS)),
]


@pytest.mark.parametrize(("shared", "cell", "way"), _MEETINGS, ids=str, indirect=["shared"])
def test_a_fault_means_what_the_table_says(
    tmp_path: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    authority: certs.Authority,
    leaf: certs.Leaf,
    cell: faults.Cell,
    *,
    way: str,
) -> None:
    """State, scope, next attempt and use of the connection are as the standards and the design have them (R4, R10)."""
    is_pipelined = way == "pipelined"
    found, copies = faults.meet(cell, tmp_path / "queue", authority, leaf, pipelining=is_pipelined, shared=shared)
    assert found == cell
    # At most once but where it was in doubt, and then the same bytes.
    assert len(copies) <= (2 if cell.again == "doubt" else 1)
    assert len(set(copies)) == (0 if cell.again == "no" else 1)


_ANNOUNCED = [cell for cell in _CELLS if cell.phase in _TOLD_BEFORE]


@pytest.mark.parametrize(
    ("shared", "cell"),
    [*(("sqlite", cell) for cell in _ANNOUNCED), *(("postgres", cell) for cell in _noted(_ANNOUNCED))],
    ids=str,
    indirect=["shared"],
)
def test_a_fault_means_the_same_for_what_was_announced(
    tmp_path: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    authority: certs.Authority,
    leaf: certs.Leaf,
    cell: faults.Cell,
) -> None:
    """A message whose envelope left with the one before is no worse off, and the one before has arrived (R4)."""
    found, copies = faults.meet(
        cell, tmp_path / "queue", authority, leaf, pipelining=True, announced=True, shared=shared
    )
    assert found == cell
    assert len(copies) <= (2 if cell.again == "doubt" else 1)
    assert len(set(copies)) == (0 if cell.again == "no" else 1)

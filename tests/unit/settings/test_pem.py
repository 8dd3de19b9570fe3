"""Finding the blocks of a PEM text, whatever whoever wrote it wants."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.settings import pem

BLOCK = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", []),
        (BLOCK, ["CERTIFICATE"]),
        (f"Bag Attributes\n{BLOCK}\n\nsubject\n{BLOCK}", ["CERTIFICATE", "CERTIFICATE"]),
        (BLOCK.replace("CERTIFICATE", "EC PRIVATE KEY"), ["EC PRIVATE KEY"]),
        (BLOCK.replace("END CERTIFICATE", "END KEY"), []),
        (f"-----BEGIN A-----\n{BLOCK}", ["CERTIFICATE"]),
        (f"-----BEGIN A-----\n-----END B-----\n{BLOCK}", ["CERTIFICATE"]),
        (f"-----END CERTIFICATE-----\n{BLOCK}", ["CERTIFICATE"]),
        ("-----BEGIN CERTIFICATE-----", []),
        (f"-----BEGIN {'A' * 65}-----\n-----END {'A' * 65}-----", []),
    ],
)
def test_the_blocks_of_a_text(text: str, labels: list[str]) -> None:
    """A block is what begins and ends with the same label; all else is left out."""
    assert [block.label for block in pem.blocks(text)] == labels


@given(st.lists(st.sampled_from(("-----BEGIN A-----", "-----END A-----", "-----BEGIN B-----", "-----END B-----", "x"))))
def test_every_block_is_whole(parts: list[str]) -> None:
    """Each block stands in the text as it is, and no two overlap; what begins beside them has its place told."""
    text = "".join(parts)
    position = 0
    is_left = pem.begins(text) > len(list(pem.blocks(text)))
    assert (pem.unended(text) is not None) == is_left
    for block in pem.blocks(text):
        assert block.text.startswith(f"-----BEGIN {block.label}-----")
        assert block.text.endswith(f"-----END {block.label}-----")
        position = text.index(block.text, position) + len(block.text)


@pytest.mark.parametrize("part", ["-----BEGIN A-----", "-----BEGIN A ", "-----BEGIN A-----\n-----END B-----\n"])
def test_time_grows_no_faster_than_the_text(part: str) -> None:
    """Ten times the text takes about ten times as long, and not a hundred times: tenants write these texts (R10)."""

    def cost(count: int) -> float:
        text = part * count
        started = time.process_time()
        for _ in range(20):
            assert list(pem.blocks(text)) == []
            assert pem.unended(text) == 0
        return time.process_time() - started

    assert min(cost(20_000) for _ in range(3)) < 40 * max(min(cost(2_000) for _ in range(3)), 0.001)

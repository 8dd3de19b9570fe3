"""What the demo shows while its parts are built."""

import pytest

from demo import tour
from kit import binaries


def test_tour_needs_no_cluster_and_shows_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command does on the repository's own files what the tour says, and each part of the demo is explained."""
    tour.run(building=binaries.DEMO)
    printed = capsys.readouterr().out
    assert printed.count("✓ mailtier") + printed.count("✓ sed") == 4
    assert "✗" not in printed
    for part in binaries.DEMO:
        assert part in printed

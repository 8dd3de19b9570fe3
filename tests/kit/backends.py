"""Marks for contract tests of what one storage backend has alone."""

from typing import Final

import pytest

EMBEDDED_ALONE: Final = pytest.mark.parametrize("queue_factory", ["sqlite"], indirect=True)
"""For tests of what only the embedded queue has."""

SHARED_ALONE: Final = pytest.mark.parametrize("queue_factory", ["postgres"], indirect=True)
"""For tests of what only the shared queue has."""

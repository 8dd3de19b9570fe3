"""Marks for contract tests by storage backend."""

from typing import Final

import pytest

EMBEDDED_ALONE: Final = pytest.mark.parametrize("queue_factory", ["sqlite"], indirect=True)
"""For tests of what only the embedded queue has."""

SHARED_ALONE: Final = pytest.mark.parametrize("queue_factory", ["postgres"], indirect=True)
"""For tests of what only the shared queue has."""

BOTH: Final = pytest.mark.parametrize("shared", ["sqlite", "postgres"], indirect=True)
"""For tests of a sender; others have an embedded queue alone."""

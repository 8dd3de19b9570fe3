"""How often Python looks for garbage."""

import gc

from mailtier.telemetry import garbage


def test_what_is_there_is_looked_at_no_more_and_what_is_new_in_small_parts() -> None:
    """What a process begins with is set aside, and a search looks at as many new objects as it was told."""
    before = gc.get_threshold()
    try:
        garbage.spare_collections(made=5_000)
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == 5_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)

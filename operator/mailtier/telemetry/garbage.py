"""How often Python looks for garbage that only a search finds."""

import gc


def spare_collections() -> None:
    """Have the garbage collector look less often; called once, when a process is about to begin its work.

    With the objects of a cluster in memory, hardly any of which is garbage, the default thresholds cost the operator a
    seventh of all CPU (measured at 2,000 organizations). The sender's processes make and drop objects for each message,
    next to none of which refer to one another.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

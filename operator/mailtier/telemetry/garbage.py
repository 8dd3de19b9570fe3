"""How often Python looks for garbage that only a search finds."""

import gc


def spare_collections(*, made: int = 50_000) -> None:
    """Have the garbage collector look less often; called once, when a process is about to begin its work.

    Args:
        made: After so many objects it looks at what is new. That takes about a microsecond for each, during which the
            process does nothing else: fewer where somebody waits for milliseconds.

    With the objects of a cluster in memory, hardly any of which is garbage, the default thresholds cost the operator a
    seventh of all CPU (measured at 2,000 organizations). The sender's processes make and drop objects for each message,
    next to none of which refer to one another.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(made, 20, 50)

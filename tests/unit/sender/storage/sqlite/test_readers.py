"""Reading in threads: whoever is cancelled leaves nothing open."""

import asyncio
import contextlib
import gc
import pathlib
import warnings

from mailtier.sender.storage.sqlite import readers, schema


async def test_who_is_cancelled_while_a_stream_begins_leaves_nothing_open(tmp_path: pathlib.Path) -> None:
    """A sender that ends while it starts closes what a thread was about to open; Python tells since 3.13."""
    path = tmp_path / "queue.sqlite3"
    schema.open_writer(path).close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        reading = readers.Readers(path)
        for _ in range(20):
            begun = asyncio.ensure_future(anext(reading.stream("SELECT 1")))
            await asyncio.sleep(0)
            begun.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await begun
        await reading.close()
        gc.collect()
    assert [str(each.message) for each in told if issubclass(each.category, ResourceWarning)] == []


async def test_a_stream_that_is_left_is_closed_with_the_queue(tmp_path: pathlib.Path) -> None:
    """Who stops reading in the middle, and says so after the queue was closed, leaves nothing open either."""
    path = tmp_path / "queue.sqlite3"
    schema.open_writer(path).close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        reading = readers.Readers(path)
        rows = reading.stream("SELECT 1 UNION ALL SELECT 2")
        assert await anext(rows) == (1,)
        await reading.close()
        await rows.aclose()
        gc.collect()
    assert [str(each.message) for each in told if issubclass(each.category, ResourceWarning)] == []

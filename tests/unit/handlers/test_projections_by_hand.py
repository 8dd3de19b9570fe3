"""What happens to a projection by somebody's hand, of which nobody tells."""

import asyncio
import contextlib

import pytest

from kit import projecting, virtual_time


@pytest.mark.parametrize("harm", ["deleted", "emptied", "unlabelled", "disowned", "none"])
def test_what_happens_to_it_by_hand_is_seen_within_a_minute(harm: str) -> None:
    """Nobody tells of it, so that it is read again; what is as it was written is only read (R8)."""

    async def look() -> None:
        world = projecting.Projecting(asyncio.get_running_loop().time)
        task = asyncio.create_task(world.projections.run())
        await world.reconcile()
        await asyncio.sleep(600)
        assert world.again == []
        assert set(world.calls()) == {"get", "create"}
        match harm:
            case "deleted":
                del world.api.objects[projecting.PATH]
            case "emptied":
                world.there["data"].clear()
            case "unlabelled":
                world.there["metadata"]["labels"].clear()
            case "disowned":
                world.there["metadata"]["ownerReferences"].clear()
        await asyncio.sleep(60)
        assert world.again == ([] if harm == "none" else [0.0])
        if harm == "deleted":
            assert (await world.reconcile()).written
            assert world.data["MAIL_FROM"] == "no-reply@example.com"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual_time.run(look())

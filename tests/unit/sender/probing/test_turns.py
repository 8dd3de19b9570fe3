"""Turns of probes that nobody asked for: a share for each namespace, and the host's apart from them (R15)."""

import asyncio

from mailtier.sender.net import shares
from mailtier.sender.probing import turns

_EACH = 4
_OF_THE_HOST = 64
_ALL = 256


class _Turns:
    """Turns, and who was told of theirs."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.turns = turns.ProbeTurns(self.told.append)

    def take(self, payer: str | None, count: int) -> list[shares.ShareSlot | None]:
        """Return what so many probes of a namespace, or of the host's endpoint, are given."""
        return [self.turns.take(payer, f"{payer}-{number}") for number in range(count)]


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_namespace_has_its_share_and_the_host_its_own() -> None:
    """Whoever has four under way waits with the fifth, and takes none from another, nor from the host."""
    world = _Turns()
    assert world.take("team-a", _EACH + 2)[_EACH:] == [None, None]
    assert None not in world.take("team-b", _EACH)
    host = world.take(None, _OF_THE_HOST + 1)
    assert host[-1] is None
    assert None not in host[:-1]


async def test_all_namespaces_leave_the_host_its_turns() -> None:
    """Where namespaces have all that they may have together, the host's endpoint is looked at as before."""
    world = _Turns()
    for number in range(_ALL // _EACH):
        assert None not in world.take(f"team-{number}", _EACH)
    assert world.take("one-more", 1) == [None]
    assert None not in world.take(None, _OF_THE_HOST)


async def test_who_waited_is_told_once_in_their_order() -> None:
    """Each turn that ends is the next one's of the same line, and nobody is told twice or forgotten."""
    world = _Turns()
    held = [slot for slot in world.take("team-a", _EACH + 3) if slot is not None]
    world.turns.take("team-a", f"team-a-{_EACH}")
    await _settled()
    assert world.told == []
    waited = [f"team-a-{_EACH + number}" for number in range(3)]
    # Two at once: the second is told as well, though only one of a line waits for a slot.
    held[0].release()
    held[1].release()
    await _settled()
    assert world.told == waited[:2]
    taken = [world.turns.take("team-a", key) for key in waited[:2]]
    assert None not in taken
    held[2].release()
    await _settled()
    assert world.told == waited


async def test_who_holds_none_gets_the_next_turn() -> None:
    """Of all turns that are taken the first that ends goes to who holds the fewest."""
    world = _Turns()
    held = [world.take(f"team-{number}", _EACH) for number in range(_ALL // _EACH)]
    world.take("team-0", 1)
    world.take("one-more", 1)
    slot = held[3][0]
    assert slot is not None
    slot.release()
    await _settled()
    assert world.told == ["one-more-0"]

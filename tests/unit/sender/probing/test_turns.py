"""Turns of probes that nobody asked for: a share for each namespace, at servers of its own and at the host's (R15)."""

import asyncio

from mailtier.sender.net import shares
from mailtier.sender.probing import turns

_EACH = 4
_ALL = 256
_EACH_AT_HOST_S = 16


class _Turns:
    """Turns, and who was given one that waited."""

    def __init__(self) -> None:
        self.begun: dict[str, shares.ShareSlot] = {}
        self.turns = turns.ProbeTurns(self.begun.__setitem__)

    def take(self, namespace: str, count: int, *, is_host_s: bool = False) -> list[shares.ShareSlot | None]:
        """Return what so many probes of a namespace are given."""
        return [self.turns.take(namespace, f"{namespace}-{number}", is_host_s=is_host_s) for number in range(count)]


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_namespace_has_its_share_at_either_kind_of_server() -> None:
    """Whoever has as many under way waits with the next, and takes none from another."""
    world = _Turns()
    assert world.take("team-a", _EACH + 2)[_EACH:] == [None, None]
    assert None not in world.take("team-b", _EACH)
    inherits = world.take("team-c", _EACH_AT_HOST_S + 1, is_host_s=True)
    assert inherits[-1] is None
    assert None not in inherits[:-1]
    assert None not in world.take("team-d", _EACH_AT_HOST_S, is_host_s=True)


async def test_servers_of_organizations_take_no_turn_at_the_host_s() -> None:
    """Where namespaces have all turns at servers of their own, the host's endpoint is looked at as before."""
    world = _Turns()
    for number in range(_ALL // _EACH):
        assert None not in world.take(f"team-{number}", _EACH)
    assert world.take("one-more", 1) == [None]
    assert None not in world.take("two-more", _EACH_AT_HOST_S, is_host_s=True)


async def test_who_waited_begins_once_in_their_order() -> None:
    """Each turn that ends is the next one's of the same line, and nobody begins twice or is forgotten."""
    world = _Turns()
    held = [slot for slot in world.take("team-a", _EACH + 3) if slot is not None]
    assert world.turns.take("team-a", f"team-a-{_EACH}", is_host_s=False) is None
    await _settled()
    assert world.begun == {}
    waited = [f"team-a-{_EACH + number}" for number in range(3)]
    # Two at once: the second begins as well, though only one of a line waits for a slot.
    held[0].give_back()
    held[1].give_back()
    await _settled()
    assert list(world.begun) == waited[:2]
    held[2].give_back()
    await _settled()
    assert list(world.begun) == waited
    assert len(world.turns) == 0


async def test_who_holds_none_gets_the_next_turn() -> None:
    """Of all turns that are taken the first that ends goes to who holds the fewest."""
    world = _Turns()
    held = [world.take(f"team-{number}", _EACH) for number in range(_ALL // _EACH)]
    world.take("team-0", 1)
    world.take("one-more", 1)
    slot = held[3][0]
    assert slot is not None
    slot.give_back()
    await _settled()
    assert list(world.begun) == ["one-more-0"]


async def test_whoever_leaves_the_line_keeps_no_turn() -> None:
    """What is gone is forgotten, and the turn that comes for it is another's in the same moment (R15)."""
    world = _Turns()
    held = [world.take(f"team-{number}", _EACH_AT_HOST_S, is_host_s=True) for number in range(4)]
    assert not any(world.take("gone", 50, is_host_s=True))
    assert world.take("patient", 1, is_host_s=True) == [None]
    for number in range(50):
        world.turns.leave(f"gone-{number}")
    assert len(world.turns) == 1
    slot = held[0][0]
    assert slot is not None
    slot.give_back()
    await _settled()
    assert list(world.begun) == ["patient-0"]
    world.begun["patient-0"].give_back()
    assert None not in world.take("team-0", 1, is_host_s=True)


async def test_one_of_many_leaves_the_line() -> None:
    """Those before and behind it keep their order."""
    world = _Turns()
    held = [slot for slot in world.take("team-a", _EACH + 3) if slot is not None]
    world.turns.leave(f"team-a-{_EACH + 1}")
    world.turns.leave("team-a-0")
    for slot in held:
        slot.give_back()
    await _settled()
    assert list(world.begun) == [f"team-a-{_EACH}", f"team-a-{_EACH + 2}"]

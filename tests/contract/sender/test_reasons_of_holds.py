"""Whatever keeps messages back says why, in the record, over HTTPS and as a metric, and a recovery the least."""

import collections.abc
import datetime as dt

from kit import sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.net import breaker
from mailtier.telemetry import metrics

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_C = vocabulary.Category
_LATER = "421 4.7.0 Too much mail from you"


async def _until_counted(of: str, reason: str) -> None:
    """Return when one hold is counted."""

    def counted() -> bool:
        return metrics.SENDER_REGISTRY.get_sample_value("mailtier_holds", {"of": of, "reason": reason}) == 1

    await wait.until_async(counted, within_seconds=5, why=f"{of} {reason} is counted")


async def test_what_waits_in_a_held_lane_says_why(sender: sending.Sender, serve: Serve) -> None:
    """Those that were not tried are held with the reason of those that were; another category is not."""
    server = await serve()
    server.script.on("RCPT", "550 5.7.60 Not as this sender")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    sent = [await sender.notify(of, f"user-{number}@example.org") for number in range(6)]

    async def all_told() -> bool:
        return all([await sender.reasons(of, each) == ["SenderRefused"] for each in sent])

    await wait.until_async(all_told, within_seconds=10, why="all of them say why")
    states = [state for each in sent for state in await sender.states(of, each)]
    assert set(states) == {_S.DEFERRED, _S.HELD}
    lane = sending.lane(of)
    held = sender.delivery.hold_of(lane, _C.JOB_ALERT)
    assert held is not None
    assert (held.reason, "550 5.7.60" in held.message) == ("SenderRefused", True)
    assert sender.delivery.hold_of(lane, _C.LICENSE_STATUS) is None
    await _until_counted("lane", "SenderRefused")
    server.script.clear()
    sender.skip(901)
    sender.skip(120)
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert sender.delivery.hold_of(lane, _C.JOB_ALERT) is None


async def test_a_namespace_that_waits_alone_says_why(sender: sending.Sender, serve: Serve) -> None:
    """While others are served it waits for longer and longer, and a recovery within a minute has it tried."""
    server = await serve()
    server.script.on("MAIL FROM:<loud@example.com>", _LATER)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), from_address="loud@example.com"))
    lane = sending.lane(of)
    await sender.notify(of, max_age=dt.timedelta(days=1))

    async def has_grown() -> bool:
        pause = sender.destinations.get(of).health.pause("team-a")
        left = pause.retry_at(_C.JOB_ALERT) - sender.clock.monotonic()
        if left < breaker.LONGEST_PAUSE_SECONDS / 2 - 1:
            sender.skip(30)
        return left > breaker.LONGEST_PAUSE_SECONDS / 2 - 1

    await wait.until_async(has_grown, within_seconds=30, why="its pause is as long as it gets")
    alert = await sender.notify(of, max_age=dt.timedelta(days=1))

    def why() -> bool:
        held = sender.delivery.hold_of(lane, _C.JOB_ALERT)
        return held is not None and held.reason == "ServerUnavailable" and "421 4.7.0" in held.message

    await wait.until_async(why, within_seconds=5, why="the hold says why")
    await _until_counted("pause", "ServerUnavailable")
    (stands,) = await sender.until(of, alert, _S.HELD)
    assert (stands.reason, "421 4.7.0" in stands.message) == ("ServerUnavailable", True)
    server.script.clear()
    before = len(sender.delivery)
    recovery = await sender.notify(of, category=_C.PASSWORD_RECOVERY)
    await wait.until_async(lambda: len(sender.delivery) > before, within_seconds=5, why="it is claimed")
    sender.skip(61)
    await sender.until(of, recovery, _S.ACCEPTED)
    sender.skip(61)
    await sender.until(of, alert, _S.ACCEPTED)


async def test_a_recovery_that_is_put_off_is_tried_each_minute(sender: sending.Sender, serve: Serve) -> None:
    """However often a server says that it is not taken now, or that its policy has it wait."""
    server = await serve()
    sender.clock.chance = 0.999
    server.script.on("RCPT", "451 4.7.1 Greylisted, try again")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    recovery = await sender.notify(of, category=_C.PASSWORD_RECOVERY)

    def tried() -> int:
        return sum(reply.startswith(b"451") for each in server.transcripts for reply in each.replies())

    for times in range(1, 15):
        await wait.until_async(lambda enough=times: tried() >= enough, within_seconds=10, why="it is tried")
        await sender.until(of, recovery, _S.DEFERRED)
        sender.skip(61)
    server.script.clear()
    sender.skip(61)
    await sender.until(of, recovery, _S.ACCEPTED)

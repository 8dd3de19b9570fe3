"""How long a server is waited for whose reply to the final dot does not come."""

import asyncio
import datetime as dt
import pathlib

from kit import farewells, hostile, sending, smtpd, virtual_time, wait
from mailtier.api import vocabulary

_S = vocabulary.RecipientState


def test_a_recovery_waits_a_minute_for_the_reply_to_its_dot(tmp_path: pathlib.Path) -> None:
    """Somebody waits before a screen; other mail waits as long as the standard asks for (R10)."""

    async def all_of_it() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.SkippableLoop)
        async with sending.Sender(tmp_path / "queue") as sender, smtpd.Server() as server:
            of = sender.settings.put(
                sending.settings(
                    "team-a", sending.endpoint(server), max_connections=2, message=dt.timedelta(minutes=10)
                )
            )
            # A server that was never used has one connection until it has answered.
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            server.script.on(smtpd.DOT, hostile.silence())
            recovery = await sender.notify(of, category=vocabulary.Category.PASSWORD_RECOVERY)
            alert = await sender.notify(of)
            await wait.until_async(lambda: server.script.applied == 2, within_seconds=20, why="both wait for a reply")
            loop.skip(30)
            await asyncio.sleep(0)
            assert await sender.states(of, recovery) == [_S.QUEUED]
            loop.skip(31)
            await sender.until(of, recovery, _S.IN_DOUBT)
            assert await sender.states(of, alert) == [_S.QUEUED]
            await server.drop_connections()
        await farewells.over()

    with asyncio.Runner(loop_factory=virtual_time.SkippableLoop) as runner:
        runner.run(all_of_it())
